import { expect, test } from "vitest";
import { Kept, keptBeside } from "../../shared/kept.ts";
import { editTree } from "../../shared/tree/edit.ts";
import { editHashes, everything, rowsHolding } from "../../shared/tree/hashes.ts";
import { readTree } from "../../shared/tree/root.ts";
import { memoryBlobs } from "../support/memory-blobs.ts";
import { byAptIndex, editedBy, entryAt, puts } from "../support/memory-trees.ts";

test("what was not asked for the longest goes when there is too much, and is told", () => {
  const gone: string[] = [];
  const kept = new Kept<string, string>(10, (one) => gone.push(one));
  expect([kept.keep("a", "A", 4), kept.keep("b", "B", 4), kept.keep("a", "other", 1)]).toEqual([true, true, false]);
  expect(kept.find("a")).toBe("A");
  kept.keep("c", "C", 4);
  expect([gone, kept.find("b"), kept.has("a"), kept.find("c")]).toEqual([["B"], undefined, true, "C"]);
  kept.keep("d", "D", 11);
  expect([gone, kept.has("d")]).toEqual([["B", "A", "C", "D"], false]);
  kept.keep("e", "E", 10);
  expect([gone.length, kept.find("e")]).toEqual([4, "E"]);
  kept.drop("e");
  kept.drop("e");
  expect([gone.slice(4), kept.has("e"), kept.keep("f", "F", 10), kept.find("f")]).toEqual([["E"], false, true, "F"]);
});

test("each store has its own", () => {
  const keptOf = keptBeside<string, string>(10);
  const [one, other] = [{}, {}];
  keptOf(one).keep("a", "A", 1);
  expect([keptOf(one).find("a"), keptOf(other).find("a")]).toEqual(["A", undefined]);
});

test("a tree that a process wrote or read is not read again", async () => {
  const store = memoryBlobs();
  const tree = await editedBy(store, [puts([entryAt("s/m/amd64/a_1")])]);
  store.reads.length = 0;
  expect(await readTree(store, tree.root)).toEqual(tree);
  expect(store.reads).toEqual([]);
  const another = { ...store };
  expect([await readTree(another, tree.root), await readTree(another, tree.root)]).toEqual([tree, tree]);
  expect(store.reads).toEqual([tree.root]);
});

test("a leaf of the index by hash that was looked through is not read again to be edited", async () => {
  const store = memoryBlobs();
  const empty = await editedBy(store, []);
  const [first, second] = [entryAt("s/m/amd64/a_1"), entryAt("s/m/amd64/b_1")];
  const { tree, ...changes } = await editTree(store, empty, puts([first]), byAptIndex);
  const hashes = await editHashes(store, empty, changes);
  const sha256 = first.files[0]?.sha256 ?? expect.unreachable();
  store.reads.length = 0;
  expect(await rowsHolding(store, hashes, sha256)).toEqual([{ key: first.key, files: first.files }]);
  const { added } = await editTree(store, tree, puts([second]), byAptIndex);
  store.reads.length = 0;
  const after = await editHashes(store, hashes, { removed: [], added });
  expect(store.reads).toEqual([]);
  const bySha256 = [first, second].flatMap((entry) =>
    entry.files.map((file) => ({ key: `${file.sha256}/${entry.key}`, files: [file], chunks: {} })),
  );
  expect(after).toEqual((await editTree(store, empty, puts(bySha256), everything)).tree);
});
