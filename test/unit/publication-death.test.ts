import { expect, test } from "vitest";
import { publishRepo } from "../../shared/publication/publish.ts";
import type { RepoRef } from "../../shared/repo/repo.ts";
import type { MemoryContext } from "../support/memory-context.ts";
import {
  commitPackages,
  expectPublished,
  expectRisingDates,
  packageEntry,
  repoInMemory,
  TYPES,
} from "../support/memory-repos.ts";

const DEATH = new Error("the process died here");

/** Dies at the Nth call of a publication, before its effect or behind it; tells whether it came so far. */
async function dieAt(ctx: MemoryContext, ref: RepoRef, wanted: number, side: "before" | "after"): Promise<boolean> {
  let died = false;
  ctx.calls = 0;
  ctx[side] = (call) => {
    if (call < wanted) return;
    died = true;
    throw DEATH;
  };
  await publishRepo(ctx, ref).catch((error: unknown) => {
    if (error !== DEATH) throw error;
  });
  ctx.before = ctx.after = () => {};
  return died;
}

/** At every call there is: dies, starts anew, and must come to the end; `meanwhile` happens in between. */
async function diesAnywhere(
  { ctx, ref }: { ctx: MemoryContext; ref: RepoRef },
  side: "before" | "after",
  meanwhile: (ctx: MemoryContext) => Promise<unknown> = async () => {},
): Promise<number> {
  for (let call = 1; ; call += 1) {
    const dying = ctx.restarted();
    if (!(await dieAt(dying, ref, call, side))) return call - 1;
    const next = dying.restarted();
    expectRisingDates(next);
    next.clock.ms += 1_500;
    await meanwhile(next);
    await publishRepo(next, ref);
    await expectPublished(next, ref);
  }
}

const SIDES = ["before", "after"] as const;
const CASES = TYPES.flatMap((type) => SIDES.map((side) => [side, type] as const));

test.each(CASES)("a first publication that died %s any call is completed by the next run (%s)", async (side, type) => {
  const repo = await repoInMemory(type);
  await commitPackages(repo.ctx, repo.ref, [packageEntry(type, "hello")]);
  expect(await diesAnywhere(repo, side)).toBeGreaterThan(20);
});

test.each(CASES)(
  "a publication of a change that died %s any call is completed by the next run (%s)",
  async (side, type) => {
    const repo = await repoInMemory(type);
    await publishRepo(repo.ctx, repo.ref);
    repo.ctx.clock.ms += 5_000;
    await commitPackages(repo.ctx, repo.ref, [packageEntry(type, "hello")]);
    expect(await diesAnywhere(repo, side)).toBeGreaterThan(10);
  },
);

test.each(SIDES)(
  "a publication of many new suites that died %s any call is completed by the next run",
  async (side) => {
    const repo = await repoInMemory("apt");
    await publishRepo(repo.ctx, repo.ref);
    repo.ctx.clock.ms += 5_000;
    const suites = ["bookworm", "forky", "jammy", "noble", "trixie"];
    await commitPackages(
      repo.ctx,
      repo.ref,
      suites.map((suite) => packageEntry("apt", "hello", suite)),
    );
    expect(await diesAnywhere(repo, side)).toBeGreaterThan(40);
  },
);

test.each(CASES)(
  "when more was committed after the death %s any call, the next run publishes that (%s)",
  async (side, type) => {
    const repo = await repoInMemory(type);
    await publishRepo(repo.ctx, repo.ref);
    repo.ctx.clock.ms += 5_000;
    await commitPackages(repo.ctx, repo.ref, [packageEntry(type, "hello", "testing")]);
    await diesAnywhere(repo, side, (ctx) => commitPackages(ctx, repo.ref, [packageEntry(type, "more", "noble")]));
  },
);
