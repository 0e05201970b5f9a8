import { AppError } from "../error.ts";
import { faultOfPath } from "./upstream-path.ts";

/** What a listing page names: a file or a folder directly in it. `url` is where it is, as the page has it. */
export type ListingEntry = { name: string; isDirectory: boolean; url: string; shown?: Shown };

/** What nginx and Apache show beside a name; Python's http.server, and Apache without FancyIndexing, show nothing. */
export type Shown = {
  /** To the minute; as if it were UTC, which no page tells. */
  at: Date;
  /** Often rounded, such as `2.4M`. */
  size: string;
};

const MAX_CHARACTERS = 16 * 1024 * 1024;
const MAX_ENTRIES = 100_000;
/** Two of an entry, where its icon is one, and a few of the page. */
const MAX_LINKS = 2 * MAX_ENTRIES + 100;

// nginx and Apache (and lighttpd and Caddy after them) say the first, Python's http.server the second.
const LISTING = /<(title|h1)[^>]{0,200}>\s*(?:Index of|Directory listing for)\b/i;
const LINK = /<a\s[^<>]{0,4000}?\bhref\s*=\s*(?:"([^"<>]{0,4000})"|'([^'<>]{0,4000})')/gi;
/** A link's text may be its name, each character a reference; date and size are close behind it. */
const MAX_LINK_TEXT = 2000;
const SHOWN_WITHIN = 300;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const SHOWN = new RegExp(
  String.raw`^\s*(?:(\d{4})-(\d\d)-(\d\d)|(\d\d)-(${MONTHS.join("|")})-(\d{4})) (\d\d):(\d\d)(?::\d\d)?\s+(\d[\d.]{0,15}[KMGTPE]?)(?!\S)`,
);

/**
 * Reads the page with which a web server lists a folder. Links to anywhere but directly below the page (the parent, other
 * hosts, the same page sorted otherwise) are left out. `pageUrl` is where the page came from, after redirects.
 * @throws AppError `unprocessable` naming the page: no listing, too long, a name that leads out or can not be decoded
 */
export function readAutoindex(html: string, pageUrl: string): ListingEntry[] {
  const fail = (what: string) => new AppError("unprocessable", `${withoutCredentials(pageUrl)}: ${what}`);
  if (html.length > MAX_CHARACTERS) throw fail(`a page of more than ${MAX_CHARACTERS} characters`);
  if (!LISTING.test(html.slice(0, 100_000)))
    throw fail("no directory listing of nginx, Apache or Python's http.server, and no SHA256SUMS beside it");
  const page = new URL("./", pageUrl);
  const found = new Map<string, ListingEntry>();
  let links = 0;
  for (const { 0: link, 1: double, 2: single, index: at } of html.matchAll(LINK)) {
    links += 1;
    if (links > MAX_LINKS) throw fail(`more than ${MAX_LINKS} links`);
    const href = decodeReferences(double ?? single ?? "").trim();
    if (!URL.canParse(href, page.href)) continue;
    const url = new URL(href, page);
    const elsewhere = url.origin !== page.origin || url.search !== "" || url.hash !== "";
    if (elsewhere || !url.pathname.startsWith(page.pathname)) continue;
    const [encoded = "", ...rest] = url.pathname.slice(page.pathname.length).split("/");
    if (encoded === "" || rest.length > 1 || (rest[0] ?? "") !== "") continue;
    const name = decodeName(encoded);
    if (name === undefined)
      throw fail(`the link ${JSON.stringify(href.slice(0, 200))} names something that is no UTF-8`);
    const fault = name.includes("/") ? "it has a slash" : faultOfPath(name);
    if (fault !== undefined) throw fail(`the name ${JSON.stringify(name.slice(0, 200))} is refused: ${fault}`);
    const isDirectory = rest.length === 1;
    const key = `${name}/${isDirectory}`;
    // Where icons are links too, a name comes twice: the second time with its date.
    const shown = shownBehind(html, at + link.length);
    found.set(key, { name, isDirectory, url: `${url.origin}${url.pathname}`, ...(shown ? { shown } : {}) });
    if (found.size > MAX_ENTRIES) throw fail(`more than ${MAX_ENTRIES} entries`);
  }
  return [...found.values()];
}

function shownBehind(html: string, link: number): Shown | undefined {
  const linked = html.slice(link, link + MAX_LINK_TEXT);
  const end = linked.indexOf("</a>");
  if (end < 0 || linked.lastIndexOf("<a ", end) >= 0) return undefined;
  const text = html.slice(link + end, link + end + SHOWN_WITHIN).replace(/<[^<>]{0,200}>/g, " ");
  const [, y1, m1, d1, d2, month, y2, hour, minute, size] = SHOWN.exec(text) ?? [];
  if (size === undefined) return undefined;
  const monthIndex = month === undefined ? Number(m1) - 1 : MONTHS.indexOf(month);
  const at = new Date(Date.UTC(Number(y1 ?? y2), monthIndex, Number(d1 ?? d2), Number(hour), Number(minute)));
  return { at, size };
}

function decodeName(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function decodeReferences(text: string): string {
  return text.replace(/&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([0-9a-f]{1,6}));/gi, (whole, name, decimal, hex) => {
    if (name !== undefined) return NAMED[name.toLowerCase()] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/** For messages. */
function withoutCredentials(url: string): string {
  const shown = new URL(url);
  shown.username = "";
  shown.password = "";
  return String(shown);
}
