import { type Received, receive } from "./body.ts";
import { requireBucket } from "./buckets.ts";
import { type Answer, type Call, etagHeader, type Store } from "./call.ts";
import { type Algorithm, type Checksum, etagOfDigests, headerOf } from "./checksums.ts";
import { checkWrite } from "./conditions.ts";
import { fieldsOf } from "./fields.ts";
import type { Draft } from "./files.ts";
import type { Claims } from "./integrity.ts";
import type { Piece } from "./objects.ts";

/** Of one put, one part and one copy. */
export const MAX_PUT_BYTES = 5 * 1_024 ** 3;
/** What S3 computes for an object that came without any checksum. */
export const DEFAULT_ALGORITHM: Algorithm = "CRC64NVME";

/**
 * Lets `fill` write a body and tell its size, and `commit` (within one transaction) refer to it. When anything fails, the body, its
 * claims or the commit, nothing is left behind.
 */
export async function storePiece<Filled extends { sizeBytes: number }, T>(
  store: Store,
  fill: (draft: Draft) => Promise<Filled>,
  commit: (piece: Piece, filled: Filled) => T,
): Promise<T> {
  const draft = store.files.draft();
  try {
    const filled = await fill(draft);
    const piece = { dataId: await draft.place(), sizeBytes: filled.sizeBytes };
    return await store.db.together(() => {
      draft.keep();
      return commit(piece, filled);
    });
  } catch (error) {
    await draft.discard();
    throw error;
  }
}

/** Stores the request's body. */
export async function storeBody<T>(
  store: Store,
  call: Call,
  algorithms: (claims: Claims) => readonly Algorithm[],
  commit: (piece: Piece, received: Received) => T,
): Promise<T> {
  const fill = (draft: Draft) => receive(call, draft, { algorithms, maxBytes: MAX_PUT_BYTES });
  return await storePiece(store, fill, commit);
}

export async function putObject(store: Store, call: Call): Promise<Answer> {
  const { bucket, key } = call;
  requireBucket(store, bucket);
  const fields = fieldsOf(call.headers);
  // Asked again when it counts; here it spares an upload that cannot win, where that takes longer than to ask.
  if (!isShort(call)) checkWrite(store.objects.find(bucket, key), call.headers);
  const wanted = (claims: Claims): Algorithm[] => {
    const given = claims.checksum?.algorithm ?? claims.trailer;
    if (given === "SHA256") return ["SHA256"];
    return given ? ["MD5", "SHA256"] : ["MD5", "SHA256", DEFAULT_ALGORITHM];
  };
  const entry = await storeBody(store, call, wanted, (piece, { digests, claimed }) => {
    requireBucket(store, bucket);
    checkWrite(store.objects.find(bucket, key), call.headers);
    const algorithm = claimed ?? DEFAULT_ALGORITHM;
    const checksum: Checksum = {
      algorithm,
      type: "FULL_OBJECT",
      value: digests.get(algorithm)?.toString("base64") ?? "",
    };
    const etag = etagOfDigests(digests);
    const named = { bucket, key, etag, ...fields, checksum, partCount: undefined };
    return store.objects.set(named, { id: piece.dataId, pieces: [piece], digests }, "ObjectCreated:Put");
  });
  return { status: 200, headers: { etag: etagHeader(entry.etag), ...checksumHeaders(entry.checksum) } };
}

/** Less than a packet or two. */
function isShort({ headers }: Call): boolean {
  return Number(headers["content-length"]) <= 2_048;
}

export function checksumHeaders({ algorithm, type, value }: Checksum): Record<string, string> {
  return { [headerOf(algorithm)]: value, "x-amz-checksum-type": type };
}
