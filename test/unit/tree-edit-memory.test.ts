import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Sha256 } from "../../shared/blob.ts";
import { editTree } from "../../shared/tree/edit.ts";
import { type MemoryBlobs, memoryBlobs } from "../support/memory-blobs.ts";
import { byAptIndex, editedBy, entryAt, puts } from "../support/memory-trees.ts";

/** A store that takes its time, and counts the leaves that were read and are not written again. */
function slowStore({ getBlob, putBlob }: MemoryBlobs) {
  // A leaf is two blobs: its rows and its text.
  const open = { now: 0, most: 0 };
  return {
    open,
    async getBlob(sha256: Sha256) {
      open.now += 0.5;
      open.most = Math.max(open.most, open.now);
      await turn();
      return getBlob(sha256);
    },
    async putBlob(bytes: Uint8Array) {
      for (let turns = 0; turns < 5; turns += 1) await turn();
      open.now -= 0.5;
      return putBlob(bytes);
    },
  };
}

test.each([1, 5])("an edit of every leaf in %i has a few of them in memory at a time", async (every) => {
  const store = memoryBlobs();
  const keys = Array.from({ length: 40_000 }, (_, number) => `s/m/amd64/p${String(number).padStart(6, "0")}_1`);
  const tree = await editedBy(store, [puts(keys.map((key) => entryAt(key)))]);
  const touched = tree.leaves.filter((_, index) => index % every === 0);
  const delta = puts(touched.map(({ first }) => entryAt(`${first}+new`)));
  const slow = slowStore(store);
  const edit = await editTree(slow, tree, delta, byAptIndex);
  expect(edit.added.length).toBe(touched.length);
  expect(touched.length).toBeGreaterThan(12);
  // Read ahead, being edited, being written.
  expect(slow.open.most).toBeLessThanOrEqual(4 + 1 + 4);
  // Nor one by one.
  expect(slow.open.most).toBeGreaterThan(4);
});
