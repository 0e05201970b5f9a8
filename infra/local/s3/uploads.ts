import type { Row } from "../database.ts";
import type { Call, Store } from "./call.ts";
import { type Algorithm, algorithmNamed, type ChecksumType, type Digests } from "./checksums.ts";
import { S3Error } from "./errors.ts";
import { digestsOf, digestsToText } from "./objects.ts";
import { numberOf, stringsOf, textOf } from "./schema.ts";

/** A multipart upload that is under way. Without an algorithm its parts may have any. */
export type Upload = {
  id: string;
  bucket: string;
  key: string;
  startedAt: number;
  headers: Record<string, string>;
  metadata: Record<string, string>;
  algorithm: Algorithm | undefined;
  checksumType: ChecksumType;
};

export type Part = {
  number: number;
  dataId: number;
  sizeBytes: number;
  digests: Digests;
  /** The one that the client gave. */
  algorithm: Algorithm | undefined;
  modifiedAt: number;
};

export function uploadOf(row: Row): Upload {
  return {
    id: textOf(row, "id"),
    bucket: textOf(row, "bucket"),
    key: textOf(row, "key"),
    startedAt: numberOf(row, "started_at"),
    headers: stringsOf(row, "headers"),
    metadata: stringsOf(row, "metadata"),
    algorithm: row.algorithm === null ? undefined : algorithmNamed(textOf(row, "algorithm")),
    checksumType: textOf(row, "checksum_type") === "COMPOSITE" ? "COMPOSITE" : "FULL_OBJECT",
  };
}

export async function addUpload(store: Store, upload: Upload): Promise<void> {
  const { id, bucket, key, startedAt, headers, metadata, algorithm, checksumType } = upload;
  const texts = [headers, metadata].map((value) => JSON.stringify(value));
  await store.db.together(() =>
    store.db
      .statement("INSERT INTO object_upload VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
      .run(...[id, bucket, key, startedAt, ...texts, algorithm ?? null, checksumType]),
  );
}

/** @throws S3Error NoSuchUpload when it is not this key's, was completed or aborted. */
export function requireUpload(store: Store, call: Call): Upload {
  const id = call.query.get("uploadId") ?? "";
  const row = store.db
    .statement("SELECT * FROM object_upload WHERE id = ? AND bucket = ? AND key = ?")
    .get(id, call.bucket, call.key);
  if (row) return uploadOf(row);
  throw new S3Error(
    "NoSuchUpload",
    "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
    { UploadId: id },
  );
}

export function partsOf(store: Store, uploadId: string): Part[] {
  return store.db.statement("SELECT * FROM object_part WHERE upload_id = ? ORDER BY number").all(uploadId).map(partOf);
}

function partOf(row: Row): Part {
  return {
    number: numberOf(row, "number"),
    dataId: numberOf(row, "data_id"),
    sizeBytes: numberOf(row, "size_bytes"),
    digests: digestsOf(row),
    algorithm: row.algorithm === null ? undefined : algorithmNamed(textOf(row, "algorithm")),
    modifiedAt: numberOf(row, "modified_at"),
  };
}

/** The part of that number; one that was there before becomes garbage. */
export function setPart(store: Store, uploadId: string, part: Part): void {
  const { number, dataId, sizeBytes, digests, algorithm, modifiedAt } = part;
  const before = store.db
    .statement("SELECT data_id FROM object_part WHERE upload_id = ? AND number = ?")
    .get(uploadId, number);
  if (before) store.objects.discard(numberOf(before, "data_id"));
  store.db
    .statement("INSERT OR REPLACE INTO object_part VALUES (?, ?, ?, ?, ?, ?, ?)")
    .run(uploadId, number, dataId, sizeBytes, digestsToText(digests), algorithm ?? null, modifiedAt);
}

/** Forgets the upload; the parts that no object took over become garbage. */
export function endUpload(store: Store, uploadId: string, taken: ReadonlySet<number>): void {
  for (const part of partsOf(store, uploadId)) if (!taken.has(part.number)) store.objects.discard(part.dataId);
  store.db.statement("DELETE FROM object_part WHERE upload_id = ?").run(uploadId);
  store.db.statement("DELETE FROM object_upload WHERE id = ?").run(uploadId);
}
