import { describe, expect, test } from "vitest";
import { removeBinary, removeLevel } from "../../shared/binary/remove.ts";
import {
  arrive,
  binariesInMemory,
  commitsOf,
  drain,
  isTrue,
  pathOf,
  stateOf,
  upload,
} from "../support/memory-binaries.ts";
import type { MemoryContext } from "../support/memory-context.ts";

const DEATH = new Error("the process died here");
const SIDES = ["before", "after"] as const;
type Side = (typeof SIDES)[number];
type Work = (ctx: MemoryContext) => Promise<unknown>;

const all = { recursive: true, isOver: () => false };
const removeOne: Work = (ctx) => removeBinary(ctx, pathOf("a.deb").split("/"));
const removeAll: Work = (ctx) => removeLevel(ctx, ["lab"], all);
const replaceOne: Work = (ctx) => arrive(ctx, pathOf("a.deb"), "3");

/** Dies at the Nth call and every one that follows; tells whether it came so far. */
async function diesAt(ctx: MemoryContext, wanted: number, side: Side, work: Work): Promise<boolean> {
  let died = false;
  ctx.calls = 0;
  ctx[side] = (call) => {
    if (call < wanted) return;
    died = true;
    throw DEATH;
  };
  await work(ctx).catch((error: unknown) => {
    if (error !== DEATH) throw error;
  });
  return died;
}

async function settled(): Promise<MemoryContext> {
  const ctx = await binariesInMemory();
  await upload(ctx, pathOf("a.deb"), "1");
  await upload(ctx, pathOf("b.deb"), "2");
  await drain(ctx);
  expect(await isTrue(ctx)).toBe(true);
  return ctx;
}

describe.each([
  ["the removal of a binary", removeOne],
  ["the removal of a level", removeAll],
  ["a replacement", replaceOne],
])("%s", (_, work) => {
  test.each(SIDES)("that died %s any of its calls is as if it had never been, or done whole", async (side) => {
    const from = await settled();
    for (let call = 1; ; call += 1) {
      const dying = from.restarted();
      if (!(await diesAt(dying, call, side, work))) break;
      const next = dying.restarted();
      await drain(next, dying.sent);
      expect([call, await isTrue(next)]).toEqual([call, true]);
      // Every message comes once more.
      const before = await stateOf(next);
      await drain(next, dying.sent);
      expect([call, await stateOf(next)]).toEqual([call, before]);
    }
  });

  test.each(SIDES)("whose messages died %s any call is completed when they come again", async (side) => {
    const from = await settled();
    await work(from);
    const before = await commitsOf(from);
    const whole = from.restarted();
    await drain(whole, from.sent);
    const [expected, commits] = [await stateOf(whole), await commitsOf(whole)];
    expect(commits).toEqual(before.map((number) => number + 1));
    for (let call = 1; ; call += 1) {
      const dying = from.restarted();
      if (!(await diesAt(dying, call, side, (ctx) => drain(ctx, from.sent)))) {
        expect(call).toBeGreaterThan(20);
        break;
      }
      const next = dying.restarted();
      await drain(next, dying.sent);
      expect([call, await stateOf(next)]).toEqual([call, expected]);
      // One commit a repo, however often it was begun.
      expect([call, await commitsOf(next)]).toEqual([call, commits]);
    }
  });
});

test("a level of many binaries leaves each repo by one commit", async () => {
  const ctx = await binariesInMemory();
  for (let number = 0; number < 300; number += 1) await arrive(ctx, pathOf(`${number}.deb`), String(number));
  await drain(ctx);
  const before = await commitsOf(ctx);
  await removeLevel(ctx, ["lab", "debian"], all);
  await drain(ctx);
  expect(await stateOf(ctx)).toEqual({ stored: {}, held: { tools: [], files: [] }, levels: ["/lab"] });
  expect(await commitsOf(ctx)).toEqual(before.map((number) => number + 1));
});

test("a removal whose time is over tells so, and is completed by its message; what came later stays", async () => {
  const ctx = await settled();
  ctx.clock.ms += 10;
  expect(await removeLevel(ctx, ["lab"], { recursive: true, isOver: () => true })).toBe("going");
  ctx.clock.ms += 10;
  await upload(ctx, pathOf("later.deb"), "4");
  await drain(ctx);
  expect(Object.keys((await stateOf(ctx)).stored)).toEqual([pathOf("later.deb")]);
  expect(await isTrue(ctx)).toBe(true);
});
