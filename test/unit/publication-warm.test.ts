import { randomBytes } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { joinIndex } from "../../shared/publication/join.ts";
import type { IndexStore } from "../../shared/publication/members.ts";
import { Text, warmFragments } from "../../shared/publication/warm-fragments.ts";
import { type PlacedFragment, placedFragment } from "../../shared/publication/xz-runs.ts";
import type { Fragment } from "../../shared/tree/leaf.ts";
import type { Tree } from "../../shared/tree/root.ts";
import { type MemoryBlobs, memoryBlobs } from "../support/memory-blobs.ts";
import { editedBy, entryAt, puts } from "../support/memory-trees.ts";

const keys = Array.from({ length: 8000 }, (_, index) => `stable/main/amd64/p${String(index).padStart(5, "0")}_1`);
const fragmentsOf = (tree: Tree) => tree.leaves.flatMap((leaf) => placedFragment(leaf, "Packages") ?? []);
const FRAME = { head: "<all>\n", foot: "</all>\n" };

/** The same store to a process that holds nothing yet. */
function coldStore({ putBlob, getBlob, openBlob, putBlobStream }: MemoryBlobs): IndexStore {
  return { putBlob, getBlob, openBlob, putBlobStream };
}

async function published() {
  const store = memoryBlobs();
  const before = await editedBy(store, [puts(keys.map((key) => entryAt(key)))]);
  const contents = { ...FRAME, fragments: fragmentsOf(before) };
  const record = await joinIndex(store, contents, {});
  const edited = async (...added: string[]) => ({
    ...FRAME,
    fragments: fragmentsOf(await editedBy(store, [puts(added.map((key) => entryAt(key)))], before)),
  });
  const blobs = (fragments: readonly Fragment[]) => fragments.map(({ sha256 }) => sha256);
  store.reads.length = 0;
  return { store, contents, record, edited, blobs, around: { before: record, earlier: async () => contents } };
}

test("a process that joined an index before reads only the fragments that are new, and joins the same", async () => {
  const { store, edited } = await published();
  const after = await edited("stable/main/amd64/p01234_2");
  store.reads.length = 0;
  const warm = await joinIndex(store, after, {});
  expect(store.reads).toHaveLength(1);
  expect(await joinIndex(coldStore(store), after, {})).toEqual(warm);
  const text = gunzipSync(await store.getBlob(warm.packed.sha256)).toString();
  expect(text.match(/^Key: /gm)).toHaveLength(keys.length + 1);
});

test("a process that holds nothing takes from the index before what is the same there, in one read a stretch", async () => {
  const { store, contents, record, edited, blobs, around } = await published();
  const after = await edited("stable/main/amd64/p04000_2");
  const changed = blobs(after.fragments).filter((sha256) => !blobs(contents.fragments).includes(sha256));
  expect([changed.length, contents.fragments.length > 12]).toEqual([1, true]);
  store.reads.length = 0;
  const joined = await joinIndex(coldStore(store), after, around);
  expect(store.reads).toEqual([record.packed.sha256, ...changed, record.packed.sha256]);
  expect(await joinIndex(coldStore(store), after, {})).toEqual(joined);
});

test("what the index before was made of is trusted only where it is what was recorded", async () => {
  const { store, contents, record, edited } = await published();
  const after = await edited("stable/main/amd64/p04000_2");
  const expected = await joinIndex(coldStore(store), after, {});
  const packed = { ...record.packed, sizeBytes: record.packed.sizeBytes + 1 };
  for (const [before, earlier] of [
    [record, { ...contents, fragments: contents.fragments.slice(1) }],
    [record, { ...contents, head: "<other>\n" }],
    [{ ...record, packed }, contents],
    [record, undefined],
  ] as const) {
    store.reads.length = 0;
    expect(await joinIndex(coldStore(store), after, { before, earlier: async () => earlier })).toEqual(expected);
    expect(store.reads).not.toContain(record.packed.sha256);
  }
});

test("an index before that is damaged or short is not joined further", async () => {
  const { store, record, edited, around } = await published();
  const after = await edited("stable/main/amd64/p04000_2");
  const whole = await store.getBlob(record.packed.sha256);
  store.damage(record.packed.sha256, whole.length - 5000);
  await expect(joinIndex(coldStore(store), after, around)).rejects.toThrow(/fragment [0-9a-f]{64} is damaged/);
  store.held.set(record.packed.sha256, whole.subarray(0, -5000));
  await expect(joinIndex(coldStore(store), after, around)).rejects.toThrow(/ended before byte/);
  const { openBlob } = store;
  const ignoresRange: IndexStore = { ...coldStore(store), openBlob: (sha256) => openBlob(sha256) };
  await expect(joinIndex(ignoresRange, after, around)).rejects.toThrow(/damaged/);
});

test("an index that is larger than what is held is joined as it would be in memory", async () => {
  const store = memoryBlobs();
  const fragments: PlacedFragment[] = [];
  const texts: Buffer[] = [];
  for (let index = 0; index < 27; index += 1) {
    const text = randomBytes(1 << 20);
    const packed = gzipSync(text, { level: 0 });
    const sha256 = await store.putBlob(packed);
    fragments.push({ sha256, sizeBytes: packed.length, plainBytes: text.length, first: String(index) });
    texts.push(text);
  }
  const { packed, plain } = await joinIndex(store, { ...FRAME, fragments }, {});
  // Once more with the last one gone: what is before it was hashed.
  const fewer = { ...FRAME, fragments: fragments.slice(0, -1) };
  expect(await joinIndex(store, fewer, {})).toEqual(await joinIndex(coldStore(store), fewer, {}));
  const text = gunzipSync(await store.getBlob(packed.sha256));
  expect(text.equals(Buffer.concat([Buffer.from(FRAME.head), ...texts, Buffer.from(FRAME.foot)]))).toBe(true);
  expect(plain.sizeBytes).toBe(text.length);
});

test("whatever changed, an index is the same from what the process holds, from the index before, and from its fragments", async () => {
  const { store, around, edited } = await published();
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.integer({ min: 0, max: 9999 }), { maxLength: 6 }),
      fc.boolean(),
      async (numbers, fromEarlier) => {
        const added = numbers.map((number) => `stable/main/amd64/p${String(number).padStart(5, "0")}_2`);
        const after = await edited(...added);
        const expected = await joinIndex(coldStore(store), after, {});
        expect(await joinIndex(fromEarlier ? coldStore(store) : store, after, fromEarlier ? around : {})).toEqual(
          expected,
        );
        const text = gunzipSync(await store.getBlob(expected.packed.sha256)).toString();
        expect(text.match(/^Key: /gm)).toHaveLength(keys.length + added.length);
      },
    ),
    { numRuns: 20 },
  );
}, 60_000);

test("while a long index is hashed, what else the process does goes on", async () => {
  const store = memoryBlobs();
  const MB = 1 << 20;
  const fragments = await Promise.all(
    Array.from({ length: 17 }, async (_, index): Promise<PlacedFragment> => {
      const packed = gzipSync(Buffer.alloc(MB, index));
      const first = `stable/main/amd64/p${index}_1`;
      return { first, sha256: await store.putBlob(packed), sizeBytes: packed.length, plainBytes: MB };
    }),
  );
  // Twice, so that the texts are kept: nothing has to be waited for then.
  for (const times of [0, 1]) await joinIndex(store, { fragments: [...fragments.slice(times), ...fragments] }, {});
  let turns = 0;
  let timer = setImmediate(function turned() {
    turns += 1;
    timer = setImmediate(turned);
  });
  await joinIndex(store, { fragments: fragments.toReversed() }, {});
  clearImmediate(timer);
  expect(turns).toBeGreaterThanOrEqual(fragments.length - 1);
});

test("what an index had is kept no longer where much of it is new", async () => {
  const { store, contents, edited, blobs, around } = await published();
  const { packed, texts } = warmFragments(store);
  const isKept = (fragments: readonly Fragment[]) => blobs(fragments).map((sha256) => packed.has(sha256));
  expect(new Set(isKept(contents.fragments))).toEqual(new Set([true]));
  const one = await edited("stable/main/amd64/p01234_2");
  await joinIndex(store, one, around);
  expect(new Set(isKept(contents.fragments))).toEqual(new Set([true]));
  const { fragments } = await edited(...contents.fragments.slice(0, 6).map(({ first }) => `${first}+new`));
  const gone = contents.fragments.filter(({ sha256 }) => !blobs(fragments).includes(sha256));
  for (const { sha256 } of gone) texts.keep(sha256, new Text(Buffer.alloc(1)).use(), 1);
  await joinIndex(store, { ...FRAME, fragments }, around);
  expect(gone).toHaveLength(6);
  expect(isKept(contents.fragments)).toEqual(contents.fragments.map((fragment) => !gone.includes(fragment)));
  expect(gone.map(({ sha256 }) => texts.has(sha256))).toEqual(gone.map(() => false));
});
