import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { joinIndex } from "../../shared/publication/join.ts";
import type { Tree } from "../../shared/tree/root.ts";
import { EMPTY_ROOT } from "../../shared/tree/root.ts";
import { memoryBlobs } from "../support/memory-blobs.ts";
import { editedBy, entryAt, puts } from "../support/memory-trees.ts";

const keys = Array.from({ length: 4000 }, (_, index) => `stable/main/amd64/p${String(index).padStart(5, "0")}_1`);
const fragmentsOf = (tree: Tree) => tree.leaves.flatMap((leaf) => leaf.fragments.Packages ?? []);

test("a process that joined an index before reads only the fragments that are new, and joins the same", async () => {
  const store = memoryBlobs();
  const before = await editedBy(store, [puts(keys.map((key) => entryAt(key)))]);
  expect(before.root).not.toBe(EMPTY_ROOT);
  await joinIndex(store, fragmentsOf(before), {});
  const after = await editedBy(store, [puts([entryAt("stable/main/amd64/p01234_2")])], before);
  store.reads.length = 0;
  const warm = await joinIndex(store, fragmentsOf(after), {});
  expect(store.reads).toHaveLength(1);
  const cold = await joinIndex({ putBlob: store.putBlob, getBlob: store.getBlob }, fragmentsOf(after), {});
  expect(warm).toEqual(cold);
  const text = gunzipSync(await store.getBlob(warm.packed.sha256)).toString();
  expect(text.match(/^Key: /gm)).toHaveLength(keys.length + 1);
});
