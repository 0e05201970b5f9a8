import fc from "fast-check";
import { expect, test } from "vitest";
import type { Row } from "../../shared/tree/entry.ts";
import { mergeTrees } from "../../shared/tree/merge.ts";
import { type MemoryBlobs, memoryBlobs } from "../support/memory-blobs.ts";
import { byAptIndex, EMPTY, editedBy, entriesIn, entryAt, puts } from "../support/memory-trees.ts";

const place = fc.constantFrom("stable/main/amd64", "stable/main/amd64-x", "stable/extra/all", "next/main/amd64");
const keyOf = fc.tuple(place, fc.nat(4000)).map(([group, number]) => `${group}/p${number}_1`);
/** A stretch of neighbours, as repositories share them, and some strewn about. */
const keySet = fc
  .tuple(place, fc.nat(3000), fc.nat(1500), fc.uniqueArray(keyOf, { maxLength: 60 }))
  .map(([group, from, count, strewn]) => [
    ...new Set([...Array.from({ length: count }, (_, index) => `${group}/p${from + index}_1`), ...strewn]),
  ]);

const treeOf = (store: MemoryBlobs, keys: readonly string[], holds = "bytes") =>
  editedBy(store, [puts(keys.map((key) => entryAt(key, holds)))]);

test("the merge of trees is the tree of all their keys, the first one's row where several have a key", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(keySet, fc.constantFrom("a", "b")), { minLength: 1, maxLength: 4 }),
      async (sets) => {
        const store = memoryBlobs();
        const trees = await Promise.all(sets.map(([keys, holds]) => treeOf(store, keys, holds)));
        const union = new Map(sets.toReversed().flatMap(([keys, holds]) => keys.map((key) => [key, holds])));
        const straight = await editedBy(store, [puts([...union].map(([key, holds]) => entryAt(key, holds)))]);
        expect(await mergeTrees(store, trees, { groupOf: byAptIndex })).toEqual(straight);
      },
    ),
    { numRuns: 60 },
  );
});

test("keys that are left out are in none of the leaves, as if they had never been", async () => {
  await fc.assert(
    fc.asyncProperty(keySet, keySet, fc.infiniteStream(fc.nat(6)), async (left, right, dice) => {
      const store = memoryBlobs();
      const all = [...new Set([...left, ...right])];
      const without = all.filter(() => dice.next().value === 0).sort();
      const rest = await treeOf(
        store,
        all.filter((key) => !without.includes(key)),
      );
      const trees = [await treeOf(store, left), await treeOf(store, right)];
      expect(await mergeTrees(store, trees, { groupOf: byAptIndex, without })).toEqual(rest);
    }),
    { numRuns: 30 },
  );
});

test("leaves that are shared, or that lie in an index of their own, are not read", async () => {
  const store = memoryBlobs();
  const keysOf = (group: string) => Array.from({ length: 5000 }, (_, number) => `${group}/p${number}_1`);
  const common = keysOf("stable/main/amd64");
  const left = await treeOf(store, [...common, ...keysOf("stable/main/arm64"), "stable/main/riscv64/p_1"]);
  const right = await treeOf(store, [...common, ...keysOf("stable/extra/amd64"), "stable/main/arm64/p99x_1"]);
  expect(left.leaves.length).toBeGreaterThan(10);
  store.reads.length = 0;
  store.writes.length = 0;
  const merged = await mergeTrees(store, [left, right], { groupOf: byAptIndex });
  expect(merged.count).toBe(15_002);
  // The leaf that the one key falls into, on both sides, each with its text; it is written anew, and the root.
  expect(store.reads).toHaveLength(4);
  expect(store.writes).toHaveLength(3);

  store.reads.length = 0;
  expect(await mergeTrees(store, [left, left, EMPTY], { groupOf: byAptIndex })).toEqual(left);
  expect(store.reads).toEqual([]);
});

test("what several have is told with the rows of each, in the order of the trees", async () => {
  const store = memoryBlobs();
  const [one, two] = [await treeOf(store, ["a/b/c/x_1", "a/b/c/y_1"], "1"), await treeOf(store, ["a/b/c/y_1"], "2")];
  const met: (readonly Row[])[] = [];
  const merged = await mergeTrees(store, [one, two], { groupOf: byAptIndex, meet: (rows) => met.push(rows) });
  const hashOf = (holds: string) => entryAt("a/b/c/y_1", holds).files[0]?.sha256;
  expect(met.map((rows) => rows.map(({ files }) => files[0]?.sha256))).toEqual([[hashOf("1"), hashOf("2")]]);
  expect((await entriesIn(store, merged)).map(({ files }) => files[0]?.sha256)).toContain(hashOf("1"));
});
