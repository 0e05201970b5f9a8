import type { LocalDatabase, Row } from "../database.ts";

/** What was stored lies in `object_content`: one body (or, after a multipart upload, several) and its digests. */
const TABLES = [
  `CREATE TABLE IF NOT EXISTS object_bucket (name TEXT PRIMARY KEY, created_at INTEGER NOT NULL) STRICT`,
  // Numbers of data files and contents. They are reserved in blocks and never given twice, even when a write failed.
  `CREATE TABLE IF NOT EXISTS object_sequence (only INTEGER PRIMARY KEY CHECK (only = 1), next INTEGER NOT NULL,
     swept INTEGER NOT NULL) STRICT`,
  `INSERT OR IGNORE INTO object_sequence VALUES (1, 1, 1)`,
  `CREATE TABLE IF NOT EXISTS object_content (id INTEGER PRIMARY KEY, size_bytes INTEGER NOT NULL, digests TEXT NOT NULL) STRICT`,
  `CREATE TABLE IF NOT EXISTS object_piece (content_id INTEGER NOT NULL, position INTEGER NOT NULL, data_id INTEGER NOT NULL,
     size_bytes INTEGER NOT NULL, PRIMARY KEY (content_id, position)) STRICT, WITHOUT ROWID`,
  `CREATE UNIQUE INDEX IF NOT EXISTS object_piece_data ON object_piece (data_id)`,
  `CREATE TABLE IF NOT EXISTS object_entry (bucket TEXT NOT NULL, key TEXT NOT NULL, content_id INTEGER NOT NULL, etag TEXT NOT NULL,
     modified_at INTEGER NOT NULL, headers TEXT NOT NULL, metadata TEXT NOT NULL, checksum TEXT NOT NULL, part_count INTEGER,
     PRIMARY KEY (bucket, key)) STRICT, WITHOUT ROWID`,
  `CREATE INDEX IF NOT EXISTS object_entry_content ON object_entry (content_id)`,
  `CREATE TABLE IF NOT EXISTS object_upload (id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, started_at INTEGER NOT NULL,
     headers TEXT NOT NULL, metadata TEXT NOT NULL, algorithm TEXT, checksum_type TEXT NOT NULL) STRICT, WITHOUT ROWID`,
  `CREATE INDEX IF NOT EXISTS object_upload_key ON object_upload (bucket, key, id)`,
  `CREATE TABLE IF NOT EXISTS object_part (upload_id TEXT NOT NULL, number INTEGER NOT NULL, data_id INTEGER NOT NULL,
     size_bytes INTEGER NOT NULL, digests TEXT NOT NULL, algorithm TEXT, modified_at INTEGER NOT NULL,
     PRIMARY KEY (upload_id, number)) STRICT, WITHOUT ROWID`,
  `CREATE UNIQUE INDEX IF NOT EXISTS object_part_data ON object_part (data_id)`,
  // A body has its row here or, under the same number, its file.
  `CREATE TABLE IF NOT EXISTS object_bytes (data_id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT`,
  // Data files that no key needs any more; they stay for whoever is copying an earlier instant of the folder.
  `CREATE TABLE IF NOT EXISTS object_garbage (data_id INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT`,
];

export function createTables(db: LocalDatabase): void {
  db.transaction(() => {
    for (const sql of TABLES) db.statement(sql).run();
  });
}

export function textOf(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw new TypeError(`column ${column} is no text`);
  return value;
}

export function numberOf(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== "number") throw new TypeError(`column ${column} is no number`);
  return value;
}

/** A JSON column that holds an object of strings. */
export function stringsOf(row: Row, column: string): Record<string, string> {
  const parsed: unknown = JSON.parse(textOf(row, column));
  if (typeof parsed !== "object" || parsed === null) throw new TypeError(`column ${column} is no object`);
  const strings: Record<string, string> = {};
  for (const [name, value] of Object.entries(parsed)) {
    if (typeof value !== "string") throw new TypeError(`column ${column}: ${name} is no text`);
    strings[name] = value;
  }
  return strings;
}
