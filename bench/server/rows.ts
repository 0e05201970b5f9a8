import { createRequire } from "node:module";
import { openDataFolder } from "../../infra/local/data-folder.ts";
import { openDatabase } from "../../infra/local/database.ts";
import { type Done, type TableStore, tableStore } from "../../infra/local/table-store.ts";
import type { Item } from "../../shared/store/dynamo.ts";

const require = createRequire(import.meta.url);
const putItem: (store: TableStore, input: unknown, done: Done) => void = require("dynalite/actions/putItem");
const TABLE = "packhouse";
/** A transaction writes each page once, and rows lie anywhere: the fewer the better. */
const BATCH = 100_000;
/** Nobody copies the folder meanwhile. */
const OPTIONS = { keepOldMs: 0 };

export type Rows = { put(item: Item): void; close(): void };

/**
 * The table of a data folder that no Packhouse has open, for set-ups: an item is what a put of it over HTTP leaves, at a tenth of the
 * time. What was put is there when it is closed.
 */
export function openRows(dataFolder: string): Rows {
  const folder = openDataFolder(dataFolder);
  const db = openDatabase(folder.database, OPTIONS);
  const store = tableStore(db, folder.aws.region, () => false);
  let waiting: Item[] = [];
  const flush = () => {
    db.transaction(() => {
      for (const item of waiting) {
        putItem(store, { TableName: TABLE, Item: attributesOf(item) }, (error) => {
          if (error) throw error;
        });
      }
    });
    waiting = [];
  };
  return {
    put(item) {
      waiting.push(item);
      if (waiting.length === BATCH) flush();
    },
    close() {
      flush();
      db.close();
      // The first makes a file of the log, the second removes what was before: else each start over a copy would.
      for (let nth = 0; nth < 2; nth += 1) openDatabase(folder.database, OPTIONS).close();
    },
  };
}

/** As DynamoDB has them on the wire; what is undefined is left out. */
function attributesOf(item: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const told = Object.entries(item).filter(([, value]) => value !== undefined);
  return Object.fromEntries(told.map(([name, value]) => [name, attributeOf(value)]));
}

function attributeOf(value: unknown): unknown {
  if (typeof value === "string") return { S: value };
  if (typeof value === "number") return { N: String(value) };
  if (typeof value === "boolean") return { BOOL: value };
  if (value === null) return { NULL: true };
  if (Array.isArray(value)) return { L: value.map(attributeOf) };
  if (typeof value === "object") return { M: attributesOf({ ...value }) };
  throw new Error(`no attribute of a table: ${typeof value}`);
}
