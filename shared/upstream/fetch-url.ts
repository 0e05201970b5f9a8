import { unescape as percentDecoded } from "node:querystring";
import { UpstreamError } from "./fetch-error.ts";

/** Where one request goes. `url` has neither credentials nor fragment, and its host no dot at the end. */
export type Target = {
  readonly url: URL;
  /** The header for the credentials that stood in the URL. */
  readonly authorization: string | undefined;
};

/**
 * Ports where something other than HTTP listens, which might take a request for commands: the list of the Fetch standard
 * (2.9, "port blocking"), and three stores that read line by line (Zookeeper, Redis, memcached). Ports of other HTTP
 * services are left out: an upstream may be behind any.
 */
const BAD_PORTS: ReadonlySet<number> = new Set([
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
  111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532,
  540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061,
  6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 2181, 6379, 11211,
]);

/**
 * The URL as it may be shown, stored and logged. It stays as it was written when it holds no credentials; what is no URL
 * at all loses everything up to its last `@`.
 */
export function withoutCredentials(text: string): string {
  if (!text.includes("@")) return text;
  const url = URL.parse(text);
  // "user:password@host/path" is read as a URL of the scheme "user".
  if (!url?.host) return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, "$1");
  if (url.username === "" && url.password === "") return text;
  url.username = "";
  url.password = "";
  return url.href;
}

/** @throws UpstreamError unless it is an http or https URL on a port where HTTP may be; `via` is shown before it. */
export function targetOf(text: string, via?: string): Target {
  const at = via ?? withoutCredentials(text).slice(0, 200);
  const url = URL.parse(text);
  if (!url) throw new UpstreamError("url", { url: at, expected: "an http or https URL", got: "no URL" });
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new UpstreamError("scheme", { url: at, expected: "http or https", got: url.protocol.slice(0, -1) });
  const authorization = authorizationOf(url);
  // Each of these writes the URL anew, and most have nothing of it.
  if (authorization !== undefined) {
    url.username = "";
    url.password = "";
  }
  if (text.includes("#")) url.hash = "";
  // A resolver takes "localhost." for localhost, a certificate and a virtual host do not.
  if (url.hostname.endsWith(".")) url.hostname = url.hostname.replace(/\.+$/, "");
  if (url.hostname.split(".").includes(""))
    throw new UpstreamError("url", { url: at, expected: "a host name", got: JSON.stringify(url.hostname) });
  if (url.port !== "" && BAD_PORTS.has(Number(url.port)))
    throw new UpstreamError("port", { url: at, expected: "a port where HTTP is served", got: url.port });
  return { url, authorization };
}

/** The query of a URL that an upstream redirects to is often a signature: nobody's to read. */
export function shown(url: URL, first: URL = url): string {
  if (url === first) return url.href;
  return `${first.href} (redirected to ${url.protocol}//${url.host}${url.pathname}${url.search ? "?…" : ""})`;
}

function authorizationOf(url: URL): string | undefined {
  if (url.username === "" && url.password === "") return undefined;
  const pair = `${percentDecoded(url.username)}:${percentDecoded(url.password)}`;
  return `Basic ${Buffer.from(pair).toString("base64")}`;
}
