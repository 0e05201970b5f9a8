import fc from "fast-check";
import { expect, test } from "vitest";
import { type Sha256, sha256Of } from "../../shared/blob.ts";
import { heldOf } from "../../shared/sync/held.ts";
import { memoryContext } from "../support/memory-context.ts";
import { counted, countsOf } from "../support/surface-cost.ts";

const hash = (nth: number): Sha256 => sha256Of(`blob ${nth}`);
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

/** A store that holds blobs of the length of their number, and counts what it is asked. */
function holding(numbers: readonly number[]) {
  const ctx = memoryContext();
  for (const nth of numbers) ctx.blobs.held.set(hash(nth), new Uint8Array(nth % 50));
  return counted(ctx);
}

test("of any blobs it tells just those that are there, with their sizes", async () => {
  const numbers = fc.uniqueArray(fc.nat(3000), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(numbers, numbers, fc.boolean(), async (wanted, some, isCrowded) => {
      const there = new Set([...some, ...wanted.filter((nth) => nth % 3 === 0), ...(isCrowded ? range(0, 2500) : [])]);
      const { ctx } = holding([...there]);
      const held = await heldOf(ctx, wanted.map(hash));
      const expected = wanted.filter((nth) => there.has(nth)).map((nth) => [hash(nth), nth % 50] as const);
      expect(new Map([...held].sort())).toEqual(new Map(expected.sort()));
    }),
    { numRuns: 60 },
  );
});

test("500 blobs cost one request where the store holds little else", async () => {
  const { ctx, calls } = holding(range(0, 900));
  expect((await heldOf(ctx, range(400, 900).map(hash))).size).toBe(500);
  expect(calls()).toEqual(["objects.listBlobs"]);
});

test("500 blobs in the midst of 10,000 cost a page for each thousand", async () => {
  const { ctx, calls } = holding(range(0, 10_000));
  expect((await heldOf(ctx, range(9_800, 10_300).map(hash))).size).toBe(200);
  expect(countsOf(calls())).toEqual({ "objects.listBlobs": 10 });
});

test("a few are asked for one by one, and so are those that lie too far apart", async () => {
  const { ctx, calls } = holding(range(0, 6000));
  await heldOf(ctx, range(0, 11).map(hash));
  expect(countsOf(calls())).toEqual({ "objects.blobSize": 11 });
  await heldOf(ctx, range(5990, 6020).map(hash));
  const { "objects.listBlobs": pages, "objects.blobSize": asked } = countsOf(calls());
  expect(pages).toBe(1);
  expect(asked).toBeGreaterThan(18);
});

test("no blob costs nothing", async () => {
  const { ctx, calls } = holding([1]);
  expect((await heldOf(ctx, [])).size).toBe(0);
  expect(calls()).toEqual([]);
});
