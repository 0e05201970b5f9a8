import { expect, test } from "vitest";
import { rowOf } from "../../shared/tree/entry.ts";
import { memoryBlobs } from "../support/memory-blobs.ts";
import { EMPTY, edited, editedBy, entriesIn, entryAt, puts } from "../support/memory-trees.ts";

const KEY = "stable/main/amd64/a_1";
const OTHERS = ["stable/main/amd64/0_1", "stable/main/amd64/z_1"].map((key) => entryAt(key));

test("other bytes under a key are refused, told with what is held, and leave the tree as it was", async () => {
  const store = memoryBlobs();
  const tree = await editedBy(store, [puts([entryAt(KEY), ...OTHERS])]);
  const offered = entryAt(KEY, "other");
  const { tree: after, refused } = await edited(store, tree, puts([offered]));
  expect(after.root).toBe(tree.root);
  expect(refused).toEqual([{ entry: offered, held: rowOf(entryAt(KEY)) }]);
});

test("a refusal holds up nothing else of the same delta", async () => {
  const store = memoryBlobs();
  const tree = await editedBy(store, [puts([entryAt(KEY)])]);
  const { tree: after, refused } = await edited(store, tree, puts([entryAt(KEY, "other"), ...OTHERS]));
  expect(refused).toHaveLength(1);
  expect(after.root).toBe((await editedBy(store, [puts([entryAt(KEY), ...OTHERS])])).root);
});

test("with replace, other bytes take the place", async () => {
  const store = memoryBlobs();
  const tree = await editedBy(store, [puts([entryAt(KEY)])]);
  const { tree: after, refused } = await edited(store, tree, puts([entryAt(KEY, "other")], true));
  expect(refused).toEqual([]);
  expect(await entriesIn(store, after)).toEqual([entryAt(KEY, "other")]);
});

test("of two in one delta under one key the first stays, and the second is refused", async () => {
  const store = memoryBlobs();
  const { tree, refused } = await edited(store, EMPTY, puts([entryAt(KEY, "one"), entryAt(KEY, "two")]));
  expect(await entriesIn(store, tree)).toEqual([entryAt(KEY, "one")]);
  expect(refused).toEqual([{ entry: entryAt(KEY, "two"), held: rowOf(entryAt(KEY, "one")) }]);
});

test("the same bytes under another file name are no other bytes: what is held stays, and nothing is refused", async () => {
  const store = memoryBlobs();
  const held = entryAt(KEY);
  const renamed = { ...held, files: held.files.map((file) => ({ ...file, name: "b.deb" })) };
  const tree = await editedBy(store, [puts([held])]);
  const { tree: after, refused } = await edited(store, tree, puts([renamed]));
  expect(refused).toEqual([]);
  expect(after.root).toBe(tree.root);
  const together = await edited(store, EMPTY, puts([held, renamed]));
  expect(together.refused).toEqual([]);
  expect(together.tree.root).toBe(tree.root);
});

test("the same bytes with new index text take the new text", async () => {
  const store = memoryBlobs();
  const held = entryAt(KEY);
  const retold = { ...held, chunks: { Packages: Buffer.from("Key: told anew\n\n") } };
  const tree = await editedBy(store, [puts([held]), puts([retold])]);
  expect(await entriesIn(store, tree)).toEqual([retold]);
});
