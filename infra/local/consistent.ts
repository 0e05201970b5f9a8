import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AppError } from "../../shared/error.ts";
import { type DatabaseOptions, type LocalDatabase, openDatabase, type Statement } from "./database.ts";
import { fsyncPath, generationPath, generationsIn, probeFolder, storeFolder } from "./store-folder.ts";
import { commitEnds } from "./wal.ts";

/** One instant of the database, to look at. A table that is not there yet is no reason to call it torn. */
export type Instant = { statement(sql: string): Pick<Statement, "get" | "all"> };

export type ConsistentOptions = DatabaseOptions & { onRollback?: (message: string) => void };

/**
 * Opens a folder that may be a copy made while it was in use, in which the database is younger than the files that it names.
 * `isConsistent` says whether all that an instant names is there; where it is not, the database goes back to its newest instant
 * for which it is (what is cut off stays beside it, in `set-aside-…`).
 *
 * Files must stay for a while after the database has forgotten them: then an instant between the copying of the files and
 * that of the database is always whole.
 *
 * @throws AppError `unavailable` when no instant is whole, and as `openDatabase`.
 */
export function openConsistent(
  folder: string,
  isConsistent: (instant: Instant) => boolean,
  options: ConsistentOptions = {},
): LocalDatabase {
  probeFolder(folder);
  const store = storeFolder(folder);
  try {
    rollBack(folder, isConsistent, options);
  } finally {
    store.unlock();
  }
  return openDatabase(folder, options);
}

function rollBack(folder: string, isConsistent: (instant: Instant) => boolean, options: ConsistentOptions): void {
  const generations = generationsIn(folder).reverse();
  const [newest] = generations;
  if (newest === undefined || probe(folder, newest, undefined, isConsistent)) return;
  for (const generation of generations) {
    const end = newestWhole(folder, generation, isConsistent);
    if (end === undefined) continue;
    const aside = setAside(folder, generation, end);
    options.onRollback?.(
      `${folder} is a copy whose database was newer than its files: it went back to its newest whole instant; ` +
        `what was cut off lies in ${aside}`,
    );
    return;
  }
  throw new AppError(
    "unavailable",
    `${folder} is not a whole copy: the database names files that are missing at every instant it holds`,
  );
}

/** The length of the longest WAL whose instant is whole, 0 for the main file alone; undefined when there is none. */
function newestWhole(
  folder: string,
  generation: number,
  isConsistent: (instant: Instant) => boolean,
): number | undefined {
  const wal = `${generationPath(folder, generation)}-wal`;
  const ends = [0, ...(existsSync(wal) ? commitEnds(wal) : [])];
  const whole = (index: number) => probe(folder, generation, ends[index], isConsistent);
  // From the end in steps of 1, 2, 4 …: very early instants may name files that were rightly deleted since, so that the
  // middle of the log tells nothing. Then between the last two.
  let bad = ends.length;
  let good: number | undefined;
  for (let step = 1; good === undefined && bad > 0; step *= 2) {
    const index = Math.max(0, bad - step);
    if (whole(index)) good = index;
    else bad = index;
  }
  if (good === undefined) return undefined;
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (whole(middle)) good = middle;
    else bad = middle;
  }
  return ends[good];
}

/** Looks at the newest instant in place, and at an earlier one in a copy. Both read-only: nothing is folded into the main file. */
function probe(
  folder: string,
  generation: number,
  walBytes: number | undefined,
  isConsistent: (instant: Instant) => boolean,
): boolean {
  const main = generationPath(folder, generation);
  if (walBytes === undefined) return look(main, isConsistent);
  const place = mkdtempSync(join(folder, "probe-"));
  try {
    const copy = join(place, "probe.sqlite");
    copyFileSync(main, copy, constants.COPYFILE_FICLONE);
    if (walBytes > 0) {
      copyFileSync(`${main}-wal`, `${copy}-wal`, constants.COPYFILE_FICLONE);
      truncateSync(`${copy}-wal`, walBytes);
    }
    return look(copy, isConsistent);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

function look(path: string, isConsistent: (instant: Instant) => boolean): boolean {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return isConsistent({ statement: (sql) => db.prepare(sql) });
  } catch (error) {
    if (error instanceof Error && /^no such table/.test(error.message)) return true;
    throw error;
  } finally {
    db.close();
  }
}

/** Cuts the WAL at `end` and takes younger generations away; nothing is lost for good. */
function setAside(folder: string, generation: number, end: number): string {
  const aside = join(folder, `set-aside-${new Date().toISOString().replaceAll(":", "")}`);
  mkdirSync(aside, { mode: 0o700 });
  const wal = `${generationPath(folder, generation)}-wal`;
  if (existsSync(wal) && statSync(wal).size > end) {
    copyFileSync(wal, join(aside, `store-${generation}.sqlite-wal`));
    fsyncPath(join(aside, `store-${generation}.sqlite-wal`));
    truncateSync(wal, end);
    fsyncPath(wal);
  }
  for (const younger of generationsIn(folder).filter((other) => other > generation)) {
    const main = generationPath(folder, younger);
    // The main file first: without its WAL it would pass for the newest instant, if we were killed here.
    const names = readdirSync(folder).filter((name) => join(folder, name).startsWith(`${main}-`));
    renameSync(main, join(aside, `store-${younger}.sqlite`));
    for (const name of names) renameSync(join(folder, name), join(aside, name));
  }
  fsyncPath(folder);
  return aside;
}
