import { expect, test } from "vitest";
import type { Unsettled } from "../../shared/binary/ingest.ts";
import { settle } from "../../shared/binary/settle.ts";
import { arrive, binariesInMemory, commitsOf, isTrue, pathOf } from "../support/memory-binaries.ts";
import type { MemoryContext } from "../support/memory-context.ts";
import { countsOf } from "../support/surface-cost.ts";

async function arrived(ctx: MemoryContext, names: readonly string[]): Promise<Unsettled[]> {
  const all: Unsettled[] = [];
  for (const name of names) {
    const one = await arrive(ctx, pathOf(name), name);
    if (one) all.push(one);
  }
  return all;
}

const named = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `p${from + index}.deb`);

test("uploads of one batch cost two writes each, and share what else telling two repos of them costs", async () => {
  const ctx = await binariesInMemory();
  const all = await arrived(ctx, named(0, 20));
  const calls: string[] = [];
  ctx.before = (_, name) => void calls.push(name);
  const forgotten: string[] = [];
  const deleteIncoming = async (...ids: readonly string[]) => {
    calls.push("objects.deleteIncoming");
    forgotten.push(...ids);
  };
  Object.assign(ctx.objects, { deleteIncoming });
  const uploaded = all.map((one, index) => ({ ...one, uploadId: String(index) }));
  await settle(ctx, uploaded);
  ctx.before = () => {};
  expect(forgotten.sort()).toEqual(uploaded.map(({ uploadId }) => uploadId).sort());
  const { "objects.getBlob": reads = 0, "objects.putBlob": writes = 0, ...counts } = countsOf(calls);
  expect(counts).toEqual({
    // Where each is found, and that all is done; and a commit in each repo.
    "table.put": 20 * 2 + 2,
    // What became of them.
    "table.putMany": 1,
    "objects.deleteIncoming": 1,
    // The levels above.
    "table.update": 4,
    // The repos.
    "table.get": 2,
    // Who takes the name, who everything; who waits for them; two heads and those who follow.
    "table.query": 2 + 1 + 2 + 2,
  });
  expect(reads).toBe(0);
  // Of each repo leaves of its tree, with their text, of its index by hash and of its givers; and three roots.
  expect(writes).toBeLessThanOrEqual(2 * 8);
  expect(await isTrue(ctx)).toBe(true);
});

test("batches that one process works at the same time lose no race for a repo", async () => {
  const ctx = await binariesInMemory();
  const batches = await Promise.all([0, 1, 2, 3].map((n) => arrived(ctx, named(n * 10, n * 10 + 10))));
  const before = await commitsOf(ctx);
  const { put } = ctx.table;
  let lost = 0;
  ctx.table.put = async (item, condition) => {
    const written = await put(item, condition);
    if (!written && item.pk.startsWith("commits#")) lost += 1;
    return written;
  };
  await Promise.all(batches.map((batch) => settle(ctx, batch)));
  expect(lost).toBe(0);
  expect(await commitsOf(ctx)).toEqual(before.map((number) => number + 4));
  expect(await isTrue(ctx)).toBe(true);
});

test("what has to be read again is, ten at a time", async () => {
  const ctx = await binariesInMemory();
  const all = await arrived(ctx, named(0, 25));
  const before = await commitsOf(ctx);
  await settle(
    ctx,
    all.map(({ known: _, ...one }) => one),
  );
  expect(await commitsOf(ctx)).toEqual(before.map((number) => number + 3));
  expect(await isTrue(ctx)).toBe(true);
});
