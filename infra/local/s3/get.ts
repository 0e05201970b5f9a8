import { Readable } from "node:stream";
import { requireBucket } from "./buckets.ts";
import { type Answer, type Call, etagHeader, type Store } from "./call.ts";
import { checkRead } from "./conditions.ts";
import { invalidArgument, S3Error } from "./errors.ts";
import { headerValue, metadataHeaders, overridesOf } from "./fields.ts";
import type { DataFiles } from "./files.ts";
import type { Entry, Piece } from "./objects.ts";
import { checksumHeaders } from "./put.ts";
import { type ByteRange, rangeOf } from "./range.ts";

const READ_AT_ONCE = 256 * 1_024;

/** @throws S3Error NoSuchBucket, NoSuchVersion or NoSuchKey */
export function requireEntry(store: Store, bucket: string, key: string, versionId?: string): Entry {
  requireBucket(store, bucket);
  if (versionId !== undefined && versionId !== "null")
    throw new S3Error("NoSuchVersion", "The specified version does not exist.", { Key: key, VersionId: versionId });
  const entry = store.objects.find(bucket, key);
  if (!entry) throw new S3Error("NoSuchKey", "The specified key does not exist.", { Key: key });
  return entry;
}

export function getObject(store: Store, call: Call): Answer {
  return answerOf(store, call, true);
}

export function headObject(store: Store, call: Call): Answer {
  return answerOf(store, call, false);
}

function answerOf(store: Store, call: Call, withBody: boolean): Answer {
  const entry = requireEntry(store, call.bucket, call.key, call.query.get("versionId"));
  checkRead(entry, call.headers);
  const pieces = store.objects.piecesOf(entry.contentId);
  const part = partRange(call, entry, pieces);
  const range = part ?? rangeOf(ifRange(call, entry) ? call.headers.range : undefined, entry.sizeBytes);
  const length = range ? range.end - range.start + 1 : entry.sizeBytes;
  const headers: Record<string, string> = {
    "accept-ranges": "bytes",
    "content-length": String(length),
    etag: etagHeader(entry.etag),
    "last-modified": new Date(entry.modifiedAt).toUTCString(),
    ...Object.fromEntries(Object.entries(entry.headers).map(([name, value]) => [name, headerValue(value)])),
    ...metadataHeaders(entry.metadata),
    ...overridesOf(call.query),
  };
  if (range) headers["content-range"] = `bytes ${range.start}-${range.end}/${entry.sizeBytes}`;
  // A checksum is of the whole object, so a piece of it comes without.
  if (!range && call.headers["x-amz-checksum-mode"]?.toUpperCase() === "ENABLED")
    Object.assign(headers, checksumHeaders(entry.checksum));
  if (part && entry.partCount !== undefined) headers["x-amz-mp-parts-count"] = String(entry.partCount);
  const status = range ? 206 : 200;
  return withBody ? { status, headers, body: contentBody(store, pieces, range) } : { status, headers };
}

function ifRange(call: Call, entry: Entry): boolean {
  const condition = call.headers["if-range"]?.trim();
  if (condition === undefined) return true;
  return condition.startsWith('"') ? condition === etagHeader(entry.etag) : Date.parse(condition) === entry.modifiedAt;
}

/** Where the part that `?partNumber=` asks for lies; an object that was put at once is its own first part. */
function partRange(call: Call, entry: Entry, pieces: readonly Piece[]): ByteRange | undefined {
  const asked = call.query.get("partNumber");
  if (asked === undefined) return undefined;
  const number = Number(asked);
  if (!Number.isInteger(number) || number < 1 || number > 10_000)
    throw invalidArgument("Part number must be an integer between 1 and 10000, inclusive", "partNumber", asked);
  if (call.headers.range !== undefined)
    throw new S3Error("InvalidRequest", "Cannot specify both Range header and partNumber query parameter");
  const count = entry.partCount ?? 1;
  if (number > count)
    throw new S3Error("InvalidPartNumber", "The requested partnumber is not satisfiable", {
      PartNumberRequested: number,
      ActualPartCount: count,
    });
  if (entry.sizeBytes === 0) return undefined;
  if (entry.partCount === undefined) return { start: 0, end: entry.sizeBytes - 1 };
  const start = pieces.slice(0, number - 1).reduce((sum, piece) => sum + piece.sizeBytes, 0);
  return { start, end: start + (pieces[number - 1]?.sizeBytes ?? 0) - 1 };
}

/** @throws when a data file is missing or not whole, before the first byte is answered. */
export function contentBody(
  { files }: Pick<Store, "files">,
  pieces: readonly Piece[],
  range?: ByteRange,
): Uint8Array | Readable {
  const [only] = pieces.length === 1 ? pieces : [];
  const small = only && files.small.get(only.dataId);
  if (small) return range ? small.subarray(range.start, range.end + 1) : small;
  const bytes = readPieces(files, pieces, range);
  return Readable.from(bytes, { objectMode: false, highWaterMark: READ_AT_ONCE });
}

/**
 * The bytes of a content, or of a range of it, one body after the other. What of it is in the database is read at once, for there it
 * goes with its last key; files stay.
 * @throws at once when a data file is missing or not whole.
 */
export function readPieces(files: DataFiles, pieces: readonly Piece[], range?: ByteRange): AsyncGenerator<Uint8Array> {
  const held = new Map<number, Uint8Array>();
  for (const { dataId, sizeBytes } of pieces) {
    // Before any file: one of that number may be left of another instant, in a copy whose database went back.
    const small = files.small.get(dataId);
    if (small) held.set(dataId, small);
    else if (files.sizeOf(dataId) !== sizeBytes) throw new Error(`data file ${dataId} is missing or not whole`);
  }
  return readInTurn(files, held, pieces, range);
}

async function* readInTurn(
  files: DataFiles,
  held: ReadonlyMap<number, Uint8Array>,
  pieces: readonly Piece[],
  range?: ByteRange,
): AsyncGenerator<Uint8Array, void, undefined> {
  let begin = 0;
  for (const { dataId, sizeBytes } of pieces) {
    const from = Math.max(0, (range?.start ?? 0) - begin);
    const to = Math.min(sizeBytes, (range ? range.end + 1 : Number.POSITIVE_INFINITY) - begin);
    begin += sizeBytes;
    if (from >= to) continue;
    const small = held.get(dataId);
    if (small) yield small.subarray(from, to);
    else yield* readFile(files, dataId, from, to);
  }
}

async function* readFile(files: DataFiles, dataId: number, from: number, to: number): AsyncGenerator<Uint8Array> {
  const handle = await files.open(dataId);
  try {
    for (let at = from; at < to; ) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(READ_AT_ONCE, to - at));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) throw new Error(`data file ${dataId} ends early`);
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}
