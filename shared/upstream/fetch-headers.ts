import type { Answer } from "./fetch-connection.ts";
import { UpstreamError } from "./fetch-error.ts";

/** Bytes `start` to `end`, both included, counted from 0; to the last one without `end`. */
export type Range = { readonly start: number; readonly end?: number | undefined };

/** The validators that an earlier answer gave, to be asked nothing but whether it still holds. */
export type Validators = { readonly etag?: string | undefined; readonly lastModified?: string | undefined };

export type Asked = Validators & {
  readonly range?: Range | undefined;
  /** The range counts only while this validator holds; else the whole comes (200). */
  readonly ifRange?: string | undefined;
  readonly accept?: string | undefined;
};

export function headersFor(asked: Asked, userAgent: string): Record<string, string> {
  const { etag, lastModified, range, ifRange } = asked;
  return {
    "User-Agent": userAgent,
    Accept: asked.accept ?? "*/*",
    // Hashes and sizes are of the file as it lies there.
    "Accept-Encoding": "identity",
    ...(etag !== undefined && { "If-None-Match": etag }),
    ...(lastModified !== undefined && { "If-Modified-Since": lastModified }),
    ...(range && { Range: `bytes=${range.start}-${range.end ?? ""}` }),
    ...(range && ifRange !== undefined && { "If-Range": ifRange }),
  };
}

/** Of a file that is itself compressed, servers that guess by name (Apache's AddEncoding) call the compression an encoding. */
const NAMED_ENCODINGS: Readonly<Record<string, RegExp>> = {
  gzip: /\.(gz|tgz)$/i,
  "x-gzip": /\.(gz|tgz)$/i,
  bzip2: /\.(bz2|tbz2?)$/i,
  "x-bzip2": /\.(bz2|tbz2?)$/i,
  xz: /\.(xz|txz)$/i,
  "x-xz": /\.(xz|txz)$/i,
  zstd: /\.(zst|zck)$/i,
};

/**
 * Nothing is ever decoded: the bytes are the file's, as apt and curl take them. An encoding that the name does not explain
 * would hand out other bytes than the file's own, so it is refused.
 */
export function refuseEncoding(answer: Answer, paths: readonly string[], at: string): void {
  const encoding = answer.headers["content-encoding"]?.trim().toLowerCase() ?? "";
  if (encoding === "" || encoding === "identity") return;
  const name = Object.hasOwn(NAMED_ENCODINGS, encoding) ? NAMED_ENCODINGS[encoding] : undefined;
  if (paths.some((path) => name?.test(path))) return;
  throw new UpstreamError("encoding", { url: at, expected: "the file as it is", got: `Content-Encoding: ${encoding}` });
}

/** What a 206 brings; `totalBytes` is the size of the whole, where the upstream tells it. */
export type Part = { readonly start: number; readonly totalBytes: number | undefined };

/** @throws UpstreamError unless a 206 brings, from its first byte on, the range that was asked for (RFC 9110 14.4) */
export function partOf(answer: Answer, { start, end }: Range, at: string): Part {
  const header = answer.headers["content-range"] ?? "";
  const [, from, to, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i.exec(header.trim()) ?? [];
  // Fewer bytes than were asked for are a server's right; what is missing can be asked for again.
  if (Number(from) === start && Number(to) >= start && Number(to) <= (end ?? Number.POSITIVE_INFINITY))
    return { start, totalBytes: total === "*" ? undefined : Number(total) };
  const got = header ? `Content-Range: ${header.slice(0, 100)}` : "no Content-Range";
  throw new UpstreamError("range", { url: at, expected: `bytes ${start}-${end ?? ""}`, got });
}
