import { createRequire } from "node:module";
import { Stream } from "node:stream";
import type { LocalDatabase } from "./database.ts";

/**
 * Where dynalite keeps its rows. It comes with LevelDB, whose files cannot be copied while it runs; here its rows lie in
 * our own database, so that table, queues and objects share one instant. dynalite is CommonJS without types: this is the
 * part of its store (dynalite 4, db/index.js) that its actions use. Every call answers before it returns, so that an
 * action can run inside a transaction.
 */
export type TableStore = {
  options: { createTableMs: number; deleteTableMs: number; updateTableMs: number; maxItemSize: number };
  tableDb: Part & { awsRegion: string; awsAccountId: string };
  getItemDb(table: string): Part;
  deleteItemDb(table: string, done: Done): void;
  getIndexDb(kind: string, table: string, index: string): Part;
  deleteIndexDb(kind: string, table: string, index: string, done: Done): void;
  getTagDb(table: string): Part;
  deleteTagDb(table: string, done: Done): void;
  getTable(name: string, checkStatus: boolean | Done, done?: Done): void;
};

export type Done = (error: unknown, value?: unknown) => void;
type Range = { gt?: string; gte?: string; lt?: string; lte?: string; reverse?: boolean; limit?: number };
type Part = {
  get(key: string, done: Done): void;
  put(key: string, value: unknown, done: Done): void;
  del(key: string, done: Done): void;
  batch(operations: { type: "put" | "del"; key: string; value?: unknown }[], done: Done): void;
  createKeyStream(range?: Range): RowStream;
  createValueStream(range?: Range): RowStream;
  lock: unknown;
};

const require = createRequire(import.meta.url);
const { Lock }: { Lock: () => unknown } = require("lock");

const FIRST_CHUNK_ROWS = 64;
const LARGEST_CHUNK_ROWS = 1_024;
const MAX_ITEM_BYTES = 409_600;

export function tableStore(db: LocalDatabase, region: string, isClosed: () => boolean): TableStore {
  // dynalite's keys are hex, '/' and '~': SQLite compares TEXT bytewise, as LevelDB does.
  db.statement(
    "CREATE TABLE IF NOT EXISTS dynamo (part TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (part, key)) WITHOUT ROWID",
  ).run();
  const parts = new Map<string, Part>();
  const part = (name: string): Part => {
    const known = parts.get(name);
    if (known) return known;
    const made = partOf(db, name);
    parts.set(name, made);
    return made;
  };
  const drop = (name: string, done: Done): void => {
    parts.delete(name);
    answer(done, () => void db.statement("DELETE FROM dynamo WHERE part = ?").run(name));
  };
  const tables = part("table");
  const tableDb = {
    ...tables,
    awsRegion: region,
    awsAccountId: "000000000000",
    // dynalite turns CREATING into ACTIVE, and DELETING into nothing, by a timer; a process killed in between would leave a
    // table in neither state for ever. So both are done at once, and the timer finds nothing to do.
    put: (key: string, value: unknown, done: Done) =>
      statusOf(value) === "DELETING" ? tables.del(key, done) : tables.put(key, activated(value), done),
    // The words that dynalite's timers know to pass over.
    del: (key: string, done: Done) => (isClosed() ? done(new Error("Database is closed")) : tables.del(key, done)),
  };
  const indexPart = (kind: string, table: string, index: string) => `index-${kind.toLowerCase()}~${table}~${index}`;

  return {
    options: { createTableMs: 0, deleteTableMs: 0, updateTableMs: 0, maxItemSize: MAX_ITEM_BYTES },
    tableDb,
    getItemDb: (table) => part(`item-${table}`),
    deleteItemDb: (table, done) => drop(`item-${table}`, done),
    getIndexDb: (kind, table, index) => part(indexPart(kind, table, index)),
    deleteIndexDb: (kind, table, index, done) => drop(indexPart(kind, table, index), done),
    getTagDb: (table) => part(`tag-${table}`),
    deleteTagDb: (table, done) => drop(`tag-${table}`, done),
    getTable(name, checkStatus, last) {
      const done = typeof checkStatus === "function" ? checkStatus : last;
      tableDb.get(name, (error, table) => {
        const missing = !error && (!isRecord(table) || (checkStatus && table.TableStatus === "DELETING"));
        done?.(missing ? notFound(name, Boolean(checkStatus)) : error, table);
      });
    },
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function statusOf(table: unknown): unknown {
  return isRecord(table) ? table.TableStatus : undefined;
}

function activated(table: unknown): unknown {
  if (!isRecord(table) || statusOf(table) !== "CREATING") return table;
  const indexes = table.GlobalSecondaryIndexes;
  const active = Array.isArray(indexes) ? indexes.map((index) => ({ ...index, IndexStatus: "ACTIVE" })) : undefined;
  return { ...table, TableStatus: "ACTIVE", ...(active ? { GlobalSecondaryIndexes: active } : {}) };
}

function notFound(name: string, terse: boolean): Error {
  const message = terse ? "Requested resource not found" : `Requested resource not found: Table: ${name} not found`;
  const body = { __type: "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", message };
  return Object.assign(new Error(message), { name: "NotFoundError", statusCode: 400, body });
}

/** An error is handed over, never thrown: dynalite would keep its lock on the key for ever. */
function answer(done: Done, work: () => unknown): void {
  let value: unknown;
  try {
    value = work();
  } catch (error) {
    done(error);
    return;
  }
  done(null, value);
}

function partOf(db: LocalDatabase, part: string): Part {
  const get = db.statement("SELECT value FROM dynamo WHERE part = ? AND key = ?");
  const put = db.statement(
    "INSERT INTO dynamo (part, key, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
  );
  const del = db.statement("DELETE FROM dynamo WHERE part = ? AND key = ?");
  const read = (range: Range, column: "key" | "value") => new RowStream(db, part, range, column);
  return {
    get: (key, done) =>
      answer(done, () => {
        const row = get.get(part, key);
        return row ? JSON.parse(String(row.value)) : undefined;
      }),
    put: (key, value, done) => answer(done, () => void put.run(part, key, JSON.stringify(value))),
    del: (key, done) => answer(done, () => void del.run(part, key)),
    batch: (operations, done) =>
      answer(done, () =>
        db.transaction(() => {
          for (const { type, key, value } of operations) {
            if (type === "put") put.run(part, key, JSON.stringify(value));
            else del.run(part, key);
          }
        }),
      ),
    createKeyStream: (range = {}) => read(range, "key"),
    createValueStream: (range = {}) => read(range, "value"),
    lock: Lock(),
  };
}

/**
 * As much of a stream as dynalite's `lazy` listens to: `data`, `end`, `error` and `destroy` (and it must be a Stream: of any
 * other emitter `lazy` takes every row twice). It reads in chunks by key, each
 * a statement of its own, growing as long as it is read on: a Query with Limit 1 reads two rows, not a page.
 */
class RowStream extends Stream {
  private destroyed = false;

  constructor(db: LocalDatabase, part: string, range: Range, column: "key" | "value") {
    super();
    const order = range.reverse ? "DESC" : "ASC";
    const from = range.gt === undefined ? "key >= ?" : "key > ?";
    const to = range.lt === undefined ? "key <= ?" : "key < ?";
    const select = (lower: string, upper: string) =>
      db.statement(
        `SELECT key, value FROM dynamo WHERE part = ? AND ${lower} AND ${upper} ORDER BY key ${order} LIMIT ?`,
      );
    let lower = range.gt ?? range.gte ?? "";
    let upper = range.lt ?? range.lte ?? "\u{10ffff}";
    let left = range.limit === undefined || range.limit < 0 ? Number.POSITIVE_INFINITY : range.limit;
    let first = true;
    let chunk = FIRST_CHUNK_ROWS;

    const next = (): void => {
      if (this.destroyed) return;
      try {
        const size = Math.min(left, chunk);
        const statement = first ? select(from, to) : range.reverse ? select(from, "key < ?") : select("key > ?", to);
        const rows = statement.all(part, lower, upper, size);
        for (const row of rows) {
          if (this.destroyed) return;
          this.emit("data", column === "key" ? row.key : JSON.parse(String(row.value)));
        }
        left -= rows.length;
        if (rows.length < size || left <= 0) {
          if (!this.destroyed) this.emit("end");
          return;
        }
        const last = String(rows.at(-1)?.key);
        if (range.reverse) upper = last;
        else lower = last;
        first = false;
        chunk = Math.min(chunk * 4, LARGEST_CHUNK_ROWS);
        setImmediate(next);
      } catch (error) {
        this.emit("error", error);
      }
    };
    // Once the caller has attached its listeners.
    setImmediate(next);
  }

  destroy(): void {
    this.destroyed = true;
  }
}
