import type { Instant } from "../consistent.ts";
import type { LocalDatabase } from "../database.ts";
import type { DataFiles } from "./files.ts";
import { numberOf } from "./schema.ts";

const REFERENCED = `SELECT data_id, size_bytes FROM object_piece WHERE data_id > ?
  UNION ALL SELECT data_id, size_bytes FROM object_part WHERE data_id > ? ORDER BY data_id`;

/**
 * Removes the files of data that has been garbage for longer than `olderThanMs`. Files go before their rows: a crash in
 * between leaves rows, which the next sweep takes.
 */
export function sweepGarbage(db: LocalDatabase, files: DataFiles, now: Date, olderThanMs: number): void {
  const until = now.getTime() - olderThanMs;
  for (const row of db.statement("SELECT data_id FROM object_garbage WHERE at <= ?").all(until))
    files.unlink(numberOf(row, "data_id"));
  db.transaction(() => db.statement("DELETE FROM object_garbage WHERE at <= ?").run(until));
}

/** Files that got their name, but whose transaction never came: a process ended in between. Nobody ever referred to them. */
export function sweepOrphans(db: LocalDatabase, files: DataFiles): void {
  const row = db.statement("SELECT next, swept FROM object_sequence").get();
  if (!row) return;
  const [from, to] = [numberOf(row, "swept"), numberOf(row, "next")];
  const known = new Set(
    db
      .statement(REFERENCED)
      .all(from - 1, from - 1)
      .map((one) => numberOf(one, "data_id")),
  );
  for (const one of db.statement("SELECT data_id FROM object_garbage WHERE data_id >= ?").all(from))
    known.add(numberOf(one, "data_id"));
  for (let id = from; id < to; id++) if (!known.has(id)) files.unlink(id);
  db.transaction(() => db.statement("UPDATE object_sequence SET swept = ?").run(to));
}

/** The smallest number above `floor` that something refers to and whose file is missing or not whole. */
export function missingData(db: Instant, files: Pick<DataFiles, "sizeOf">, floor: number): number | undefined {
  // An instant of before there were bodies in the database has no such table, and all of them in files.
  const mayHold = db.statement("SELECT 1 FROM sqlite_schema WHERE name = 'object_bytes'").get() !== undefined;
  const held = mayHold ? db.statement("SELECT data_id FROM object_bytes WHERE data_id > ?").all(floor) : [];
  const small = new Set(held.map((row) => numberOf(row, "data_id")));
  for (const row of db.statement(REFERENCED).all(floor, floor)) {
    const id = numberOf(row, "data_id");
    if (small.has(id)) continue;
    if (files.sizeOf(id) !== numberOf(row, "size_bytes")) return id;
  }
  return undefined;
}
