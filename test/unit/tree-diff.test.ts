import fc from "fast-check";
import { expect, test } from "vitest";
import { diffTrees } from "../../shared/tree/diff.ts";
import type { Tree } from "../../shared/tree/root.ts";
import { memoryBlobs } from "../support/memory-blobs.ts";
import { editedBy, entryAt, puts, removes } from "../support/memory-trees.ts";

const keyOf = (number: number) => `stable/main/amd64/p${String(number).padStart(5, "0")}_1`;
const keys = Array.from({ length: 8000 }, (_, number) => keyOf(number));

async function twoTrees(given: { added: number[]; changed: number[]; gone: number[] }) {
  const store = memoryBlobs();
  const before = await editedBy(store, [puts(keys.map((key) => entryAt(key)))]);
  const added = given.added.map((number) => `${keyOf(number)}a`);
  const changed = given.changed.map(keyOf);
  const gone = given.gone.map(keyOf).filter((key) => !changed.includes(key));
  const delta = [puts([...added.map((key) => entryAt(key)), ...changed.map((key) => entryAt(key, "others"))], true)];
  const after = await editedBy(store, [...delta, removes(gone)], before);
  store.reads.length = 0;
  const expected = [
    ...added.map((key) => [key, "come"]),
    ...changed.map((key) => [key, "other"]),
    ...gone.map((key) => [key, "gone"]),
  ].sort(([one = ""], [other = ""]) => (one < other ? -1 : 1));
  return { store, before, after, expected };
}

async function told(store: ReturnType<typeof memoryBlobs>, before: Tree, after: Tree) {
  const changes: string[][] = [];
  for await (const change of diffTrees(store, before, after)) {
    changes.push([change.key, change.before ? (change.after ? "other" : "gone") : "come"]);
  }
  return changes;
}

const some = fc.uniqueArray(fc.integer({ min: 0, max: 7999 }), { maxLength: 8 });

test("a difference tells each key that came, went or is another, in order, and reads the leaves that differ once", async () => {
  await fc.assert(
    fc.asyncProperty(fc.record({ added: some, changed: some, gone: some }), async (given) => {
      const { store, before, after, expected } = await twoTrees(given);
      expect(await told(store, before, after)).toEqual(expected);
      const left = new Set(before.leaves.map(({ sha256 }) => sha256));
      const right = new Set(after.leaves.map(({ sha256 }) => sha256));
      const differing = [...left].filter((one) => !right.has(one)).concat([...right].filter((one) => !left.has(one)));
      expect(store.reads.toSorted()).toEqual(differing.toSorted());
    }),
    { numRuns: 15 },
  );
}, 60_000);

test("a leaf that is damaged fails the difference where it is come to", async () => {
  const { store, before, after } = await twoTrees({ added: [], changed: [100, 7900], gone: [] });
  const last = after.leaves.find(({ sha256 }, index) => sha256 !== before.leaves[index]?.sha256 && index > 3);
  if (!last) throw new Error("no leaf differs at the end");
  store.damage(last.sha256);
  const keysTold: string[] = [];
  const read = async () => {
    for await (const { key } of diffTrees(store, before, after)) keysTold.push(key);
  };
  await expect(read()).rejects.toThrow(/leaf [0-9a-f]{64} is damaged/);
  expect(keysTold).toEqual([keyOf(100)]);
});
