import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { RepoRef } from "../../shared/repo/repo.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { deliver, historyOf, outcomeOf, store } from "../support/memory-changes.ts";
import type { MemoryContext } from "../support/memory-context.ts";
import { repoInMemory } from "../support/memory-repos.ts";
import { changesOf, type NamedBytes, sourcePackage } from "../support/sources.ts";

const DEATH = new Error("the process died here");
const SIDES = ["before", "after"] as const;
type Side = (typeof SIDES)[number];
type Bench = { ctx: MemoryContext; ref: RepoRef };

let source: NamedBytes[];
let build: NamedBytes[];
let changes: NamedBytes;
let packages: string[];

beforeAll(() => {
  source = sourcePackage();
  build = [...source, { name: "hello_1.0-1_amd64.deb", bytes: buildDeb({ control: { Package: "hello" } }) }];
  changes = changesOf(build);
  packages = build
    .filter(({ name }) => /\.(?:deb|dsc)$/.test(name))
    .map(({ name }) => name)
    .sort();
});

const benchOf = (): Promise<Bench> => repoInMemory("apt", { accepts: [{ path: "hello/**" }] });

/** Dies at the Nth call, before its effect or behind it, and at each that follows; tells whether it came so far. */
async function dieAt(ctx: MemoryContext, wanted: number, side: Side, work: () => Promise<void>): Promise<boolean> {
  let died = false;
  ctx.calls = 0;
  ctx[side] = (call) => {
    if (call < wanted) return;
    died = true;
    throw DEATH;
  };
  await work().catch((error: unknown) => {
    if (error !== DEATH) throw error;
  });
  return died;
}

/** At every call of some work: dies, and starts anew with all messages that were not worked; answers how many calls there were. */
async function diesAnywhere(
  { ctx }: Bench,
  side: Side,
  work: (ctx: MemoryContext) => Promise<void>,
  expectEnd: (ctx: MemoryContext, call: number) => Promise<void>,
): Promise<number> {
  for (let call = 1; ; call += 1) {
    const dying = ctx.restarted();
    if (!(await dieAt(dying, call, side, () => work(dying)))) return call - 1;
    const next = dying.restarted();
    await work(next);
    await expectEnd(next, call);
  }
}

const orders: [string, () => NamedBytes[]][] = [
  ["the .changes", () => [...build, changes]],
  ["the .dsc", () => [changes, ...build.slice(1), build[0] as NamedBytes]],
  ["a .deb", () => [changes, ...build]],
];

describe.each(SIDES)("a process that dies %s any call", (side) => {
  test.each(orders)(
    "while %s completes a .changes leaves it to the next, which brings it in one commit",
    async (_, order) => {
      const bench = await benchOf();
      const files = order();
      const last = files.at(-1) as NamedBytes;
      for (const file of files.slice(0, -1)) {
        await store(bench.ctx, file, file === changes ? undefined : changes.name);
        await deliver(bench.ctx, file);
      }
      await store(bench.ctx, last, last === changes ? undefined : changes.name);
      const calls = await diesAnywhere(
        bench,
        side,
        (ctx) => deliver(ctx, last),
        async (ctx, call) => {
          expect([call, await historyOf(ctx, bench.ref)]).toEqual([call, [[], packages]]);
          for (const file of files)
            expect([call, file.name, (await outcomeOf(ctx, file))?.state]).toEqual([call, file.name, "done"]);
        },
      );
      expect(calls).toBeGreaterThan(30);
    },
  );

  test("while a part of other bytes ends a .changes leaves nothing of it in", async () => {
    const bench = await benchOf();
    const [tar, ...others] = build.slice(1) as [NamedBytes];
    for (const file of [changes, build[0] as NamedBytes, ...others]) {
      await store(bench.ctx, file, file === changes ? undefined : changes.name);
      await deliver(bench.ctx, file);
    }
    const wrong = { ...tar, bytes: Buffer.from("other bytes") };
    await store(bench.ctx, wrong, changes.name);
    await diesAnywhere(
      bench,
      side,
      (ctx) => deliver(ctx, wrong),
      async (ctx, call) => {
        expect([call, await historyOf(ctx, bench.ref)]).toEqual([call, [[]]]);
        for (const file of [changes, ...build]) {
          const { state, error } = (await outcomeOf(ctx, file)) ?? {};
          expect([call, file.name, state]).toEqual([call, file.name, "failed"]);
          expect(error).toMatch(/hello_1\.0.* has 11 bytes, .* says \d+/);
        }
      },
    );
  });

  test("while the last part of a source package comes leaves it to the next", async () => {
    const bench = await benchOf();
    const [dsc, last, ...parts] = source as [NamedBytes, NamedBytes];
    for (const file of [dsc, ...parts]) {
      await store(bench.ctx, file);
      await deliver(bench.ctx, file);
    }
    await store(bench.ctx, last);
    await diesAnywhere(
      bench,
      side,
      (ctx) => deliver(ctx, last),
      async (ctx, call) => {
        expect([call, await historyOf(ctx, bench.ref)]).toEqual([call, [[], [dsc.name]]]);
        expect([call, (await outcomeOf(ctx, dsc))?.state]).toEqual([call, "done"]);
      },
    );
  });
});

test("in whatever order files come, and however their messages cross or come twice, a .changes goes in with one commit", async () => {
  const files = [changes, ...build];
  const order = fc.shuffledSubarray(files, { minLength: files.length });
  await fc.assert(
    fc.asyncProperty(
      order,
      fc.array(fc.nat(files.length - 1), { maxLength: 6 }),
      fc.scheduler(),
      async (come, twice, s) => {
        const { ctx, ref } = await benchOf();
        ctx.before = async () => void (await s.schedule(Promise.resolve()));
        const work = async (file: NamedBytes) => {
          await store(ctx, file, changes.name === file.name ? undefined : changes.name);
          await deliver(ctx, file);
        };
        const all = Promise.all([...come.map(work), ...twice.map((index) => deliver(ctx, come[index] as NamedBytes))]);
        await s.waitFor(all);
        ctx.before = () => {};
        expect(await historyOf(ctx, ref)).toEqual([[], packages]);
        for (const file of files) expect([file.name, (await outcomeOf(ctx, file))?.state]).toEqual([file.name, "done"]);
      },
    ),
    { numRuns: 25 },
  );
});

describe("what never comes", () => {
  test.each([
    ["a part of a .changes", () => build.slice(1), () => build[0] as NamedBytes],
    ["a .changes", () => build, () => changes],
  ])("%s is told by all that waited for it, when the time is over", async (_, come, absent) => {
    const { ctx, ref } = await benchOf();
    const files = [...come(), ...(absent() === changes ? [] : [changes])];
    for (const file of files) {
      await store(ctx, file, file === changes ? undefined : changes.name);
      await deliver(ctx, file);
    }
    const waits = () => ctx.sent.filter((message) => JSON.stringify(message).includes('"wait"'));
    expect(waits()).toHaveLength(files.length);
    ctx.clock.ms += (ctx.uploadTerms.partsWaitSeconds - 1) * 1000;
    for (const file of files) await deliver(ctx, file, "wait");
    for (const file of files) expect(await outcomeOf(ctx, file)).toBeUndefined();
    // Each is looked at again.
    expect(waits()).toHaveLength(2 * files.length);
    ctx.clock.ms += 2000;
    for (const file of files) await deliver(ctx, file, "wait");
    for (const file of files) {
      expect(await outcomeOf(ctx, file)).toMatchObject({
        state: "failed",
        error: expect.stringContaining(`${absent().name}`),
      });
      expect((await outcomeOf(ctx, file))?.error).toMatch(/never came/);
    }
    expect(await historyOf(ctx, ref)).toEqual([[]]);
    // What comes too late is told, and does not go in alone.
    await store(ctx, absent(), absent() === changes ? undefined : changes.name);
    await deliver(ctx, absent());
    const late = await outcomeOf(ctx, absent());
    if (absent() === changes) expect([late?.state, await historyOf(ctx, ref)]).toEqual(["done", [[], packages]]);
    else expect([late?.state, await historyOf(ctx, ref)]).toEqual(["failed", [[]]]);
  });
});
