import { AppError } from "../error.ts";
import { type Checksum, checksumOf } from "./index-checksum.ts";
import { readXml, type XmlElement } from "./index-tree.ts";
import { wholeNumber } from "./repomd-read.ts";

const MAX_BYTES = 4 * 1024 * 1024;
const MAX_URLS = 10_000;
const REPOMD = "repodata/repomd.xml";

/** A repomd.xml that mirrors may have: the newest, or one before it that is still good. */
export type ExpectedRepomd = { checksums: readonly Checksum[]; sizeBytes?: number; timestamp?: number };

export type Metalink = {
  /** Of repositories (not of their repomd.xml), each with a slash at its end, the preferred first; http and https alone. */
  urls: readonly string[];
  /** The newest first. */
  repomds: readonly ExpectedRepomd[];
};

/**
 * Reads the list of mirrors that MirrorManager gives (metalink 3.0).
 * @throws AppError `unprocessable` naming `where` and the element, also when it names no mirror or no checksum
 */
export function readMetalink(bytes: Uint8Array, where: string): Metalink {
  const root = readXml(bytes, where, MAX_BYTES);
  if (root.name !== "metalink") throw root.fail("the root element should be metalink");
  const file = root.deep("file").find((one) => one.attributes.name === "repomd.xml");
  if (file === undefined) throw root.fail("no element file of name repomd.xml");
  const [current, ...alternates] = [file, ...file.deep("alternate")].map(expected);
  if (current === undefined || current.checksums.length === 0) throw file.fail("no hash of repomd.xml");
  const listed = file.deep("url").map((url) => ({ href: url.text.trim(), preference: preferenceOf(url) }));
  const preferred = listed.toSorted((a, b) => b.preference - a.preference).map(({ href }) => href);
  const urls = repositories(preferred.filter((href) => href.endsWith(`/${REPOMD}`)).map(withoutRepomd));
  if (urls.length === 0) throw file.fail(`no http or https URL of a ${REPOMD}`);
  return { urls, repomds: [current, ...alternates.filter((one) => one.checksums.length > 0)] };
}

function expected(element: XmlElement): ExpectedRepomd {
  const [size, timestamp] = [element.first("size"), element.first("timestamp")];
  const hashes = element.first("verification")?.all("hash") ?? [];
  const checksums = hashes.flatMap((hash) => checksumOf(hash.attributes.type, hash.text) ?? []);
  return {
    checksums,
    ...(size ? { sizeBytes: wholeNumber(size) } : {}),
    ...(timestamp ? { timestamp: wholeNumber(timestamp) } : {}),
  };
}

function preferenceOf(url: XmlElement): number {
  const value = Number(url.attributes.preference ?? "0");
  return Number.isFinite(value) ? value : 0;
}

function withoutRepomd(url: string): string {
  return url.slice(0, -REPOMD.length);
}

/**
 * Reads a mirrorlist: a URL a line, comments after `#`. The answers are repositories' roots with a slash at the end.
 * @throws AppError `unprocessable` naming `where`, also when no line is an http or https URL
 */
export function readMirrorlist(text: string, where: string): string[] {
  if (text.length > MAX_BYTES) throw new AppError("unprocessable", `${where}: more than ${MAX_BYTES} characters`);
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const urls = repositories(lines.filter((line) => line !== "" && !line.startsWith("#")));
  if (urls.length > 0) return urls;
  const first = lines.find((line) => line !== "" && !line.startsWith("#")) ?? "";
  throw new AppError(
    "unprocessable",
    `${where}: no line is an http or https URL; it begins ${JSON.stringify(first.slice(0, 80))}`,
  );
}

/** http and https alone, each once. */
function repositories(urls: readonly string[]): string[] {
  const usable = urls.filter(
    (url) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol) && !/[\s?#]/.test(url),
  );
  return [...new Set(usable.map((url) => (url.endsWith("/") ? url : `${url}/`)))].slice(0, MAX_URLS);
}
