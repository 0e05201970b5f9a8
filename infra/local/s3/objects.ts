import type { LocalDatabase, Row } from "../database.ts";
import { ALGORITHMS, type Algorithm, algorithmNamed, type Checksum, type Digests } from "./checksums.ts";
import type { DataFiles } from "./files.ts";
import { numberOf, stringsOf, textOf } from "./schema.ts";

export type Piece = { dataId: number; sizeBytes: number };

/** What a key stands for. `etag` has no quotes; `modifiedAt` is in milliseconds, on a full second. */
export type Entry = {
  bucket: string;
  key: string;
  contentId: number;
  sizeBytes: number;
  etag: string;
  modifiedAt: number;
  /** Content type, cache control and the like, under their header names in lower case. */
  headers: Record<string, string>;
  metadata: Record<string, string>;
  checksum: Checksum;
  digests: Digests;
  /** Of an object that was uploaded in parts: its pieces are its parts. */
  partCount: number | undefined;
};

export type NewContent = { id: number; pieces: readonly Piece[]; digests: Digests };
type Content = Pick<Entry, "contentId" | "sizeBytes" | "digests">;
export type EntryFields = Pick<Entry, "bucket" | "key" | "etag" | "headers" | "metadata" | "checksum" | "partCount">;
export type ObjectEvent = "ObjectCreated:Put" | "ObjectCreated:Copy" | "ObjectCreated:CompleteMultipartUpload";
export type Created = { bucket: string; key: string; sizeBytes: number; eTag: string; eventName: ObjectEvent };

/** The keys of all buckets and what they stand for. Every method is one step; callers join them in a transaction. */
export type Objects = ReturnType<typeof openObjects>;

const ENTRY = `SELECT e.*, c.size_bytes, c.digests FROM object_entry e JOIN object_content c ON c.id = e.content_id`;

export function openObjects(
  db: LocalDatabase,
  files: DataFiles,
  now: () => Date,
  onCreated: ((created: Created) => void) | undefined,
) {
  function find(bucket: string, key: string): Entry | undefined {
    const row = db.statement(`${ENTRY} WHERE e.bucket = ? AND e.key = ?`).get(bucket, key);
    return row && entryOf(row);
  }

  function piecesOf(contentId: number): Piece[] {
    return db
      .statement("SELECT data_id, size_bytes FROM object_piece WHERE content_id = ? ORDER BY position")
      .all(contentId)
      .map((row) => ({ dataId: numberOf(row, "data_id"), sizeBytes: numberOf(row, "size_bytes") }));
  }

  function discard(dataId: number): void {
    // What is in the database is part of every copy of it, and need not stay for one.
    if (files.small.remove(dataId)) return;
    db.statement("INSERT OR IGNORE INTO object_garbage VALUES (?, ?)").run(dataId, now().getTime());
  }

  /** A content whose last key is gone is forgotten, and its bodies go, files once they are old enough. */
  function release(contentId: number): void {
    if (db.statement("SELECT 1 AS used FROM object_entry WHERE content_id = ? LIMIT 1").get(contentId)) return;
    for (const piece of piecesOf(contentId)) discard(piece.dataId);
    db.statement("DELETE FROM object_piece WHERE content_id = ?").run(contentId);
    db.statement("DELETE FROM object_content WHERE id = ?").run(contentId);
  }

  function addContent({ id, pieces, digests }: NewContent): Content {
    const sizeBytes = pieces.reduce((sum, piece) => sum + piece.sizeBytes, 0);
    db.statement("INSERT INTO object_content VALUES (?, ?, ?)").run(id, sizeBytes, digestsToText(digests));
    for (const [position, piece] of pieces.entries())
      db.statement("INSERT INTO object_piece VALUES (?, ?, ?, ?)").run(id, position, piece.dataId, piece.sizeBytes);
    return { contentId: id, sizeBytes, digests };
  }

  /** Makes the key stand for a content, new or another key's, and tells of it in the same instant: within a transaction. */
  function set(fields: EntryFields, content: NewContent | number, eventName: ObjectEvent): Entry {
    const { bucket, key, etag, headers, metadata, checksum, partCount } = fields;
    const before = find(bucket, key);
    const known = typeof content === "number" ? contentOf(content) : addContent(content);
    const { contentId, sizeBytes } = known;
    const modifiedAt = Math.floor(now().getTime() / 1_000) * 1_000;
    const texts = [headers, metadata, checksum].map((value) => JSON.stringify(value));
    db.statement("INSERT OR REPLACE INTO object_entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)").run(
      ...[bucket, key, contentId, etag, modifiedAt, ...texts, partCount ?? null],
    );
    if (before && before.contentId !== contentId) release(before.contentId);
    onCreated?.({ bucket, key, sizeBytes, eTag: etag, eventName });
    return { ...fields, ...known, modifiedAt };
  }

  function remove(bucket: string, key: string): void {
    db.transaction(() => {
      const before = find(bucket, key);
      if (!before) return;
      db.statement("DELETE FROM object_entry WHERE bucket = ? AND key = ?").run(bucket, key);
      release(before.contentId);
    });
  }

  function contentOf(contentId: number): Content {
    const row = db.statement("SELECT size_bytes, digests FROM object_content WHERE id = ?").get(contentId);
    if (!row) throw new Error(`there is no content ${contentId}`);
    return { contentId, sizeBytes: numberOf(row, "size_bytes"), digests: digestsOf(row) };
  }

  function hasContent(contentId: number): boolean {
    return db.statement("SELECT 1 AS there FROM object_content WHERE id = ?").get(contentId) !== undefined;
  }

  function learnDigests(contentId: number, digests: Digests): void {
    db.statement("UPDATE object_content SET digests = ? WHERE id = ?").run(digestsToText(digests), contentId);
  }

  return { find, piecesOf, set, remove, discard, hasContent, learnDigests };
}

function entryOf(row: Row): Entry {
  const { algorithm = "", type, value = "" } = stringsOf(row, "checksum");
  return {
    bucket: textOf(row, "bucket"),
    key: textOf(row, "key"),
    contentId: numberOf(row, "content_id"),
    sizeBytes: numberOf(row, "size_bytes"),
    etag: textOf(row, "etag"),
    modifiedAt: numberOf(row, "modified_at"),
    headers: stringsOf(row, "headers"),
    metadata: stringsOf(row, "metadata"),
    checksum: {
      algorithm: algorithmNamed(algorithm) ?? "CRC64NVME",
      type: type === "COMPOSITE" ? "COMPOSITE" : "FULL_OBJECT",
      value,
    },
    digests: digestsOf(row),
    partCount: row.part_count === null ? undefined : numberOf(row, "part_count"),
  };
}

export function digestsToText(digests: Digests): string {
  return JSON.stringify(Object.fromEntries([...digests].map(([name, digest]) => [name, digest.toString("base64")])));
}

export function digestsOf(row: Row): Digests {
  const known = stringsOf(row, "digests");
  const digests = new Map<Algorithm, Buffer>();
  for (const algorithm of ALGORITHMS) {
    const text = known[algorithm];
    if (text !== undefined) digests.set(algorithm, Buffer.from(text, "base64"));
  }
  return digests;
}
