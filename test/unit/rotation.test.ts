import { beforeAll, expect, test } from "vitest";
import { headOf } from "../../shared/commit.ts";
import { publishRepo } from "../../shared/publication/publish.ts";
import { changeRepo } from "../../shared/repo/alter.ts";
import { type RepoRef, repairRepo } from "../../shared/repo/repo.ts";
import { resignRepo } from "../../shared/repo/resign.ts";
import { rotateKey } from "../../shared/repo/rotate.ts";
import type { SigningKey } from "../../shared/signing/openpgp.ts";
import { partitions } from "../../shared/store/keys.ts";
import type { MemoryContext } from "../support/memory-context.ts";
import { commitPackages, expectPublished, packageEntry, repoInMemory, repoOf } from "../support/memory-repos.ts";
import { later, signersOf, smallKeys } from "../support/signing-rings.ts";

const DAY = 86_400;
let keys: Record<string, SigningKey>;

beforeAll(async () => {
  keys = await smallKeys("BCDEFG", new Date("2026-11-21T12:00:00Z"));
});

const id = (name: string) => keys[name]?.keyId ?? "";

async function rotate(ctx: MemoryContext, ref: RepoRef, name: string, overlap: number) {
  const key = keys[name]?.privateKeyArmored;
  return rotateKey(ctx, await repoOf(ctx, ref), { overlap, key });
}

/** A published repo, and the key it was born with. */
async function published() {
  const { ctx, ref } = await repoInMemory("apt");
  await publishRepo(ctx, ref);
  const [born = ""] = await signersOf(ctx, ref);
  ctx.clock.ms += 60_000;
  return { ctx, ref, born };
}

async function stored(ctx: MemoryContext, ref: RepoRef): Promise<number> {
  return (await ctx.table.query(partitions.signingKeys((await repoOf(ctx, ref)).id))).items.length;
}

test("both keys sign from the next publication on, also in a process that was warm, and then the new one alone", async () => {
  const { ctx, ref, born } = await published();
  const before = await headOf(ctx, await repoOf(ctx, ref));
  await rotate(ctx, ref, "B", 30 * DAY);
  const after = await headOf(ctx, await repoOf(ctx, ref));
  expect(after).toMatchObject({ number: before.number + 1, tree: before.tree });
  await publishRepo(ctx, ref);
  expect(await signersOf(ctx, ref)).toEqual([id("B"), born]);

  await later(ctx, ref, 30 * DAY - 60);
  expect(await signersOf(ctx, ref)).toEqual([id("B"), born]);
  expect((await headOf(ctx, await repoOf(ctx, ref))).number).toBe(after.number);
  await later(ctx, ref, 120);
  expect(await signersOf(ctx, ref)).toEqual([id("B")]);
  await expectPublished(ctx, ref);
  expect(await stored(ctx, ref)).toBe(1);
});

test("what is published after the end of an overlap leaves the old key out, though nobody looked yet", async () => {
  const { ctx, ref, born } = await published();
  await rotate(ctx, ref, "B", 3600);
  await publishRepo(ctx, ref);
  expect(await signersOf(ctx, ref)).toEqual([id("B"), born]);
  ctx.clock.ms += 3_601_000;
  await commitPackages(ctx, ref, [packageEntry("apt", "hello")]);
  await publishRepo(ctx, ref);
  expect(await signersOf(ctx, ref)).toEqual([id("B")]);
});

test("a second rotation during an overlap has three keys sign, each until its own time", async () => {
  const { ctx, ref, born } = await published();
  await rotate(ctx, ref, "B", 10 * DAY);
  await later(ctx, ref, DAY);
  await rotate(ctx, ref, "C", 20 * DAY);
  await publishRepo(ctx, ref);
  expect(await signersOf(ctx, ref)).toEqual([id("C"), id("B"), born]);
  await later(ctx, ref, 9 * DAY);
  expect(await signersOf(ctx, ref)).toEqual([id("C"), id("B")]);
  await later(ctx, ref, 11 * DAY + 1);
  expect(await signersOf(ctx, ref)).toEqual([id("C")]);
  expect(await stored(ctx, ref)).toBe(1);
});

test("without overlap the new key signs alone at once, whatever signed before", async () => {
  const { ctx, ref } = await published();
  await rotate(ctx, ref, "B", 10 * DAY);
  const { signing } = await rotate(ctx, ref, "C", 0);
  expect(signing).toMatchObject([{ keyId: id("C"), until: null }]);
  await publishRepo(ctx, ref);
  expect(await signersOf(ctx, ref)).toEqual([id("C")]);
  await later(ctx, ref, 900);
  expect(await stored(ctx, ref)).toBe(1);
});

test("back to a key that is on its way out is a rotation like any other", async () => {
  const { ctx, ref } = await published();
  await rotate(ctx, ref, "B", 0);
  await rotate(ctx, ref, "C", DAY);
  const { signing } = await rotate(ctx, ref, "B", DAY);
  expect(signing.map(({ keyId }) => keyId)).toEqual([id("B"), id("C")]);
  await publishRepo(ctx, ref);
  expect(await signersOf(ctx, ref)).toEqual([id("B"), id("C")]);
});

test("of two rotations at once one happens; a change of other settings meanwhile stops neither", async () => {
  const { ctx, ref, born } = await published();
  const both = await Promise.allSettled([rotate(ctx, ref, "B", DAY), rotate(ctx, ref, "C", DAY)]);
  expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  const lost = both.find((one) => one.status === "rejected");
  expect(lost).toMatchObject({ reason: { kind: "conflict" } });
  await publishRepo(ctx, ref);
  const winner = id(both[0]?.status === "fulfilled" ? "B" : "C");
  expect(await signersOf(ctx, ref)).toEqual([winner, born]);

  const [described] = await Promise.allSettled([
    repoOf(ctx, ref).then((repo) => changeRepo(ctx, repo, { description: "meanwhile" })),
    rotate(ctx, ref, "D", DAY),
  ]);
  if (described.status === "rejected") expect(described.reason).toMatchObject({ kind: "conflict" });
  expect((await repoOf(ctx, ref)).signing[0]?.keyId).toBe(id("D"));
});

test("the same key again, and a seventh that signs, are refused with what to do", async () => {
  const { ctx, ref } = await published();
  for (const name of "BCDEF") await rotate(ctx, ref, name, DAY);
  await expect(rotate(ctx, ref, "F", DAY)).rejects.toThrow(/signs with key [0-9A-F]{40} already/);
  await expect(rotate(ctx, ref, "G", DAY)).rejects.toThrow(/has 6 keys .* rotate without overlap/);
  await rotate(ctx, ref, "G", 0);
  await publishRepo(ctx, ref);
  expect(await signersOf(ctx, ref)).toEqual([id("G")]);
});

const DEATH = new Error("the process died here");

/** Dies at each call of a piece of work, before its effect or behind it; `check` judges what comes of what is left. */
async function diesAnywhere(
  start: MemoryContext,
  work: (ctx: MemoryContext) => Promise<unknown>,
  check: (ctx: MemoryContext) => Promise<void>,
): Promise<number> {
  let calls = 0;
  for (const side of ["before", "after"] as const) {
    for (let call = 1; ; call += 1) {
      const dying = start.restarted();
      dying[side] = (at) => {
        if (at >= call) throw DEATH;
      };
      const died = await work(dying).then(
        () => false,
        (error: unknown) => {
          if (error !== DEATH) throw error;
          return true;
        },
      );
      await check(dying.restarted());
      if (!died) break;
      calls += 1;
    }
  }
  return calls;
}

test("a rotation that died at any call happened wholly or not at all, once its reminders come", async () => {
  const { ctx, ref, born } = await published();
  const outcomes = new Set<number>();
  const calls = await diesAnywhere(
    ctx,
    (dying) => rotate(dying, ref, "B", DAY),
    async (next) => {
      await repairRepo(next, ref);
      await publishRepo(next, ref);
      const signers = await signersOf(next, ref);
      outcomes.add(signers.length);
      expect(signers).toEqual(signers.length === 2 ? [id("B"), born] : [born]);
      expect((await repoOf(next, ref)).signing.length).toBe(signers.length === 2 ? 2 : 0);
      await later(next, ref, DAY + 1);
      expect(await stored(next, ref)).toBe(1);
    },
  );
  expect(calls).toBeGreaterThan(10);
  expect(outcomes.size).toBe(2);
});

test("a rotation's commit is never published with the keys before, wherever the publisher was when it came", async () => {
  const { ctx, ref, born } = await published();
  await commitPackages(ctx, ref, [packageEntry("apt", "hello")]);
  let calls = 0;
  for (let reached = true; reached; calls += 1) {
    const late = ctx.restarted();
    const at = late.calls + calls + 1;
    reached = false;
    late.before = async (call) => {
      if (reached || call < at) return;
      reached = true;
      await rotate(late, ref, "B", DAY);
    };
    await publishRepo(late, ref);
    if (!reached) break;
    late.clock.ms += 5_000;
    await publishRepo(late, ref);
    expect(await signersOf(late, ref), `at call ${at}`).toEqual([id("B"), born]);
    await expectPublished(late, ref);
  }
  expect(calls).toBeGreaterThan(10);
});

test("the end of an overlap that died at any call ends it when its message comes again", async () => {
  const { ctx, ref } = await published();
  await rotate(ctx, ref, "B", DAY);
  await publishRepo(ctx, ref);
  ctx.clock.ms += DAY * 1000 + 1000;
  const calls = await diesAnywhere(
    ctx,
    (dying) => resignRepo(dying, ref),
    async (next) => {
      await resignRepo(next, ref);
      await publishRepo(next, ref);
      expect(await signersOf(next, ref)).toEqual([id("B")]);
      await expectPublished(next, ref);
      expect(await stored(next, ref)).toBe(1);
    },
  );
  expect(calls).toBeGreaterThan(10);
});
