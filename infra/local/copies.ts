import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openConsistent } from "./consistent.ts";
import { type DataFolder, markFormat } from "./data-folder.ts";
import { type LocalDatabase, openDatabase } from "./database.ts";
import { dataFileSize } from "./s3/files.ts";
import { missingData } from "./s3/garbage.ts";

/**
 * Opens the database of a data folder. Where the folder is a copy (it lies elsewhere on the disk than when it was last used),
 * the copy may have been made while the original was in use, its files before its database: then the database goes back to its
 * newest instant whose every file is there.
 */
export function openStoreDatabase(folder: DataFolder, onWarning: (message: string) => void): LocalDatabase {
  const db = openWhole(folder, onWarning);
  // Only now: another Packhouse, an older one, may have had it.
  markFormat(folder.path);
  return db;
}

function openWhole(folder: DataFolder, onWarning: (message: string) => void): LocalDatabase {
  const options = { onWarning, onRollback: onWarning };
  const place = placeOf(folder);
  if (place === lastPlaceOf(folder)) return openDatabase(folder.database, options);
  const files = { sizeOf: (id: number) => dataFileSize(folder.objects, id) };
  const db = openConsistent(folder.database, (instant) => missingData(instant, files, 0) === undefined, options);
  writeFileSync(placeFile(folder), place, { mode: 0o600 });
  return db;
}

/** The folder's own number on its disk: a copy has another. */
function placeOf(folder: DataFolder): string {
  const { dev, ino } = statSync(folder.path, { bigint: true });
  return `${dev} ${ino}\n`;
}

function lastPlaceOf(folder: DataFolder): string | undefined {
  try {
    return readFileSync(placeFile(folder), "utf8");
  } catch {
    return undefined;
  }
}

function placeFile(folder: DataFolder): string {
  return join(folder.path, "place");
}
