import type { LocalDatabase } from "../database.ts";
import { numberOf, textOf } from "./schema.ts";

export type ListedObject = {
  key: string;
  sizeBytes: number;
  etag: string;
  modifiedAt: number;
  algorithm: string;
  type: string;
};
export type Listed = { kind: "object"; object: ListedObject } | { kind: "prefix"; prefix: string };
export type Listing = { found: Listed[]; truncated: boolean; last: string | undefined };

const BATCH = 256;
/** Sorts behind everything that begins with what it is appended to (but for keys that have it themselves). */
const LAST = "\u{10ffff}";

/** The common prefix that a key falls under, or undefined where it stands for itself. */
export function commonPrefix(key: string, prefix: string, delimiter: string): string | undefined {
  if (delimiter === "") return undefined;
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.slice(0, at + delimiter.length);
}

/**
 * Keys in the order of their UTF-8 bytes (SQLite's own for text), those with the delimiter behind the prefix rolled up.
 * @param after a key or a common prefix: begins behind it
 */
export function listKeys(
  db: LocalDatabase,
  bucket: string,
  { prefix, delimiter, after, limit }: { prefix: string; delimiter: string; after: string; limit: number },
): Listing {
  const select = db.statement(
    `SELECT e.key, e.etag, e.modified_at, e.checksum ->> 'algorithm' AS algorithm, e.checksum ->> 'type' AS type, c.size_bytes
     FROM object_entry e JOIN object_content c ON c.id = e.content_id
     WHERE e.bucket = ? AND e.key >= ? AND e.key > ? ORDER BY e.key LIMIT ${BATCH}`,
  );
  const found: Listed[] = [];
  let last: string | undefined;
  const under = commonPrefix(after, prefix, delimiter);
  // A page that ended with a common prefix goes on behind all its keys.
  let cursor = under === after && after.startsWith(prefix) ? after + LAST : after;
  let rolledUp = under === after ? after : undefined;
  for (;;) {
    const rows = select.all(bucket, prefix, cursor);
    for (const row of rows) {
      const key = textOf(row, "key");
      if (!key.startsWith(prefix)) return { found, truncated: false, last };
      cursor = key;
      const group = commonPrefix(key, prefix, delimiter);
      if (group !== undefined && group === rolledUp) continue;
      if (found.length >= limit) return { found, truncated: limit > 0, last };
      rolledUp = group;
      last = group ?? key;
      found.push(
        group === undefined ? { kind: "object", object: objectOf(row, key) } : { kind: "prefix", prefix: group },
      );
    }
    if (rows.length < BATCH) return { found, truncated: false, last };
    if (rolledUp !== undefined && cursor.startsWith(rolledUp)) cursor = rolledUp + LAST;
  }
}

function objectOf(row: Parameters<typeof textOf>[0], key: string): ListedObject {
  return {
    key,
    sizeBytes: numberOf(row, "size_bytes"),
    etag: textOf(row, "etag"),
    modifiedAt: numberOf(row, "modified_at"),
    algorithm: textOf(row, "algorithm"),
    type: textOf(row, "type"),
  };
}
