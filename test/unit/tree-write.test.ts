import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import type { BlobStore } from "../../shared/tree/leaf.ts";
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
  let read = 0;
  const entries = (async function* () {
    for (; read < 50_000; read += 1) yield entryAt(keyAt(read));
  })();
  await expect(writeTree(failing, entries, byAptIndex)).rejects.toThrow("the disk is full");
  // The mean leaf has 512.
  expect(read).toBeLessThan(20_000);
});

test.each([
  ["12 leaves and their fragments", 512, 12 * 2, (index: number) => entryAt(keyAt(index))],
  [
    "16 MB of text and what passes it",
    1,
    3 * 2,
    (index: number) => ({
      ...entryAt(keyAt(index).replace("all", String(index + 10))),
      chunks: { Packages: Buffer.alloc(6 << 20, "x") },
    }),
  ],
])("at most %s wait for the store together, and nothing more is read meanwhile", async (_, mean, puts, entryOf) => {
  const store = memoryBlobs();
  const { promise: isOpen, resolve: open } = Promise.withResolvers<void>();
  const [waiting, read] = [{ puts: 0 }, { entries: 0 }];
  const slow: BlobStore = {
    ...store,
    async putBlob(bytes) {
      waiting.puts += 1;
      await isOpen;
      return store.putBlob(bytes);
    },
  };
  const most = 60 * mean;
  const entries = (async function* () {
    for (; read.entries < most; read.entries += 1) yield entryOf(read.entries);
  })();
  const writing = writeTree(slow, entries, byAptIndex);
  await vi.waitFor(() => expect(waiting.puts).toBe(puts), 10_000);
  expect(read.entries).toBeLessThan(most / 2);
  open();
  expect(await writing).toMatchObject({ count: most });
});

function keyAt(index: number): string {
  return `s/m/all/p${String(index).padStart(6, "0")}_1`;
}
