import { expect, test, vi } from "vitest";
import { publishRepo } from "../../shared/publication/publish.ts";
import { changeRepo } from "../../shared/repo/alter.ts";
import type { RepoRef } from "../../shared/repo/repo.ts";
import type { MemoryContext } from "../support/memory-context.ts";
import {
  commitPackages,
  expectPublished,
  expectRisingDates,
  packageEntry,
  repoInMemory,
  repoOf,
  TYPES,
} from "../support/memory-repos.ts";

// The clock of these tests passes with the calls: no publisher waits on the real one.
vi.mock("node:timers/promises", () => ({ setTimeout: () => new Promise((resolve) => setImmediate(resolve)) }));

/** Stops a publication before its Nth call, has `meanwhile` happen, and lets it go on; tells whether it came so far. */
async function overtakenAt(
  ctx: MemoryContext,
  ref: RepoRef,
  wanted: number,
  meanwhile: () => Promise<void>,
): Promise<boolean> {
  let overtaken = false;
  ctx.calls = 0;
  ctx.before = async (call) => {
    if (overtaken || call < wanted) return;
    overtaken = true;
    await meanwhile();
  };
  await publishRepo(ctx, ref);
  ctx.before = () => {};
  return overtaken;
}

async function overtakenAnywhere(
  { ctx, ref }: { ctx: MemoryContext; ref: RepoRef },
  change: (ctx: MemoryContext) => Promise<unknown>,
): Promise<number> {
  for (let call = 1; ; call += 1) {
    const late = ctx.restarted();
    expectRisingDates(late);
    const overtaken = await overtakenAt(late, ref, call, async () => {
      await change(late);
      late.clock.ms += 3_000;
      await publishRepo(late, ref);
      late.clock.ms += 3_000;
    });
    await expectPublished(late, ref);
    if (!overtaken) return call - 1;
  }
}

test.each(TYPES)(
  "a publisher that another one overtook at any call leaves the newest commit published (%s)",
  async (type) => {
    const repo = await repoInMemory(type);
    await publishRepo(repo.ctx, repo.ref);
    repo.ctx.clock.ms += 5_000;
    await commitPackages(repo.ctx, repo.ref, [packageEntry(type, "hello")]);
    const calls = await overtakenAnywhere(repo, (ctx) => commitPackages(ctx, repo.ref, [packageEntry(type, "more")]));
    expect(calls).toBeGreaterThan(10);
  },
);

test.each(TYPES)(
  "a first publisher that another one overtook at any call leaves the newest commit published (%s)",
  async (type) => {
    const repo = await repoInMemory(type);
    await overtakenAnywhere(repo, (ctx) => commitPackages(ctx, repo.ref, [packageEntry(type, "more")]));
  },
);

test("a late publisher cannot bring back what was changed and changed again", async () => {
  const repo = await repoInMemory("apt", { description: "one" });
  await publishRepo(repo.ctx, repo.ref);
  repo.ctx.clock.ms += 5_000;
  const describe = async (ctx: MemoryContext, description: string) =>
    changeRepo(ctx, await repoOf(ctx, repo.ref), { description });
  await describe(repo.ctx, "two");
  await overtakenAnywhere(repo, (ctx) => describe(ctx, "one"));
});

test.each(TYPES)(
  "publishers that run at once end with the newest commit, whoever is first where (%s)",
  async (type) => {
    const { ctx, ref } = await repoInMemory(type);
    expectRisingDates(ctx);
    await publishRepo(ctx, ref);
    for (let round = 0; round < 5; round += 1) {
      ctx.clock.ms += 5_000;
      await commitPackages(ctx, ref, [packageEntry(type, `a${round}`)]);
      const first = publishRepo(ctx, ref);
      await commitPackages(ctx, ref, [packageEntry(type, `b${round}`)]);
      await Promise.all([first, publishRepo(ctx, ref), publishRepo(ctx, ref)]);
      await expectPublished(ctx, ref);
    }
  },
);

test.each([
  ["apt", "dists/stable/InRelease"],
  ["yum", "mirrorlist"],
] as const)("what leads clients of %s to the rest is written when all the rest is", async (type, last) => {
  const { ctx, ref } = await repoInMemory(type);
  const { putPointer } = ctx.objects;
  const begun: string[] = [];
  const ended: string[] = [];
  ctx.objects.putPointer = async (key, ...given) => {
    const { path } = key;
    begun.push(path);
    if (path === last) expect(ended).toHaveLength(begun.length - 1);
    // The later one begins, the sooner it ends.
    for (let turns = 20 - begun.length; turns > 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve));
    const isWritten = await putPointer(key, ...given);
    ended.push(path);
    return isWritten;
  };
  await publishRepo(ctx, ref);
  expect(begun.at(-1)).toBe(last);
  expect(ended).toHaveLength(begun.length);
  expect(begun.length).toBeGreaterThan(5);
});
