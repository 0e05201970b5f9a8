import { randomBytes } from "node:crypto";
import type { Received } from "./body.ts";
import { requireBucket } from "./buckets.ts";
import { type Answer, type Call, etagHeader, type Store } from "./call.ts";
import {
  type Algorithm,
  algorithmNamed,
  type ChecksumType,
  type Digests,
  etagOfDigests,
  headerOf,
  RunningDigests,
} from "./checksums.ts";
import { sourceOf } from "./copy.ts";
import { isCrc } from "./crc.ts";
import { invalidArgument, S3Error } from "./errors.ts";
import { fieldsOf } from "./fields.ts";
import type { Draft } from "./files.ts";
import { readPieces } from "./get.ts";
import { type Claims, unknownAlgorithm } from "./integrity.ts";
import type { Piece } from "./objects.ts";
import { DEFAULT_ALGORITHM, MAX_PUT_BYTES, storeBody, storePiece } from "./put.ts";
import type { ByteRange } from "./range.ts";
import { addUpload, type Part, requireUpload, setPart, type Upload } from "./uploads.ts";
import { elements, xmlDocument } from "./xml.ts";

const MAX_PARTS = 10_000;

export async function createMultipartUpload(store: Store, call: Call): Promise<Answer> {
  const { bucket, key } = call;
  requireBucket(store, bucket);
  const algorithm = algorithmOf(call.headers["x-amz-checksum-algorithm"]);
  const checksumType = checksumTypeOf(algorithm, call.headers["x-amz-checksum-type"]);
  const id = randomBytes(24).toString("base64url");
  await addUpload(store, {
    id,
    bucket,
    key,
    startedAt: store.now().getTime(),
    ...fieldsOf(call.headers),
    algorithm,
    checksumType,
  });
  const headers: Record<string, string> = algorithm
    ? { "x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": checksumType }
    : {};
  const body = xmlDocument("InitiateMultipartUploadResult", elements({ Bucket: bucket, Key: key, UploadId: id }));
  return { status: 200, headers, body };
}

function algorithmOf(name: string | undefined): Algorithm | undefined {
  if (name === undefined) return undefined;
  const algorithm = algorithmNamed(name);
  if (!algorithm) throw unknownAlgorithm();
  return algorithm;
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html, "Checksum type" */
function checksumTypeOf(algorithm: Algorithm | undefined, asked: string | undefined): ChecksumType {
  const name = (algorithm ?? "").toLowerCase();
  const refuse = (type: string) =>
    new S3Error("InvalidRequest", `The ${type} checksum type cannot be used with the ${name} checksum algorithm.`);
  if (asked !== undefined && asked !== "FULL_OBJECT" && asked !== "COMPOSITE")
    throw new S3Error("InvalidRequest", "Value for x-amz-checksum-type header is invalid.");
  if (algorithm === undefined) {
    if (asked !== undefined)
      throw new S3Error(
        "InvalidRequest",
        "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
      );
    return "FULL_OBJECT";
  }
  if (asked === "FULL_OBJECT" && !isCrc(algorithm)) throw refuse(asked);
  if (asked === "COMPOSITE" && algorithm === DEFAULT_ALGORITHM) throw refuse(asked);
  return asked ?? (algorithm === DEFAULT_ALGORITHM ? "FULL_OBJECT" : "COMPOSITE");
}

function partNumber(call: Call): number {
  const text = call.query.get("partNumber") ?? "";
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < 1 || number > MAX_PARTS)
    throw invalidArgument(`Part number must be an integer between 1 and ${MAX_PARTS}, inclusive`, "partNumber", text);
  return number;
}

export async function uploadPart(store: Store, call: Call): Promise<Answer> {
  requireBucket(store, call.bucket);
  const number = partNumber(call);
  const upload = requireUpload(store, call);
  const wanted = (claims: Claims): Algorithm[] => {
    checkAlgorithm(upload, claims.checksum?.algorithm ?? claims.trailer);
    return ["MD5", upload.algorithm ?? DEFAULT_ALGORITHM];
  };
  const part = await storeBody(store, call, wanted, (piece, received) => {
    requireUpload(store, call);
    return keepPart(store, upload, number, piece, received);
  });
  const digest = part.algorithm && part.digests.get(part.algorithm)?.toString("base64");
  const checksum: Record<string, string> = part.algorithm && digest ? { [headerOf(part.algorithm)]: digest } : {};
  return { status: 200, headers: { etag: etagHeader(etagOf(part)), ...checksum } };
}

function checkAlgorithm(upload: Upload, given: Algorithm | undefined): void {
  if (upload.algorithm === undefined || given === upload.algorithm) return;
  if (given === undefined && upload.checksumType === "FULL_OBJECT") return;
  throw new S3Error(
    "InvalidRequest",
    `Checksum Type mismatch occurred, expected checksum Type: ${upload.algorithm.toLowerCase()}, actual checksum Type: ${given?.toLowerCase() ?? "null"}`,
  );
}

function keepPart(
  store: Store,
  { id, algorithm }: Upload,
  number: number,
  { dataId, sizeBytes }: Piece,
  { digests, claimed }: Pick<Received, "digests" | "claimed">,
): Part {
  const part = {
    number,
    dataId,
    sizeBytes,
    digests,
    algorithm: claimed ?? algorithm,
    modifiedAt: store.now().getTime(),
  };
  setPart(store, id, part);
  return part;
}

export function etagOf(part: Part): string {
  return etagOfDigests(part.digests);
}

export async function uploadPartCopy(store: Store, call: Call): Promise<Answer> {
  requireBucket(store, call.bucket);
  const number = partNumber(call);
  const upload = requireUpload(store, call);
  const source = sourceOf(store, call);
  const range = sourceRange(call.headers["x-amz-copy-source-range"], source.sizeBytes);
  const sizeBytes = range ? range.end - range.start + 1 : source.sizeBytes;
  if (sizeBytes > MAX_PUT_BYTES)
    throw new S3Error(
      "InvalidRequest",
      `The specified copy source is larger than the maximum allowable size for a copy source: ${MAX_PUT_BYTES}`,
    );
  const wanted: Algorithm[] = ["MD5", upload.algorithm ?? DEFAULT_ALGORITHM];
  const { part, digests } = await copyRange(
    store,
    store.objects.piecesOf(source.contentId),
    range,
    wanted,
    (piece, digests) => {
      requireUpload(store, call);
      return { part: keepPart(store, upload, number, piece, { digests, claimed: undefined }), digests };
    },
  );
  const { algorithm } = upload;
  const values = elements({
    ETag: etagHeader(etagOf(part)),
    LastModified: new Date(part.modifiedAt).toISOString(),
    ...(algorithm ? { [`Checksum${algorithm}`]: digests.get(algorithm)?.toString("base64") } : {}),
  });
  return { status: 200, body: xmlDocument("CopyPartResult", values) };
}

/** Unlike Range this must be whole: `bytes=FIRST-LAST`, inside the source. */
function sourceRange(text: string | undefined, sizeBytes: number): ByteRange | undefined {
  if (text === undefined) return undefined;
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(text) ?? [];
  const range = { start: Number(first), end: Number(last) };
  if (first === undefined || last === undefined || range.end < range.start)
    throw invalidArgument(
      "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
      "x-amz-copy-source-range",
      text,
    );
  if (range.end >= sizeBytes)
    throw invalidArgument(
      `Range specified is not valid for source object of size: ${sizeBytes}`,
      "x-amz-copy-source-range",
      text,
    );
  return range;
}

async function copyRange<T>(
  store: Store,
  pieces: readonly Piece[],
  range: ByteRange | undefined,
  algorithms: readonly Algorithm[],
  commit: (piece: Piece, digests: Digests) => T,
): Promise<T> {
  const running = new RunningDigests(algorithms);
  const fill = async (draft: Draft) => {
    let sizeBytes = 0;
    for await (const bytes of readPieces(store.files, pieces, range)) {
      running.update(bytes);
      sizeBytes += bytes.length;
      await draft.write([bytes]);
    }
    return { sizeBytes, digests: running.digests() };
  };
  return await storePiece(store, fill, (piece, { digests }) => commit(piece, digests));
}
