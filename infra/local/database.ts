import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";

/** One SQLite file that holds the table, the queues and the object keys, so that one instant of it is one state of all. */
export type LocalDatabase = {
  /** Prepared once and kept. */
  statement(sql: string): StatementSync;
  /** Runs `work` (synchronous) in one transaction; joins the outer one when there is one; rolls back when it throws. */
  transaction<T>(work: () => T): T;
  close(): void;
};

export function openDatabase(folder: string): LocalDatabase {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const sqlite = new DatabaseSync(join(folder, "store.sqlite"));
  sqlite.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON");
  const prepared = new Map<string, StatementSync>();
  let depth = 0;
  return {
    statement(sql) {
      const known = prepared.get(sql);
      if (known) return known;
      const made = sqlite.prepare(sql);
      prepared.set(sql, made);
      return made;
    },
    transaction(work) {
      if (depth > 0) return work();
      sqlite.exec("BEGIN IMMEDIATE");
      depth += 1;
      try {
        const result = work();
        sqlite.exec("COMMIT");
        return result;
      } catch (error) {
        sqlite.exec("ROLLBACK");
        throw error;
      } finally {
        depth -= 1;
      }
    },
    close: () => sqlite.close(),
  };
}
