import { expect, test } from "vitest";
import { findUnsettled } from "../../shared/binary/ingest.ts";
import { findBinary, type StoredBinary, writeBinary } from "../../shared/binary/node.ts";
import { searchBinaries } from "../../shared/binary/search.ts";
import { forgetHints, writeHints } from "../../shared/binary/search-hints.ts";
import { settle } from "../../shared/binary/settle.ts";
import { sha256Of } from "../../shared/blob.ts";
import type { Context } from "../../shared/context.ts";
import { type MemoryContext, memoryContext } from "../support/memory-context.ts";

const SEGMENTS = ["hello", "debian", "sid", "amd64", "hello.bin"];
const ONE = sha256Of("one");
const TWO = sha256Of("two");

function stored(ctx: Context, job: string, sha256 = ONE): { segments: string[]; stored: StoredBinary } {
  const at = ctx.now().toISOString();
  const told = { sha256, sizeBytes: 3, signed: false, format: "file" as const };
  return { segments: SEGMENTS, stored: { ...told, job, replace: false, settled: false, at } };
}

async function lay(ctx: MemoryContext, job: string, sha256 = ONE) {
  const one = stored(ctx, job, sha256);
  expect(await writeBinary(ctx, SEGMENTS, await findBinary(ctx, SEGMENTS), { stored: one.stored })).toBeDefined();
  return one;
}

const isFound = async (ctx: Context, sha256 = ONE) => (await searchBinaries(ctx, { sha256 })).found.length === 1;

test("wherever settling a stored binary dies, settling it again has it found by its hash, and only then its job is over", async () => {
  const settled = async (ctx: Context) => {
    const found = await findUnsettled(ctx, SEGMENTS.join("/"));
    if (found) await settle(ctx, [found]);
  };
  const whole = memoryContext();
  await lay(whole, "job");
  const begin = whole.calls;
  await settled(whole);
  const most = whole.calls - begin;
  expect(most).toBeGreaterThan(7);
  for (let dies = 1; dies <= most; dies += 1) {
    for (const moment of ["before", "after"] as const) {
      const ctx = memoryContext();
      await lay(ctx, "job");
      const from = ctx.calls;
      ctx[moment] = (call: number) => {
        if (call === from + dies) throw new Error("the power went");
      };
      await expect(settled(ctx)).rejects.toThrow("the power went");
      const next = ctx.restarted();
      if ((await findBinary(next, SEGMENTS))?.stored?.settled) expect(await isFound(next)).toBe(true);
      await settled(next);
      expect([dies, moment, await isFound(next)]).toEqual([dies, moment, true]);
    }
  }
});

test("who comes late with what lay there before takes nothing from what lies there now", async () => {
  const ctx = memoryContext();
  const first = await lay(ctx, "first");
  ctx.clock.ms += 1000;
  // The same bytes once more, after they had been removed.
  const second = await lay(ctx, "second");
  await writeHints(ctx, [second]);
  await writeHints(ctx, [first]);
  await forgetHints(ctx, [first]);
  expect(await isFound(ctx)).toBe(true);
  await forgetHints(ctx, [second]);
  expect(await isFound(ctx)).toBe(false);
});

test("other bytes in its place are found by their hash, and the old ones by theirs no more, whoever died in between", async () => {
  const ctx = memoryContext();
  const first = await lay(ctx, "first");
  await writeHints(ctx, [first]);
  ctx.clock.ms += 1000;
  const second = await lay(ctx, "second", TWO);
  expect([await isFound(ctx, ONE), await isFound(ctx, TWO)]).toEqual([false, false]);
  await writeHints(ctx, [second]);
  expect([await isFound(ctx, ONE), await isFound(ctx, TWO)]).toEqual([false, true]);
  await forgetHints(ctx, [first]);
  expect([await isFound(ctx, ONE), await isFound(ctx, TWO)]).toEqual([false, true]);
});

test("hints that lead nowhere cost a page no more than its bound, and hide nothing behind them", async () => {
  const ctx = memoryContext();
  for (let number = 0; number < 250; number += 1) {
    const gone = ["a", "b", "c", "d", `gone-${String(number).padStart(3, "0")}`];
    await writeHints(ctx, [{ ...stored(ctx, "job"), segments: gone }]);
  }
  await writeHints(ctx, [await lay(ctx, "job")]);
  const terms = { found: 20, requests: 6, items: 1000, parallel: 2 };
  let after: string | undefined;
  let pages = 0;
  const found: string[] = [];
  do {
    const calls = ctx.calls;
    const page = await searchBinaries(ctx, { sha256: ONE }, after, terms);
    expect(ctx.calls - calls).toBeLessThanOrEqual(terms.requests);
    found.push(...page.found.map(({ segments }) => segments.join("/")));
    after = page.next;
    pages += 1;
  } while (after !== undefined);
  expect(found).toEqual([SEGMENTS.join("/")]);
  expect(pages).toBeGreaterThan(5);
});
