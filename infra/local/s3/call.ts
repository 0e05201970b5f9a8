import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import type { LocalDatabase } from "../database.ts";
import type { ChunkSigner } from "../sigv4.ts";
import { parseUrl } from "../sigv4-url.ts";
import { S3Error } from "./errors.ts";
import type { DataFiles } from "./files.ts";
import type { Objects } from "./objects.ts";

/** What a signature tells of the body; `chunks` where it is signed piece by piece. */
export type Signature = { payloadHash: string; chunks?: ChunkSigner };

/** A request as it came, over whatever way. */
export type StoreRequest = {
  /** Over a socket comes anybody of the machine, and has to prove that he holds our key; what runs in this process need not. */
  isOurs: boolean;
  method: string;
  /** Path and query. */
  url: string;
  /** Names in lower case, a repeated one joined by commas. */
  headers: Readonly<Record<string, string>>;
  body: AsyncIterable<Uint8Array>;
  /** Whether nobody waits for the answer any more. */
  isGone(): boolean;
};

/** One request, taken apart and verified. */
export type Call = {
  method: string;
  url: string;
  body: AsyncIterable<Uint8Array>;
  /** Empty where the request is about all buckets. */
  bucket: string;
  /** Empty where the request is about a bucket. */
  key: string;
  query: ReadonlyMap<string, string>;
  /** Names in lower case; of a presigned request also the `x-amz-…` that its query carries in their place. */
  headers: Readonly<Record<string, string>>;
  requestId: string;
  signature: Signature;
};

/** What is answered; a body that is text is XML. */
export type Answer = { status: number; headers?: Record<string, string>; body?: string | Uint8Array | Readable };

export type Store = {
  db: LocalDatabase;
  files: DataFiles;
  objects: Objects;
  /** Of those that are there, what was asked for: nearly every request asks. */
  buckets: Set<string>;
  region: string;
  now: () => Date;
};

export type Operation = (store: Store, call: Call) => Answer | Promise<Answer>;

const MAX_KEY_BYTES = 1_024;

export function requestId(): string {
  return randomUUID().replaceAll("-", "").slice(0, 16).toUpperCase();
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Node reads headers as Latin-1, but clients write what is not ASCII in UTF-8 as often; it is what can be read as such. */
function headerText(latin1: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII
  if (/^[\u0000-\u007f]*$/.test(latin1)) return latin1;
  try {
    return utf8.decode(Buffer.from(latin1, "latin1"));
  } catch {
    return latin1;
  }
}

export function requestOf(req: IncomingMessage): StoreRequest {
  return {
    isOurs: false,
    method: req.method ?? "GET",
    url: req.url ?? "/",
    headers: headersOf(req),
    // The request must outlive an error in its midst, for its answer goes over the same connection.
    body: req.iterator({ destroyOnReturn: false }),
    isGone: () => req.destroyed && !req.complete,
  };
}

/** Headers as they came, a repeated one joined by commas: Node drops the second of some. */
function headersOf(req: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  for (let i = 0; i + 1 < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i]?.toLowerCase() ?? "";
    const value = headerText(req.rawHeaders[i + 1] ?? "");
    headers[name] = headers[name] === undefined ? value : `${headers[name]},${value}`;
  }
  return headers;
}

export type Target = Pick<Call, "bucket" | "key" | "query">;

/** Bucket, key and query of a path-style URL. The key is whatever follows the bucket's slash, not normalised. */
export function targetOf(url: string, pathPrefix: string): Target {
  const parsed = parseUrl(url);
  if (!parsed) throw new S3Error("InvalidURI", "Couldn't parse the specified URI.");
  const { path } = parsed;
  if (path !== pathPrefix && !path.startsWith(`${pathPrefix}/`))
    throw new S3Error("InvalidURI", "There is nothing here.");
  const rest = path.slice(pathPrefix.length + 1);
  const cut = rest.indexOf("/");
  const bucket = decodeURIComponent(cut < 0 ? rest : rest.slice(0, cut));
  const key = cut < 0 ? "" : decodeURIComponent(rest.slice(cut + 1));
  checkKey(key);
  const query = new Map(
    Object.entries(parsed.query).map(([name, value]) => [name, String(Array.isArray(value) ? value[0] : value)]),
  );
  return { bucket, key, query };
}

export function checkKey(key: string): void {
  const size = Buffer.byteLength(key);
  if (size > MAX_KEY_BYTES)
    throw new S3Error("KeyTooLongError", "Your key is too long", { Size: size, MaxSizeAllowed: MAX_KEY_BYTES });
}

// Of these a query says nothing that a header would: S3 ignores a checksum that a presigning client moved into its query.
const NOT_FOR_QUERY =
  /^x-amz-(checksum-(?!mode|algorithm|type)|sdk-checksum|content-sha256|date|credential|signature|signedheaders|algorithm|expires|security-token|decoded|trailer)/;

/** Presigning moves `x-amz-…` headers into the query; there they mean what they mean as headers. */
export function withQueryHeaders(
  headers: Readonly<Record<string, string>>,
  query: ReadonlyMap<string, string>,
): Readonly<Record<string, string>> {
  const moved = [...query].map(([name, value]) => [name.toLowerCase(), value] as const);
  const meant = moved.filter(([name]) => name.startsWith("x-amz-") && !NOT_FOR_QUERY.test(name));
  if (meant.length === 0) return headers;
  const all: Record<string, string> = Object.assign(Object.create(null), headers);
  for (const [name, value] of meant) all[name] ??= value;
  return all;
}

export function etagHeader(etag: string): string {
  return `"${etag}"`;
}
