import { expect, test } from "vitest";
import { headOf } from "../../shared/commit.ts";
import { deleteRepo } from "../../shared/publication/bury.ts";
import { publishRepo } from "../../shared/publication/publish.ts";
import { changeRepo } from "../../shared/repo/alter.ts";
import { type RepoRef, repairRepo } from "../../shared/repo/repo.ts";
import { resignRepo } from "../../shared/repo/resign.ts";
import { rotateKey } from "../../shared/repo/rotate.ts";
import { nextAfter } from "../../shared/schedule/expression.ts";
import type { MemoryContext } from "../support/memory-context.ts";
import { commitPackages, packageEntry, repoInMemory, repoOf, TYPES } from "../support/memory-repos.ts";
import { later, smallKeys } from "../support/signing-rings.ts";

const HOUR = 3600;
const DAY = 24 * HOUR;

/** Seconds from now until apt takes a suite no more. */
function validFor(ctx: MemoryContext, suite: string): number {
  const text = String(ctx.pointers.get(`pointers/apt/tools/dists/${suite}/InRelease`)?.bytes);
  return (Date.parse(/^Valid-Until: (.+)$/m.exec(text)?.[1] ?? "") - ctx.clock.ms) / 1000;
}

async function headNumber(ctx: MemoryContext, ref: RepoRef): Promise<number> {
  return (await headOf(ctx, await repoOf(ctx, ref))).number;
}

async function published(type: RepoRef["type"], valid_for: number | null) {
  const repo = await repoInMemory(type, { valid_for });
  if (type === "apt") await commitPackages(repo.ctx, repo.ref, [packageEntry("apt", "hello", "testing")]);
  await publishRepo(repo.ctx, repo.ref);
  return repo;
}

test.each([HOUR, 7 * DAY])(
  "what is valid for %i s is signed anew at half of it, every suite, and not before",
  async (valid) => {
    const { ctx, ref } = await published("apt", valid);
    expect(validFor(ctx, "testing")).toBe(valid);
    await later(ctx, ref, valid / 2 - 10);
    expect(await headNumber(ctx, ref)).toBe(1);
    await later(ctx, ref, 20);
    expect(await headNumber(ctx, ref)).toBe(2);
    expect(await headOf(ctx, await repoOf(ctx, ref))).toMatchObject({
      count: 1,
      message: "sign anew what would expire",
    });
    for (const suite of ["stable", "testing"]) expect(validFor(ctx, suite)).toBe(valid);
    await later(ctx, ref, 1);
    expect(await headNumber(ctx, ref)).toBe(2);
  },
);

test("a package in one suite makes no other suite expire", async () => {
  const { ctx, ref } = await published("apt", DAY);
  ctx.clock.ms += 10 * HOUR * 1000;
  await commitPackages(ctx, ref, [packageEntry("apt", "more", "stable")]);
  await publishRepo(ctx, ref);
  expect(validFor(ctx, "testing")).toBe(DAY);
});

test("looks come often enough that none may be missed for a publication to expire", async () => {
  for (const valid of [HOUR, 5 * HOUR, DAY, 7 * DAY, 30 * DAY, 3650 * DAY]) {
    const { ctx } = await published("apt", valid);
    const [schedule, ...more] = [...ctx.planned.values()];
    expect(more).toEqual([]);
    expect(schedule?.message).toEqual({ kind: "resign", type: "apt", name: "tools" });
    const next = nextAfter(schedule?.expression ?? "", ctx.now());
    const every = ((next?.getTime() ?? Number.NaN) - ctx.clock.ms) / 1000;
    expect(every).toBeGreaterThanOrEqual(300);
    // One look that finds it just too young, one that is lost, and the next is in time.
    expect(valid / 2 + 2 * every).toBeLessThan(valid * 0.8);
  }
});

test("a head that waits to be published is sent for again, and no commit is added to it", async () => {
  const { ctx, ref } = await published("apt", DAY);
  await commitPackages(ctx, ref, [packageEntry("apt", "more")]);
  ctx.clock.ms += 13 * HOUR * 1000;
  ctx.sent.length = 0;
  await resignRepo(ctx, ref);
  expect(await headNumber(ctx, ref)).toBe(2);
  expect(ctx.sent).toContainEqual(expect.objectContaining({ name: "tools", id: expect.any(String) }));
});

test.each(TYPES)("an %s repo that does not expire is looked at in vain, and not by any schedule", async (type) => {
  const { ctx, ref } = await published(type, null);
  const number = await headNumber(ctx, ref);
  await later(ctx, ref, 3650 * DAY);
  expect(await headNumber(ctx, ref)).toBe(number);
  expect(ctx.planned.size).toBe(0);
});

test("Valid-Until is of apt: no other repo is signed anew for it", async () => {
  for (const type of ["yum", "dir"] as const) {
    const { ctx, ref } = await published(type, DAY);
    await later(ctx, ref, 2 * DAY);
    expect(await headNumber(ctx, ref)).toBe(0);
    expect(ctx.planned.size).toBe(0);
  }
});

test("who repairs a repo that expires has it looked at, once", async () => {
  const { ctx, ref } = await published("apt", DAY);
  ctx.sent.length = 0;
  const message = { kind: "repair", ...ref };
  await repairRepo(ctx, message);
  const looks = ctx.sent.filter((one) => JSON.stringify(one).includes('"kind"'));
  expect(looks).toEqual([{ ...ref, kind: "resign" }]);
});

test("a repo that stops to expire has no schedule after its next look; one that is removed has none at all", async () => {
  const { ctx, ref } = await published("apt", DAY);
  await changeRepo(ctx, await repoOf(ctx, ref), { valid_for: null });
  await later(ctx, ref, 60);
  expect(ctx.planned.size).toBe(0);

  await changeRepo(ctx, await repoOf(ctx, ref), { valid_for: DAY });
  const { B } = await smallKeys("B", ctx.now());
  await rotateKey(ctx, await repoOf(ctx, ref), { overlap: 30 * DAY, key: B?.privateKeyArmored });
  expect([...ctx.planned.values()].map(({ expression }) => expression).sort()).toEqual([
    "at(2026-12-21T12:01:01)",
    "rate(3 hours)",
  ]);
  await deleteRepo(ctx, await repoOf(ctx, ref));
  expect(ctx.planned.size).toBe(0);
  await resignRepo(ctx, ref);
  expect(ctx.planned.size).toBe(0);
});
