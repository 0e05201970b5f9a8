import { describe, expect, test } from "vitest";
import { writeBinary } from "../../shared/binary/node.ts";
import { removeBinary, removeLevel } from "../../shared/binary/remove.ts";
import { settle } from "../../shared/binary/settle.ts";
import { AppError } from "../../shared/error.ts";
import { arrive, binariesInMemory, drain, isTrue, pathOf, stateOf, upload } from "../support/memory-binaries.ts";
import type { MemoryContext } from "../support/memory-context.ts";

const PATH = pathOf("a.deb");
const SEGMENTS = PATH.split("/");
const LEVELS = ["/lab", "lab/debian", "lab/debian/bookworm", "lab/debian/bookworm/amd64"];
type Work = (ctx: MemoryContext) => Promise<unknown>;

const all = { recursive: true, isOver: () => false };
const remove: Work = async (ctx) => {
  ctx.clock.ms += 1;
  await removeBinary(ctx, SEGMENTS).catch(unlessUnknown);
};
const removeAll: Work = async (ctx) => {
  ctx.clock.ms += 1;
  await removeLevel(ctx, ["lab"], all).catch(unlessUnknown);
};
const replace: Work = (ctx) => upload(ctx, PATH, "2");
const add: Work = (ctx) => upload(ctx, pathOf("b.deb"), "3");
/** Asks for an upload where all levels are there, as far as it knows. */
const ask: Work = async (ctx) => {
  ctx.clock.ms += 1;
  const expiresAt = new Date(ctx.clock.ms + 3_600_000).toISOString();
  const awaited = { id: "1".repeat(32), expiresAt, force: false };
  await writeBinary(ctx, pathOf("c.deb").split("/"), undefined, { awaited });
};

function unlessUnknown(error: unknown): void {
  if (!(error instanceof AppError && error.kind === "not_found")) throw error;
}

/** Another process: those of one take turns at a repo. */
const elsewhere = (ctx: MemoryContext): MemoryContext => ({ ...ctx });

/** At each call of some work another does all of its own, messages and all; answers after how many calls there was none left. */
async function interrupted(from: MemoryContext, work: Work, other: Work, check: (ctx: MemoryContext) => Promise<void>) {
  for (let wanted = 1; ; wanted += 1) {
    const ctx = from.restarted();
    let came = false;
    ctx.calls = 0;
    ctx.before = async (call) => {
      if (call !== wanted || came) return;
      came = true;
      const early = ctx.sent.splice(0);
      await other(elsewhere(ctx));
      await drain(elsewhere(ctx), early);
    };
    // What fails by another's doing comes again, as a message would.
    await work(ctx).catch(() => work(ctx));
    if (!came) return wanted - 1;
    await drain(ctx);
    expect([wanted, await stateOf(ctx), await isTrue(ctx)]).toEqual([wanted, await stateOf(ctx), true]);
    await check(ctx);
  }
}

/** A binary is stored, and the repos are not told yet. */
async function unsettled() {
  const ctx = await binariesInMemory();
  const one = await arrive(ctx, PATH, "1");
  if (!one) throw new Error("nothing was stored");
  const tell: Work = (on) => settle(on, [one]);
  return { ctx, tell };
}

async function stored() {
  const ctx = await binariesInMemory();
  await upload(ctx, PATH, "1");
  await drain(ctx);
  return ctx;
}

const pathsIn = async (ctx: MemoryContext) => Object.keys((await stateOf(ctx)).stored);

describe("at whatever moment of telling the repos of an upload it comes", () => {
  test.each([
    ["a removal", remove, []],
    ["a removal of all above it", removeAll, []],
    ["a replacement", replace, [PATH]],
    ["another upload", add, [PATH, pathOf("b.deb")]],
  ])("%s wins whole", async (_, other, paths) => {
    const { ctx, tell } = await unsettled();
    const moments = await interrupted(ctx, tell, other, async (now) => expect(await pathsIn(now)).toEqual(paths));
    expect(moments).toBeGreaterThan(15);
  });
});

describe("at whatever moment of a removal it comes", () => {
  test.each([
    ["a binary, a replacement", remove, replace],
    ["a binary, another removal", remove, remove],
    ["a level, a replacement", removeAll, replace],
    ["a level, a new binary", removeAll, add],
    ["a level, another removal", removeAll, removeAll],
    ["a level, the removal of its binary", removeAll, remove],
  ])("of %s is there whole, or gone", async (_, work, other) => {
    const moments = await interrupted(await stored(), work, other, async () => {});
    expect(moments).toBeGreaterThan(3);
  });
});

test("at whatever moment of a removal's messages it comes, an upload stays", async () => {
  const ctx = await stored();
  await remove(ctx);
  const messages = ctx.sent.splice(0);
  const work: Work = (now) => drain(now, messages);
  const moments = await interrupted(ctx, work, replace, async (now) => expect(await pathsIn(now)).toEqual([PATH]));
  expect(moments).toBeGreaterThan(10);
});

test("what is asked for at whatever moment of a level's removal is gone, or listed", async () => {
  const from = await stored();
  for (let wanted = 1; ; wanted += 1) {
    const ctx = from.restarted();
    let came = false;
    ctx.calls = 0;
    ctx.before = async (call) => {
      if (call !== wanted || came) return;
      came = true;
      await ask(elsewhere(ctx));
    };
    await removeAll(ctx);
    if (!came) return;
    Object.assign(ctx.objects, { headIncoming: async () => undefined });
    await drain(ctx, [{ kind: "look", path: pathOf("c.deb") }]);
    const { stored: leaves, levels } = await stateOf(ctx);
    const isThere = Object.keys(leaves).length > 0;
    expect([wanted, levels]).toEqual([wanted, isThere ? LEVELS : []]);
  }
});

test("who dies having told a repo of what was replaced meanwhile has the late look put it right", async () => {
  const { ctx: from, tell } = await unsettled();
  for (let wanted = 1; ; wanted += 1) {
    const ctx = from.restarted();
    let came = false;
    let late: unknown[] | undefined;
    ctx.calls = 0;
    ctx.before = async (call) => {
      if (call !== wanted || came) return;
      came = true;
      await replace(elsewhere(ctx));
      late = ctx.sent.splice(0).filter((message) => (message as { kind: string }).kind === "leave");
    };
    ctx.after = (call) => {
      if (late && call > wanted && ctx.writes.at(-1)?.startsWith("table.put commits#")) throw new Error("death");
    };
    await tell(ctx).catch(() => {});
    if (!came) return;
    const next = ctx.restarted();
    await drain(next, late ?? []);
    expect([wanted, await stateOf(next), await isTrue(next)]).toEqual([wanted, await stateOf(next), true]);
  }
});

test("messages that come when nothing is to be done make no commit", async () => {
  const ctx = await stored();
  const before = await stateOf(ctx);
  for (const message of [
    { kind: "leave", path: PATH },
    { kind: "leave", path: "lab" },
    { kind: "settle", path: PATH },
  ]) {
    ctx.writes.length = 0;
    await drain(ctx, [message]);
    expect(ctx.writes.filter((write) => !write.includes("published"))).toEqual([]);
  }
  expect(await stateOf(ctx)).toEqual(before);
});
