import { statSync } from "node:fs";
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { AppError } from "../../shared/error.ts";
import { groupCommit } from "./group-commit.ts";
import { fsyncPath, probeFolder, type StoreFolder, sqliteError, storeFolder } from "./store-folder.ts";

export type Row = Record<string, SQLOutputValue>;

/** May be kept for ever: it outlives the change to a new generation of the file. */
export type Statement = {
  run(...values: SQLInputValue[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  get(...values: SQLInputValue[]): Row | undefined;
  all(...values: SQLInputValue[]): Row[];
};

/** One SQLite file that holds the table, the queues and the object keys, so that one instant of it is one state of all. */
export type LocalDatabase = {
  /** Prepared once and kept; the same text gives the same statement. */
  statement(sql: string): Statement;
  /** Runs `work` (synchronous) in one transaction; a savepoint of the outer one when there is one; rolls back when it throws. */
  transaction<T>(work: () => T): T;
  /**
   * As `transaction`, soon, in one commit with all others that ask in this turn of the event loop, in the order of asking. It settles
   * when that commit is on the disk. A work that throws is rolled back alone; a commit that fails fails all of its works.
   */
  together<T>(work: () => T): Promise<T>;
  close(): void;
};

export type DatabaseOptions = {
  /** The write-ahead log may grow to this (or to twice the main file) before a new generation is written. */
  walLimitBytes?: number;
  /** How long the files of an earlier generation stay for a copy that is under way. */
  keepOldMs?: number;
  onWarning?: (message: string) => void;
};

const DEFAULTS = { walLimitBytes: 128 << 20, keepOldMs: 3_600_000 };
const HOUSEKEEPING_MS = 1_000;
const RETRY_SWITCH_MS = 600_000;

/**
 * Opens (or makes) the newest generation `store-NNNNNN.sqlite` in `folder` and keeps every other process out.
 *
 * The folder may be copied by any tool while this runs: no checkpoint ever happens, so the main file never changes and
 * its WAL only grows; a copy holds a prefix of the WAL, which is an earlier instant, with all that was committed before the
 * copy began. Space is won back by writing the next generation beside it; the old files stay, unchanged, for an hour.
 *
 * @throws AppError `unavailable` when the folder cannot be written, `conflict` when another process has it.
 */
export function openDatabase(folder: string, options: DatabaseOptions = {}): LocalDatabase {
  probeFolder(folder);
  const store = storeFolder(folder);
  try {
    return serve(store, { ...DEFAULTS, ...options });
  } catch (error) {
    store.unlock();
    throw sqliteError(folder, error);
  }
}

/** While running a full disk is a fault, not a permanent error: what failed is rolled back and may be tried again. */
function asFault(folder: string, error: unknown): unknown {
  const clear = sqliteError(folder, error);
  return clear instanceof AppError ? new Error(clear.message, { cause: error }) : clear;
}

type Connection = { main: DatabaseSync; guard: DatabaseSync };

function connect(path: string): Connection {
  const main = new DatabaseSync(path);
  // FULL: a commit is on the disk when it returns, at about 0.2 ms each here (NORMAL: 0.03 ms, but with no checkpoint ever
  // it would never sync, and a power cut could take minutes of answered writes).
  main.exec("PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
  main.exec("PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY");
  main.prepare("SELECT count(*) FROM sqlite_schema").get();
  // SQLite folds the WAL into the main file when its last connection closes, under the feet of whoever copies it. A second,
  // read-only one that closes last prevents it: the first is not the last, and the second may not write.
  const guard = new DatabaseSync(path, { readOnly: true });
  guard.prepare("SELECT count(*) FROM sqlite_schema").get();
  return { main, guard };
}

function disconnect({ main, guard }: Connection): void {
  main.close();
  guard.close();
}

function endedEarly(): Error {
  return new Error("the transaction was rolled back before its end");
}

/** An empty or vacuumed file becomes a generation: marked as WAL once, on the disk, and only then under its name. */
function publish(store: StoreFolder, draft: string, number: number): void {
  const made = new DatabaseSync(draft);
  made.exec("PRAGMA journal_mode = WAL");
  made.close();
  fsyncPath(draft);
  store.adopt(draft, number);
}

function serve(
  store: StoreFolder,
  options: Required<Omit<DatabaseOptions, "onWarning">> & DatabaseOptions,
): LocalDatabase {
  let number = store.newest();
  if (number === undefined) {
    number = 1;
    publish(store, store.draft(number), number);
  }
  let connection = connect(store.path(number));
  let epoch = 0;
  let depth = 0;
  let closed = false;
  let switchNotBefore = 0;
  const statements = new Map<string, Statement>();

  function prepareAnew(sql: string): Statement {
    let made: StatementSync | undefined;
    let madeIn = -1;
    const current = (): StatementSync => {
      // A full disk may end a transaction by itself: what its work still does would be committed one by one.
      if (depth > 0 && !connection.main.isTransaction) throw endedEarly();
      if (made && madeIn === epoch) return made;
      made = connection.main.prepare(sql);
      madeIn = epoch;
      return made;
    };
    const guarded = <T>(work: () => T): T => {
      try {
        return work();
      } catch (error) {
        throw asFault(store.folder, error);
      }
    };
    return {
      run: (...values) => guarded(() => current().run(...values)),
      get: (...values) => guarded(() => current().get(...values)),
      all: (...values) => guarded(() => current().all(...values)),
    };
  }

  const closedError = () => new AppError("unavailable", `the database in ${store.folder} is closed`);

  function exec(sql: string): void {
    try {
      connection.main.exec(sql);
    } catch (error) {
      throw asFault(store.folder, error);
    }
  }

  function transaction<T>(work: () => T): T {
    // A savepoint outside of a transaction would begin one of its own.
    if (depth > 0 && !connection.main.isTransaction) throw endedEarly();
    const mark = `inner${depth}`;
    exec(depth === 0 ? "BEGIN IMMEDIATE" : `SAVEPOINT ${mark}`);
    depth += 1;
    try {
      const result = work();
      if (result instanceof Promise)
        throw new TypeError("a transaction is synchronous: its work may not return a promise");
      exec(depth === 1 ? "COMMIT" : `RELEASE ${mark}`);
      return result;
    } catch (error) {
      // A full disk may have ended the transaction already.
      if (connection.main.isTransaction) exec(depth === 1 ? "ROLLBACK" : `ROLLBACK TO ${mark}; RELEASE ${mark}`);
      throw error;
    } finally {
      depth -= 1;
    }
  }

  function nextGeneration(): void {
    const next = (number ?? 0) + 1;
    const draft = store.draft(next);
    connection.main.prepare("VACUUM INTO ?").run(draft);
    publish(store, draft, next);
    const old = connection;
    connection = connect(store.path(next));
    number = next;
    epoch += 1;
    disconnect(old);
  }

  function housekeeping(): void {
    if (closed || depth > 0) return;
    try {
      store.forgetOld(options.keepOldMs);
      const wal = statSync(`${store.path(number ?? 0)}-wal`, { throwIfNoEntry: false })?.size ?? 0;
      const limit = Math.max(options.walLimitBytes, 2 * statSync(store.path(number ?? 0)).size);
      if (wal <= limit || Date.now() < switchNotBefore) return;
      nextGeneration();
    } catch (error) {
      switchNotBefore = Date.now() + RETRY_SWITCH_MS;
      store.forgetDrafts();
      options.onWarning?.(
        `could not compact ${store.folder}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  function close(): void {
    if (closed) return;
    group.flush();
    closed = true;
    clearInterval(timer);
    process.off("exit", close);
    disconnect(connection);
    store.unlock();
  }

  const group = groupCommit(transaction, () => connection.main.isTransaction);
  housekeeping();
  const timer = setInterval(housekeeping, HOUSEKEEPING_MS);
  timer.unref();
  // Without this the process's end would close both connections in whatever order.
  process.on("exit", close);

  return {
    statement(sql) {
      if (closed) throw closedError();
      const known = statements.get(sql);
      if (known) return known;
      const made = prepareAnew(sql);
      statements.set(sql, made);
      return made;
    },
    transaction,
    together: (work) => (closed ? Promise.reject(closedError()) : group.together(work)),
    close,
  };
}
