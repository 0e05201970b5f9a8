/** A request target taken apart without losing how it was written: `//` and `..` stay, nothing is normalised. */
export type RawUrl = {
  path: string;
  /** The path with every segment decoded once and encoded as Signature Version 4 does it. */
  canonicalPath: string;
  query: Record<string, string | string[]>;
};

/** RFC 3986's unreserved characters stay, all else is encoded: what AWS calls UriEncode. */
export function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Undefined when a percent-encoding is damaged or is no UTF-8. */
export function parseUrl(url: string): RawUrl | undefined {
  const mark = url.indexOf("?");
  const path = mark < 0 ? url : url.slice(0, mark);
  try {
    const canonicalPath = path
      .split("/")
      .map((segment) => uriEncode(decodeURIComponent(segment)))
      .join("/");
    return { path, canonicalPath, query: parseQuery(mark < 0 ? "" : url.slice(mark + 1)) };
  } catch {
    return undefined;
  }
}

function parseQuery(text: string): RawUrl["query"] {
  // Without a prototype: `__proto__` is a parameter like any other.
  const query: RawUrl["query"] = Object.create(null);
  for (const pair of text.split("&")) {
    if (pair === "") continue;
    const cut = pair.indexOf("=");
    const decode = (part: string) => decodeURIComponent(part.replaceAll("+", " "));
    const name = decode(cut < 0 ? pair : pair.slice(0, cut));
    const value = cut < 0 ? "" : decode(pair.slice(cut + 1));
    const known = query[name];
    query[name] = known === undefined ? value : Array.isArray(known) ? [...known, value] : [known, value];
  }
  return query;
}
