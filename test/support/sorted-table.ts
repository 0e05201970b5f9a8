import type { Item, Table } from "../../shared/store/dynamo.ts";

/** A table that is only read, of as many items as there are: each partition sorted, and cut out of as a table does. */
export function sortedTable(items: Iterable<Item>): Pick<Table, "get" | "getMany" | "query"> {
  const partitions = new Map<string, Map<string, Item>>();
  for (const item of items) {
    const partition = partitions.get(item.pk) ?? new Map();
    partitions.set(item.pk, partition.set(item.sk, item));
  }
  const orders = new Map([...partitions].map(([pk, partition]) => [pk, [...partition.keys()].sort()]));
  const find = (pk: string, sk: string) => structuredClone(partitions.get(pk)?.get(sk));
  return {
    get: async ({ pk, sk }) => find(pk, sk),
    async getMany(wanted) {
      if (wanted.length > 100) throw new Error("a table reads 100 keys at once");
      return wanted.map(({ pk, sk }) => find(pk, sk));
    },
    async query(pk, { limit = 1000, after = "", beginsWith = "" } = {}) {
      if (after !== "" && !after.startsWith(beginsWith)) throw new Error("the key to go on behind is not of the range");
      const order = orders.get(pk) ?? [];
      const from = firstBehind(order, after >= beginsWith ? after : beginsWith, after === "" || after < beginsWith);
      const sks = [];
      for (let at = from; at < order.length && sks.length < limit && order[at]?.startsWith(beginsWith); at += 1) {
        sks.push(order[at] ?? "");
      }
      const last = sks.at(-1);
      const items = sks.flatMap((sk) => find(pk, sk) ?? []);
      return { items, ...(sks.length === limit && last !== undefined ? { next: last } : {}) };
    },
  };
}

function firstBehind(order: readonly string[], sk: string, inclusive: boolean): number {
  let [low, high] = [0, order.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const one = order[middle] ?? "";
    if (one < sk || (one === sk && !inclusive)) low = middle + 1;
    else high = middle;
  }
  return low;
}
