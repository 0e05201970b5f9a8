import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { beginEdit } from "../../shared/tree/edit.ts";
import { memoryBlobs } from "../support/memory-blobs.ts";
import { byAptIndex, editedBy, entryAt, puts } from "../support/memory-trees.ts";

const keys = Array.from({ length: 3000 }, (_, index) => `s/m/amd64/p${String(index).padStart(5, "0")}_1`);

test("what an edit changes is told while its leaves are being stored, the tree when all of it is", async () => {
  const store = memoryBlobs();
  const tree = await editedBy(store, [puts(keys.map((key) => entryAt(key)))]);
  const entry = entryAt("s/m/amd64/p01000_2");
  const gate = Promise.withResolvers<void>();
  const waiting = {
    getBlob: store.getBlob,
    async putBlob(bytes: Uint8Array) {
      if (!isRoot(bytes)) await gate.promise;
      return store.putBlob(bytes);
    },
  };
  const { stored, ...changes } = await beginEdit(waiting, tree, puts([entry]), byAptIndex);
  expect(changes).toEqual({ refused: [], removed: [], added: [entry] });
  let isStored = false;
  const after = stored().finally(() => {
    isStored = true;
  });
  const isRootStored = () => [...store.held.values()].filter(isRoot).length === 2;
  for (let turns = 0; turns < 1000 && !isRootStored(); turns += 1) await turn();
  // The root goes beside its leaves.
  expect([isRootStored(), isStored]).toEqual([true, false]);
  gate.resolve();
  expect(await after).toEqual(await editedBy(store, [puts([entry])], tree));
});

function isRoot(bytes: Uint8Array): boolean {
  return Buffer.from(bytes).toString().startsWith('{"version"');
}

test("a leaf that cannot be stored fails the edit when it is asked for, and nothing else", async () => {
  const store = memoryBlobs();
  const tree = await editedBy(store, [puts(keys.map((key) => entryAt(key)))]);
  const full = { ...store, putBlob: () => Promise.reject(new Error("the store is full")) };
  const { stored } = await beginEdit(full, tree, puts([entryAt("s/m/amd64/p01000_2")]), byAptIndex);
  for (let turns = 0; turns < 5; turns += 1) await turn();
  await expect(stored()).rejects.toThrow("the store is full");
});
