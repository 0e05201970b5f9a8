import type { Condition, Item, Table } from "../../shared/store/dynamo.ts";
import type { ItemKey } from "../../shared/store/keys.ts";

export type MemoryTable = Table & { readonly items: Map<string, Item> };

const idOf = ({ pk, sk }: ItemKey) => `${pk}\n${sk}`;

/** The table's contract over a map. */
export function memoryTable(items = new Map<string, Item>()): MemoryTable {
  const write = (
    key: ItemKey,
    condition: Condition | undefined,
    item: (before: Item | undefined) => Item | undefined,
  ) => {
    const before = items.get(idOf(key));
    if (!holds(before, condition)) return false;
    const after = item(before);
    if (after) items.set(idOf(key), structuredClone(after));
    else items.delete(idOf(key));
    return true;
  };
  return {
    items,
    get: async (key) => structuredClone(items.get(idOf(key))),
    getMany: async (wanted) => wanted.map((key) => structuredClone(items.get(idOf(key)))),
    put: async (item, condition) => write(item, condition, () => item),
    putMany: async (all) => {
      for (const item of all) write(item, undefined, () => item);
    },
    delete: async (key, condition) => write(key, condition, () => undefined),
    update: async (key, { set = {}, remove = [] }, condition) =>
      write(key, condition, (before) => {
        const kept = Object.entries({ ...before, ...set }).filter(([name]) => !remove.includes(name));
        return { ...Object.fromEntries(kept), pk: key.pk, sk: key.sk };
      }),
    query: async (partition, { limit = 1000, newestFirst = false, after, beginsWith = "" } = {}) => {
      const rows = [...items.values()]
        .filter(({ pk, sk }) => pk === partition && sk.startsWith(beginsWith))
        .sort((a, b) => (a.sk < b.sk === newestFirst ? 1 : -1))
        .filter(({ sk }) => after === undefined || (newestFirst ? sk < after : sk > after));
      const page = structuredClone(rows.slice(0, limit));
      const last = page.at(-1);
      return { items: page, ...(rows.length > limit && last ? { next: last.sk } : {}) };
    },
  };
}

function holds(item: Item | undefined, condition: Condition | undefined): boolean {
  if (condition === undefined) return true;
  if ("absent" in condition) return item === undefined;
  if ("present" in condition) return item !== undefined;
  if ("less" in condition) {
    const value = item?.[condition.less.attribute];
    return value === undefined || (value as string | number) < condition.less.than;
  }
  return Object.entries(condition.equals).every(([name, value]) => item?.[name] === value);
}
