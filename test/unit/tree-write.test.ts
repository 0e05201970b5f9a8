import fc from "fast-check";
import { expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { writeTree } from "../../shared/tree/write.ts";
import { memoryBlobs } from "../support/memory-blobs.ts";
import { byAptIndex, editedBy, entryAt, puts } from "../support/memory-trees.ts";

const keyOf = fc
  .tuple(fc.constantFrom("stable", "stable%2Fupdates"), fc.constantFrom("all", "amd64"), fc.nat(3000))
  .map(([suite, architecture, number]) => `${suite}/main/${architecture}/p${number}_1`);

async function* streamed<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

test("a tree written as a stream is the one that edits come to", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(keyOf, { maxLength: 1500 }), async (keys) => {
      const store = memoryBlobs();
      const entries = [...keys].sort().map((key) => entryAt(key));
      const written = await writeTree(store, streamed(entries), byAptIndex);
      expect(written).toEqual(await editedBy(store, [puts(entries)]));
    }),
    { numRuns: 40 },
  );
});

async function* rows() {
  for (let number = 0; number < 3000; number += 1) {
    const key = `s/m/${number < 1500 ? "all" : "amd64"}/p${String(number).padStart(4, "0")}_1`;
    const file = { name: `${key} ü.deb`, sha256: sha256Of(key), sizeBytes: number };
    const away = { ...file, url: `http://x/${number}`, upstream: "x" };
    const others = number % 3 === 0 ? [away, { ...file, url: "", upstream: undefined }] : [];
    yield { key, files: [file, ...others], chunks: {} };
  }
}

test("a set has the root that it had when the first trees were written: they are shared with those", async () => {
  const { root, leaves } = await writeTree(memoryBlobs(), rows(), byAptIndex);
  // Without text, whose compressed bytes are zlib's.
  expect(root).toBe("9abf88aa5ecebad118b731f914e0b73546e0b7cb40be56d2aaca748c98cc9445");
  expect(leaves.length).toBe(9);
});

test("entries out of order are refused, and so is a key that comes twice", async () => {
  const store = memoryBlobs();
  const [a, b] = [entryAt("stable/main/all/a_1"), entryAt("stable/main/all/b_1")];
  await expect(writeTree(store, streamed([b, a]), byAptIndex)).rejects.toThrow("comes behind");
  await expect(writeTree(store, streamed([a, a]), byAptIndex)).rejects.toThrow("comes behind");
});

test("a leaf that cannot be stored ends the writing, with what was wrong", async () => {
  const store = memoryBlobs();
  const failing = { ...store, putBlob: () => Promise.reject(new Error("the disk is full")) };
  const entries = Array.from({ length: 6000 }, (_, index) => entryAt(`s/m/all/p${String(index).padStart(5, "0")}_1`));
  await expect(writeTree(failing, streamed(entries), byAptIndex)).rejects.toThrow("the disk is full");
});
