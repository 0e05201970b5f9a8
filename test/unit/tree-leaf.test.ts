import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Sha256, sha256Of } from "../../shared/blob.ts";
import { type LeafRef, readLeaf, readRows, writeLeaf } from "../../shared/tree/leaf.ts";
import { readTree } from "../../shared/tree/root.ts";
import { memoryBlobs } from "../support/memory-blobs.ts";
import { editedBy, entryAt, puts } from "../support/memory-trees.ts";

const chunk = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
const rows = fc.array(
  fc.record({
    files: fc.array(
      fc.record({
        name: fc.string({ unit: "binary", maxLength: 40 }),
        sha256: fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes): Sha256 => sha256Of(bytes)),
        sizeBytes: fc.nat(),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    chunks: fc.oneof(
      fc.record({ Packages: chunk }),
      fc.record({ primary: chunk, filelists: chunk, other: chunk }),
      fc.record({ Packages: chunk, Sources: chunk }),
      fc.constant({}),
    ),
  }),
  { minLength: 1, maxLength: 30 },
);

test("a leaf gives back each entry's files and index text as they were put", async () => {
  await fc.assert(
    fc.asyncProperty(rows, async (given) => {
      const store = memoryBlobs();
      const entries = given.map((row, index) => ({ key: `k${String(index).padStart(3, "0")}`, ...row }));
      const leaf = await writeLeaf(store, entries);
      expect(await readLeaf(store, leaf)).toEqual(entries);
      expect(await readRows(store, leaf)).toEqual(entries.map(({ key, files }) => ({ key, files })));
      expect({ first: leaf.first, count: leaf.count }).toEqual({ first: "k000", count: entries.length });
    }),
    { numRuns: 150 },
  );
});

async function damaged(which: (leaf: LeafRef, root: Sha256) => Sha256, offset: number) {
  const store = memoryBlobs();
  const entries = Array.from({ length: 50 }, (_, number) => entryAt(`stable/main/amd64/p${number}_1`));
  const { root, leaves } = await editedBy(store, [puts(entries)]);
  const leaf = leaves[0];
  if (!leaf) throw new Error("the tree has no leaf");
  const sha256 = which(leaf, root);
  store.damage(sha256, offset % (store.held.get(sha256)?.length ?? 1));
  return { store, root, leaf, sha256 };
}

test("a damaged root is noticed, wherever the damage lies", async () => {
  for (const offset of [0, 30, 77, 150]) {
    const { store, root } = await damaged((_, sha256) => sha256, offset);
    // Who wrote it knows it still.
    const another = { ...store };
    await expect(readTree(another, root)).rejects.toThrow(/damaged/);
  }
});

test("damaged rows of a leaf are noticed, wherever the damage lies", async () => {
  for (const offset of [0, 100, 1001, 4003]) {
    const { store, leaf } = await damaged(({ sha256 }) => sha256, offset);
    await expect(readLeaf(store, leaf)).rejects.toThrow(/damaged/);
    await expect(readRows(store, leaf)).rejects.toThrow(/damaged/);
  }
});

test("a damaged fragment is noticed, also where gzip itself would not mind", async () => {
  for (const offset of [0, 4, 5, 8, 9, 60]) {
    const { store, leaf } = await damaged(({ fragments }) => fragments.Packages?.sha256 ?? ("" as Sha256), offset);
    await expect(readLeaf(store, leaf)).rejects.toThrow();
  }
});

test("a fragment with something behind its end, or with other text of the same length, is noticed", async () => {
  const { store, leaf, sha256 } = await damaged(({ fragments }) => fragments.Packages?.sha256 ?? ("" as Sha256), 0);
  store.damage(sha256);
  const sound = Buffer.from(store.held.get(sha256) ?? []);
  await readLeaf(store, leaf);
  store.held.set(sha256, Buffer.concat([sound, Buffer.from("and more")]));
  await expect(readLeaf(store, leaf)).rejects.toThrow();
  store.held.set(sha256, gzipSync(Buffer.alloc(leaf.fragments.Packages?.plainBytes ?? 0, "x")));
  await expect(readLeaf(store, leaf)).rejects.toThrow();
});

test.each([
  "null",
  "[]",
  "{}",
  '{"rows":{}}',
  '{"rows":[null]}',
  '{"rows":[{"files":[],"lengths":{}}]}',
  '{"rows":[{"key":"a","files":[{"name":"a","sha256":"b","sizeBytes":1}],"lengths":{}}]}',
  `{"rows":[{"key":"a","files":[{"name":"a","sha256":"${"b".repeat(64)}","sizeBytes":"1"}],"lengths":{}}]}`,
  `{"rows":[{"key":"a","files":[{"name":"a","sha256":"${"b".repeat(64)}","sizeBytes":1,"url":1}],"lengths":{}}]}`,
  '{"rows":[{"key":"a","files":[]}]}',
  '{"rows":[{"key":"a","files":[],"lengths":{"Packages":"1"}}]}',
])("a blob that is no leaf is a fault that names it: %s", async (text) => {
  const store = memoryBlobs();
  const sha256 = await store.putBlob(Buffer.from(text));
  const leaf = { first: "a", count: 1, sha256, fragments: {} };
  await expect(readRows(store, leaf)).rejects.toThrow(`blob ${sha256} is no leaf`);
});

test("a leaf that is not there is a fault that names it", async () => {
  const { store, leaf } = await damaged(({ sha256 }) => sha256, 0);
  store.held.delete(leaf.sha256);
  await expect(readLeaf(store, leaf)).rejects.toThrow(leaf.sha256);
});
