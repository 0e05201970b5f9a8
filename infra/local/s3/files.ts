import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { type FileHandle, mkdir, open as openPath, rm } from "node:fs/promises";
import { join } from "node:path";
import type { LocalDatabase } from "../database.ts";
import { numberOf } from "./schema.ts";
import { openSmallBodies, type SmallBodies, type SmallLimits } from "./small.ts";

/** Bytes on their way in, to a file or into the database: nobody sees them before a transaction refers to them. */
export type Draft = {
  /** What was given belongs to the draft. */
  write(bytes: Uint8Array[]): Promise<void>;
  /** Ends the writing. What was to be in a file is on the disk then, under the number that is told. */
  place(): Promise<number>;
  /** To be called in the transaction that refers to the number. */
  keep(): void;
  /** When that transaction failed, or there was none; may be called again. */
  discard(): Promise<void>;
};

/** A file that is written. */
type OpenFile = Pick<Draft, "write" | "place" | "discard">;

export type DataFiles = {
  /** Bodies that are in the database. */
  small: SmallBodies;
  draft(): Draft;
  /** A number that no file and no content ever had. */
  nextId(): number;
  open(id: number): Promise<FileHandle>;
  sizeOf(id: number): number | undefined;
  unlink(id: number): void;
};

/** The size of a data file, also in a folder that is not open; undefined where there is none. */
export function dataFileSize(folder: string, id: number): number | undefined {
  return statSync(dataPath(folder, id), { throwIfNoEntry: false })?.size;
}

function dataPath(folder: string, id: number): string {
  return join(folder, "data", shelf(id), String(id));
}

function shelf(id: number): string {
  return (id % 256).toString(16).padStart(2, "0");
}

/** Each time is a commit; what a process leaves of them is looked for when the next one starts. */
const RESERVED_AT_ONCE = 1024;

/**
 * `FOLDER/data/XX/ID`: numbered upwards, and never changed once the database refers to them. No name from outside ever becomes
 * part of a path. A file has its name from its first byte on: nothing is renamed, so that whoever copies the folder meanwhile never
 * finds a name gone. What an earlier process left unfinished has a number that nothing refers to (see `sweepOrphans`).
 */
export function openDataFiles(folder: string, db: LocalDatabase, limits?: SmallLimits): DataFiles {
  const small = openSmallBodies(db, limits);
  mkdirSync(join(folder, "data"), { recursive: true, mode: 0o700 });
  const ready = new Set(readdirSync(join(folder, "data")));
  let next = 0;
  let reserved = 0;

  const pathOf = (id: number) => dataPath(folder, id);

  function nextId(): number {
    if (next === reserved) {
      const row = db.transaction(() =>
        db.statement("UPDATE object_sequence SET next = next + ? RETURNING next").get(RESERVED_AT_ONCE),
      );
      reserved = row ? numberOf(row, "next") : 0;
      next = reserved - RESERVED_AT_ONCE;
    }
    return next++;
  }

  async function makeShelf(id: number): Promise<string> {
    const path = join(folder, "data", shelf(id));
    if (!ready.has(shelf(id))) {
      await mkdir(path, { recursive: true, mode: 0o700 });
      await syncFolder(join(folder, "data"));
      ready.add(shelf(id));
    }
    return path;
  }

  function draft(): Draft {
    const held: Uint8Array[] = [];
    let heldBytes = 0;
    let id: number | undefined;
    let file: OpenFile | undefined;
    return {
      async write(bytes) {
        if (file) return await file.write(bytes);
        for (const one of bytes) heldBytes += one.length;
        held.push(...bytes);
        if (small.fits(heldBytes)) return;
        file = await openFile();
        await file.write(held.splice(0));
      },
      async place() {
        id = file ? await file.place() : nextId();
        return id;
      },
      keep() {
        if (id !== undefined && !file) small.put(id, Buffer.concat(held));
      },
      discard: async () => await file?.discard(),
    };
  }

  async function openFile(): Promise<OpenFile> {
    const id = nextId();
    const shelfPath = await makeShelf(id);
    // Truncated: in a copy whose database went back, a later file of the original may stand there.
    const handle = await openPath(pathOf(id), "w", 0o600);
    let open = true;
    return {
      async write(bytes) {
        let rest = bytes;
        while (rest.length > 0) {
          const { bytesWritten } = await handle.writev(rest);
          rest = without(rest, bytesWritten);
        }
      },
      async place() {
        await Promise.all([handle.sync(), syncFolder(shelfPath)]);
        open = false;
        await handle.close();
        return id;
      },
      async discard() {
        if (open) await handle.close().catch(() => undefined);
        open = false;
        await rm(pathOf(id), { force: true });
      },
    };
  }

  return {
    small,
    draft,
    nextId,
    open: (id) => openPath(pathOf(id), "r"),
    sizeOf: (id) => dataFileSize(folder, id),
    unlink: (id) => rmSync(pathOf(id), { force: true }),
  };
}

/** What of `bytes` is left after the first `count` of them. */
function without(bytes: Uint8Array[], count: number): Uint8Array[] {
  let skip = count;
  let first = 0;
  while (first < bytes.length && skip >= (bytes[first]?.length ?? 0)) skip -= bytes[first++]?.length ?? 0;
  const rest = bytes.slice(first);
  if (rest[0] && skip > 0) rest[0] = rest[0].subarray(skip);
  return rest;
}

async function syncFolder(path: string): Promise<void> {
  const handle = await openPath(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
