import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AppError } from "../../shared/error.ts";

/** The files of the database in its folder: generations, drafts of the next one, and the lock. */
export type StoreFolder = {
  readonly folder: string;
  path(generation: number): string;
  draft(generation: number): string;
  newest(): number | undefined;
  /** Gives a finished draft its name. */
  adopt(draft: string, generation: number): void;
  forgetDrafts(): void;
  /** Deletes generations that were followed by another more than `keepMs` ago. */
  forgetOld(keepMs: number): void;
  unlock(): void;
};

const GENERATION = /^store-(\d{6,})\.sqlite$/;
const PROBE_BYTES = 1 << 20;
/** So many earlier generations are kept whatever their age allows; beyond it, five minutes each. */
const KEEP_AT_MOST = 8;
const KEEP_AT_LEAST_MS = 300_000;

export function generationPath(folder: string, generation: number): string {
  return join(folder, `store-${String(generation).padStart(6, "0")}.sqlite`);
}

/** Oldest first. */
export function generationsIn(folder: string): number[] {
  return readdirSync(folder)
    .flatMap((name) => GENERATION.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/** Locks the folder and clears what a killed process left. */
export function storeFolder(folder: string): StoreFolder {
  const unlock = lock(folder);
  const store: StoreFolder = {
    folder,
    path: (generation) => generationPath(folder, generation),
    draft: (generation) => `${generationPath(folder, generation)}.draft`,
    newest: () => generationsIn(folder).at(-1),
    adopt(draft, generation) {
      // A stray WAL of that number would be taken for this file's own.
      for (const suffix of ["-wal", "-shm"]) rmSync(generationPath(folder, generation) + suffix, { force: true });
      renameSync(draft, generationPath(folder, generation));
      fsyncPath(folder);
    },
    forgetDrafts() {
      for (const name of readdirSync(folder)) {
        if (name.includes(".draft") || name.startsWith("probe-"))
          rmSync(join(folder, name), { force: true, recursive: true });
      }
    },
    forgetOld(keepMs) {
      const all = generationsIn(folder);
      for (const [index, generation] of all.slice(0, -1).entries()) {
        // A main file never changes, so the time of the next one is when this one was left.
        const leftMs = Date.now() - statSync(generationPath(folder, all[index + 1] ?? generation)).mtimeMs;
        const tooMany = all.length - 1 - index > KEEP_AT_MOST;
        if (leftMs > (tooMany ? Math.min(keepMs, KEEP_AT_LEAST_MS) : keepMs)) removeGeneration(folder, generation);
      }
    },
    unlock,
  };
  store.forgetDrafts();
  // Only an index over the WAL, and in a copy one of another moment.
  for (const name of readdirSync(folder)) if (name.endsWith(".sqlite-shm")) rmSync(join(folder, name), { force: true });
  return store;
}

function removeGeneration(folder: string, generation: number): void {
  // The main file last: a WAL alone would be taken up by nobody.
  for (const suffix of ["-shm", "-wal", ""]) rmSync(generationPath(folder, generation) + suffix, { force: true });
}

/** An SQLite lock on a file of its own: the kernel drops it with the process, however that ends. */
function lock(folder: string): () => void {
  let held: DatabaseSync | undefined;
  try {
    held = new DatabaseSync(join(folder, "lock.sqlite"));
    held.exec("PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
  } catch (error) {
    held?.close();
    if (sqliteCode(error) === SQLITE.busy) {
      throw new AppError("conflict", `${folder} is in use by another Packhouse: stop that one, or set PACKHOUSE_DATA`);
    }
    throw sqliteError(folder, error);
  }
  return () => {
    if (held?.isOpen) held.close();
  };
}

/** Makes the folder and writes a megabyte into it, so that a start on a full disk ends here and not half-way. */
export function probeFolder(folder: string): void {
  const probe = join(folder, `probe-${process.pid}.draft`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const file = openSync(probe, "w", 0o600);
    try {
      writeAll(file, Buffer.alloc(PROBE_BYTES, 1));
      fsyncSync(file);
    } finally {
      closeSync(file);
      rmSync(probe, { force: true });
    }
  } catch (error) {
    throw fileError(folder, error);
  }
}

function writeAll(file: number, bytes: Buffer): void {
  for (let offset = 0; offset < bytes.length; ) offset += writeSync(file, bytes, offset);
}

export function fsyncPath(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

const REASONS: Record<string, string> = {
  ENOSPC: "no space left on device",
  EDQUOT: "disk quota exceeded",
  EROFS: "read-only file system",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  ENOTDIR: "a part of the path is not a folder",
  EEXIST: "a file of that name is in the way",
};

/** What the file system said, in one line that names the folder; anything else stays as it is. */
export function fileError(folder: string, error: unknown): unknown {
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  const reason = REASONS[code];
  return reason === undefined ? error : new AppError("unavailable", `cannot write to ${folder}: ${reason}`, { code });
}

const SQLITE = { busy: 5, readonly: 8, ioerr: 10, corrupt: 11, full: 13, cantopen: 14, notadb: 26 };

/** SQLite's primary result code (https://www.sqlite.org/rescode.html), or undefined for another kind of error. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return undefined;
  return error.errcode & 0xff;
}

/** As `fileError`, for what SQLite throws. */
export function sqliteError(folder: string, error: unknown): unknown {
  const unavailable = (text: string) =>
    new AppError("unavailable", text, { cause: error instanceof Error ? error.message : String(error) });
  switch (sqliteCode(error)) {
    case SQLITE.full:
      return unavailable(`cannot write to ${folder}: no space left on device`);
    case SQLITE.readonly:
      return unavailable(`cannot write to ${folder}: it is read-only`);
    case SQLITE.ioerr:
      return unavailable(`cannot write to ${folder}: the disk reports an error, or is full`);
    case SQLITE.cantopen:
      return unavailable(`cannot open the database in ${folder}: permission denied, or not a folder`);
    case SQLITE.busy:
      return new AppError("conflict", `the database in ${folder} is in use by another program`);
    case SQLITE.corrupt:
    case SQLITE.notadb:
      return unavailable(`the database in ${folder} is damaged: start from a copy of it`);
    default:
      return fileError(folder, error);
  }
}
