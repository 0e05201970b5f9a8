import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Sha256 } from "../../shared/blob.ts";
import { editTree } from "../../shared/tree/edit.ts";
import { lendLeaf } from "../../shared/tree/leaf.ts";
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

/** With so much text that the memory of a leaf's is given back. */
const wordy = (key: string) => ({ ...entryAt(key), chunks: { Packages: Buffer.alloc(900, `Key: ${key}\n`) } });

test("the text of a leaf that was lent is given back when its reader is done", async () => {
  const store = memoryBlobs();
  const keys = Array.from({ length: 100 }, (_, number) => `s/m/amd64/p${String(number).padStart(3, "0")}_1`);
  const [leaf = expect.unreachable()] = (await editedBy(store, [puts(keys.map(wordy))])).leaves;
  const { entries, done } = await lendLeaf(store, leaf);
  expect(entries).toEqual(keys.slice(0, leaf.count).map(wordy));
  done();
  expect(entries.map(({ chunks }) => chunks.Packages?.length)).toEqual(entries.map(() => 0));
});

test("edits of leaves whose text is given back come to what a tree of the same set is, wherever cuts move", async () => {
  const store = memoryBlobs();
  const all = Array.from({ length: 4_000 }, (_, number) => `s/m/amd64/p${String(number).padStart(5, "0")}_1`);
  const whole = await editedBy(store, [puts(all.map(wordy))]);
  expect(whole.leaves.filter(({ count }) => count * 900 > 64 * 1024).length).toBeGreaterThan(4);
  const lasts = whole.leaves.slice(1).map(({ first }) => all[all.indexOf(first) - 1] ?? "");
  for (const gone of [lasts, lasts.filter((_, index) => index % 2 === 0), [all[0] ?? "", ...lasts.slice(2)]]) {
    const left = await editedBy(store, [puts(all.filter((key) => !gone.includes(key)).map(wordy))]);
    const removed = await editTree(store, whole, { put: [], remove: gone }, byAptIndex);
    expect([removed.tree, removed.removed.length]).toEqual([left, gone.length]);
    expect((await editTree(store, left, puts(gone.map(wordy)), byAptIndex)).tree).toEqual(whole);
    const news = gone.map((key) => wordy(`${key}+new`));
    const both = await editTree(store, whole, { ...puts(news), remove: gone }, byAptIndex);
    expect(both.tree).toEqual((await editTree(store, left, puts(news), byAptIndex)).tree);
  }
});
