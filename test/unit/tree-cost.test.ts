import { hash } from "node:crypto";
import { expect, test } from "vitest";
import { memoryBlobs } from "../support/memory-blobs.ts";
import { byAptIndex, edited, editedBy, entriesIn, entryAt, puts, removes } from "../support/memory-trees.ts";

const MOST_ENTRIES = 4096;
const MEAN_ENTRIES = 512;

const numbered = (count: number, group = "stable/main/amd64") =>
  Array.from({ length: count }, (_, number) => `${group}/p${String(number).padStart(6, "0")}_1`);

/** Whether a leaf ends behind this key, as the tree decides it. */
const cuts = (key: string) => Number.parseInt(hash("sha256", key, "hex").slice(0, 8), 16) % MEAN_ENTRIES === 0;

test("one edit of many rewrites at most two leaves and the root, on average hardly more than one", async () => {
  const store = memoryBlobs();
  const keys = numbered(20_000);
  const tree = await editedBy(store, [puts(keys.map((key) => entryAt(key)))]);
  expect(tree.leaves.length).toBeGreaterThan(20);
  expect(tree.leaves.length).toBeLessThan(80);

  const written: number[] = [];
  for (let turn = 0; turn < 150; turn += 1) {
    const at = (turn * 7919) % keys.length;
    const key = keys[at] ?? "";
    const delta =
      [puts([entryAt(`${key}+new${turn}`)]), puts([entryAt(key, `other ${turn}`)], true), removes([key])][turn % 3] ??
      removes([]);
    store.writes.length = 0;
    const { tree: after } = await edited(store, tree, delta);
    expect(after.root).not.toBe(tree.root);
    const known = new Set(tree.leaves.map(({ sha256 }) => sha256));
    const fresh = after.leaves.filter(({ sha256 }) => !known.has(sha256));
    expect(fresh.length).toBeLessThanOrEqual(2);
    // A leaf is two blobs here: its rows, and the one kind of index text.
    expect(store.writes.length).toBeLessThanOrEqual(2 * 2 + 1);
    written.push(store.writes.length);
  }
  const mean = written.reduce((sum, count) => sum + count, 0) / written.length;
  expect(mean).toBeLessThan(3.1);
});

test("one edit reads only the leaves it touches", async () => {
  const store = memoryBlobs();
  const keys = numbered(20_000);
  const tree = await editedBy(store, [puts(keys.map((key) => entryAt(key)))]);
  store.reads.length = 0;
  await edited(store, tree, puts([entryAt(`${keys[10_000]}+new`)]));
  // The root; the leaf's rows and its text.
  expect(store.reads.length).toBeLessThanOrEqual(3);
});

test("an edit at the end of one index leaves the leaves of the next alone", async () => {
  const store = memoryBlobs();
  const keys = [...numbered(300, "stable/main/amd64"), ...numbered(300, "stable/main/arm64")];
  const tree = await editedBy(store, [puts(keys.map((key) => entryAt(key)))]);
  const after = tree.leaves.filter(({ first }) => byAptIndex(first) === "stable/main/arm64");
  store.reads.length = 0;
  await edited(store, tree, puts([entryAt("stable/main/amd64/zz_1")]));
  for (const leaf of after) expect(store.reads).not.toContain(leaf.sha256);
});

test("removing the key that ends a leaf joins it with the next, and putting it back parts them as before", async () => {
  const store = memoryBlobs();
  const keys = numbered(5_000);
  const tree = await editedBy(store, [puts(keys.map((key) => entryAt(key)))]);
  const ending = keys.filter(cuts);
  expect(ending.length).toBeGreaterThan(2);
  for (const key of ending) {
    const without = (await edited(store, tree, removes([key]))).tree;
    expect(without.count).toBe(tree.count - 1);
    expect(without.leaves.length).toBe(tree.leaves.length - (key === keys.at(-1) ? 0 : 1));
    expect((await edited(store, without, puts([entryAt(key)]))).tree).toEqual(tree);
  }
});

test("a leaf never spans two indexes", async () => {
  const store = memoryBlobs();
  const groups = [
    "stable/main/all",
    "stable/main/amd64",
    "stable/main/amd64-x",
    "stable%2Fa/main/amd64",
    "stable/x/all",
  ];
  const keys = groups.flatMap((group) => numbered(900, group));
  // Into the tree from both ends, so that edits meet where one index ends and the next begins.
  const halves = [keys.filter((_, at) => at % 2 === 0), keys.filter((_, at) => at % 2 === 1).reverse()];
  const tree = await editedBy(
    store,
    halves.map((half) => puts(half.map((key) => entryAt(key)))),
  );
  expect(tree.count).toBe(keys.length);
  let at = 0;
  const sorted = (await entriesIn(store, tree)).map(({ key }) => key);
  for (const leaf of tree.leaves) {
    const inside = sorted.slice(at, at + leaf.count);
    expect(new Set(inside.map(byAptIndex)).size).toBe(1);
    expect(inside[0]).toBe(leaf.first);
    at += leaf.count;
  }
});

test("keys chosen so that no leaf ever ends still lie in leaves of bounded size, the same ones in any order", async () => {
  const store = memoryBlobs();
  const keys = numbered(10_000).filter((key) => !cuts(key));
  expect(keys.length).toBeGreaterThan(2 * MOST_ENTRIES);
  const tree = await editedBy(store, [puts(keys.map((key) => entryAt(key)))]);
  for (const leaf of tree.leaves) expect(leaf.count).toBeLessThanOrEqual(MOST_ENTRIES);
  expect(tree.count).toBe(keys.length);
  const odd = keys.filter((_, at) => at % 2 === 1);
  const even = keys.filter((_, at) => at % 2 === 0);
  const again = await editedBy(store, [puts(odd.map((key) => entryAt(key))), puts(even.map((key) => entryAt(key)))]);
  expect(again).toEqual(tree);
});

test("entries of great weight end their leaf early", async () => {
  const store = memoryBlobs();
  const heavy = (key: string) => ({ ...entryAt(key), chunks: { Packages: Buffer.alloc(3 * 1024 * 1024, key) } });
  const keys = numbered(20).filter((key) => !cuts(key));
  const tree = await editedBy(store, [puts(keys.map(heavy))]);
  for (const leaf of tree.leaves) expect(leaf.count).toBeLessThanOrEqual(6);
  expect(tree.count).toBe(keys.length);
});
