import fc from "fast-check";
import { expect, test } from "vitest";
import { EMPTY_ROOT } from "../../shared/tree/root.ts";
import { memoryBlobs } from "../support/memory-blobs.ts";
import { EMPTY, editedBy, entriesIn, entryAt, puts, removes } from "../support/memory-trees.ts";

const arch = fc.constantFrom("all", "amd64", "arm64", "amd64-x");
const keyOf = fc
  .tuple(fc.constantFrom("stable", "stable%2Fupdates"), fc.constantFrom("main", "extra"), arch, fc.nat(3000))
  .map(([suite, component, architecture, number]) => `${suite}/${component}/${architecture}/p${number}_1`);
const keySet = fc.uniqueArray(keyOf, { maxLength: 400 });

/** Cuts a list into batches at the given points. */
function batches<T>(items: readonly T[], cuts: readonly number[]): T[][] {
  const points = [0, ...cuts.map((cut) => cut % (items.length + 1)), items.length].sort((a, b) => a - b);
  return points.slice(1).map((end, index) => items.slice(points[index], end));
}

test("the same set of entries has the same root, in whatever order and batches it came", async () => {
  await fc.assert(
    fc.asyncProperty(
      keySet.chain((keys) =>
        fc.tuple(
          fc.constant(keys),
          fc.shuffledSubarray(keys, { minLength: keys.length }),
          fc.array(fc.nat(400), { maxLength: 8 }),
        ),
      ),
      async ([keys, shuffled, cuts]) => {
        const store = memoryBlobs();
        const at_once = await editedBy(store, [puts(keys.map((key) => entryAt(key)))]);
        const bit_by_bit = await editedBy(
          store,
          batches(shuffled, cuts).map((part) => puts(part.map((key) => entryAt(key)))),
        );
        expect(bit_by_bit).toEqual(at_once);
        expect((await entriesIn(store, at_once)).map(({ key }) => key)).toEqual([...keys].sort());
      },
    ),
    { numRuns: 60 },
  );
});

test("what was added and removed again leaves no trace in the root", async () => {
  await fc.assert(
    fc.asyncProperty(keySet, keySet, async (kept, passing) => {
      const store = memoryBlobs();
      const gone = passing.filter((key) => !kept.includes(key));
      const straight = await editedBy(store, [puts(kept.map((key) => entryAt(key)))]);
      const around = await editedBy(store, [
        puts(gone.map((key) => entryAt(key))),
        puts(kept.map((key) => entryAt(key))),
        removes(gone),
      ]);
      expect(around).toEqual(straight);
    }),
    { numRuns: 40 },
  );
});

test("an entry that was replaced and put back gives the root of before", async () => {
  const store = memoryBlobs();
  const keys = Array.from({ length: 2000 }, (_, number) => `stable/main/amd64/p${number}_1`);
  const before = await editedBy(store, [puts(keys.map((key) => entryAt(key)))]);
  await fc.assert(
    fc.asyncProperty(fc.subarray(keys, { minLength: 1, maxLength: 5 }), async (changed) => {
      const other = await editedBy(
        store,
        [
          puts(
            changed.map((key) => entryAt(key, "other")),
            true,
          ),
        ],
        before,
      );
      expect(other.root).not.toBe(before.root);
      expect(other.count).toBe(before.count);
      const back = await editedBy(
        store,
        [
          puts(
            changed.map((key) => entryAt(key)),
            true,
          ),
        ],
        other,
      );
      expect(back).toEqual(before);
    }),
    { numRuns: 10 },
  );
});

test("a tree that lost its last entry is the empty tree again", async () => {
  const store = memoryBlobs();
  const key = "stable/main/amd64/a_1";
  const tree = await editedBy(store, [puts([entryAt(key)]), removes([key])]);
  expect(tree).toEqual({ ...EMPTY, root: EMPTY_ROOT });
});

test("removing what is not there, and putting what is there, change nothing and write nothing", async () => {
  const store = memoryBlobs();
  const keys = Array.from({ length: 100 }, (_, number) => `stable/main/amd64/p${number}_1`);
  const tree = await editedBy(store, [puts(keys.map((key) => entryAt(key)))]);
  const before = new Set(store.held.keys());
  const same = await editedBy(store, [removes(["stable/main/amd64/zz_1"]), puts([entryAt(keys[5] ?? "")])], tree);
  expect(same.root).toBe(tree.root);
  expect(new Set(store.held.keys())).toEqual(before);
});

test("a put beats a remove of the same key, whichever was first in the tree", async () => {
  const store = memoryBlobs();
  const key = "stable/main/amd64/a_1";
  const moved = { put: [{ entry: entryAt(key, "new"), replace: true }], remove: [key] };
  const direct = await editedBy(store, [puts([entryAt(key, "new")])]);
  expect((await editedBy(store, [puts([entryAt(key)]), moved])).root).toBe(direct.root);
  expect((await editedBy(store, [moved])).root).toBe(direct.root);
});
