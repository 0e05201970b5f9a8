import type { DataFolder } from "./data-folder.ts";
import { type LocalDatabase, openDatabase } from "./database.ts";

/** Opens the database of a data folder. */
export function openStoreDatabase(folder: DataFolder, onWarning: (message: string) => void): LocalDatabase {
  return openDatabase(folder.database, { onWarning });
}
