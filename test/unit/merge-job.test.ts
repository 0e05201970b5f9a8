import { expect, test } from "vitest";
import { headOf, listCommits } from "../../shared/commit.ts";
import { findPackagesJob, type PackagesJobTerms, startPackagesJob } from "../../shared/job/packages-job.ts";
import { runPackagesJob } from "../../shared/job/run-packages.ts";
import type { Repo } from "../../shared/repo/repo.ts";
import { keys } from "../../shared/store/keys.ts";
import { type MemoryContext, memoryContext } from "../support/memory-context.ts";
import { BY, debEntry, hold, mapOf, newRepo, newUpstream } from "../support/memory-sets.ts";

/** A repo that holds `own`, and is to hold what two upstreams hold; of `beta` the first has other bytes. */
async function asked({
  onlyOn,
  onConflict = "first",
  itself = false,
}: {
  onlyOn?: number;
  onConflict?: "first" | "refuse";
  itself?: boolean;
} = {}) {
  const ctx = memoryContext();
  const sources = [await newUpstream(ctx, "apt", "one"), await newUpstream(ctx, "apt", "two")] as const;
  await hold(ctx, sources[0], [debEntry("alpha"), debEntry("beta", { holds: "other" })]);
  await hold(ctx, sources[1], [debEntry("beta"), debEntry("gamma")]);
  const repo = await newRepo(ctx, "apt", "tools");
  const { number: since } = await hold(ctx, repo, [debEntry("own")]);
  const named = sources.map(({ id, name }) => ({ id, kind: "upstream" as const, name }));
  const merge = {
    sources: [...named, ...(itself ? [{ id: repo.id, kind: "repo" as const, name: repo.name }] : [])],
    onConflict,
  };
  const guard = onlyOn === undefined ? {} : { onlyOn };
  const terms: PackagesJobTerms = { ...BY, merge, force: false, since, ...guard };
  const { id } = await startPackagesJob(ctx, repo, terms);
  return { ctx, repo, sources, id };
}

async function namesIn(ctx: MemoryContext, repo: Repo): Promise<string[]> {
  return (await mapOf(ctx, repo)).map(({ name }) => name ?? "").sort();
}

const MERGED = ["alpha", "beta", "gamma"];

test("a job merges its sources in one commit that tells their heads, and which job it was", async () => {
  const { ctx, repo, id } = await asked();
  expect(ctx.sent).toContainEqual({ kind: "packages", job: id });
  await runPackagesJob(ctx, id);
  expect(await findPackagesJob(ctx, id)).toMatchObject({ state: "done", commit: 2, packages: { done: 3, total: 3 } });
  expect(await namesIn(ctx, repo)).toEqual(MERGED);
  expect((await headOf(ctx, repo)).message).toBe(`merge one@1, two@1, job ${id}`);
});

test("a message that comes again undoes nothing that came after", async () => {
  const { ctx, repo, sources, id } = await asked();
  await runPackagesJob(ctx, id);
  await hold(ctx, repo, [debEntry("later")]);
  await hold(ctx, sources[0], [debEntry("delta")]);
  await runPackagesJob(ctx, id);
  expect(await namesIn(ctx, repo)).toEqual([...MERGED, "later"]);
  expect((await headOf(ctx, repo)).number).toBe(3);
});

test.each([
  [undefined, false],
  [1, false],
  [undefined, true],
] as const)(
  "whichever of a job's calls it dies at, another run makes its one commit, and undoes nothing that came between (If-Match %s, itself %s)",
  async (onlyOn, itself) => {
    const terms = { itself, ...(onlyOn === undefined ? {} : { onlyOn }) };
    const merged = itself ? [...MERGED, "own"] : MERGED;
    const whole = await asked(terms);
    const begin = whole.ctx.calls;
    await runPackagesJob(whole.ctx, whole.id);
    const most = whole.ctx.calls - begin;
    expect(most).toBeGreaterThan(15);
    for (let dies = 1; dies <= most; dies += 1) {
      for (const moment of ["before", "after"] as const) {
        const { ctx, repo, sources, id } = await asked(terms);
        const from = ctx.calls;
        ctx[moment] = (call: number) => {
          if (call === from + dies) throw new Error("the power went");
        };
        await expect(runPackagesJob(ctx, id)).rejects.toThrow("the power went");
        const next = ctx.restarted();
        const isMade = (await headOf(next, repo)).number === 2;
        // Somebody else comes between, and a source has moved on, or is gone.
        if (isMade) await hold(next, repo, [debEntry("later")]);
        await hold(next, sources[1], [debEntry("delta")]);
        if (isMade) await next.table.delete(keys.repo("apt", "one"));
        await runPackagesJob(next, id);
        const expected = isMade ? [...merged, "later"] : [...merged, "delta"];
        expect([dies, moment, await namesIn(next, repo)]).toEqual([dies, moment, expected.sort()]);
        expect((await headOf(next, repo)).number).toBe(isMade ? 3 : 2);
        expect(await findPackagesJob(next, id)).toMatchObject({ state: "done", commit: 2 });
      }
    }
  },
);

test("two runs at once, and one who writes all the time, make one commit of the job", async () => {
  for (const onlyOn of [undefined, 1]) {
    const { ctx, repo, id } = await asked(onlyOn === undefined ? {} : { onlyOn });
    await Promise.all([ctx, memoryContext(ctx), memoryContext(ctx)].map((one) => runPackagesJob(one, id)));
    expect(await findPackagesJob(ctx, id)).toMatchObject({ state: "done", commit: 2 });
    expect((await listCommits(ctx, repo.id)).commits).toHaveLength(3);
  }
  const { ctx, repo, id } = await asked();
  const other = memoryContext(ctx);
  let written = 0;
  ctx.before = async (_, call) => {
    if (call !== "table.put" || written >= 3) return;
    written += 1;
    await hold(other, repo, [debEntry(`between-${written}`)]);
  };
  await runPackagesJob(ctx, id);
  expect(await namesIn(ctx, repo)).toEqual(MERGED);
  expect(await findPackagesJob(ctx, id)).toMatchObject({ state: "done", commit: 5 });
});

test("what a request would be refused with ends the job, and nothing is changed", async () => {
  const refused = await asked({ onConflict: "refuse" });
  const moved = await asked({ onlyOn: 7 });
  const gone = await asked();
  await gone.ctx.table.delete(keys.repo("apt", "two"));
  const anew = await asked();
  await anew.ctx.table.update(keys.repo("apt", "two"), { set: { id: "another" } });
  for (const [{ ctx, repo, id }, error] of [
    [refused, { details: { conflicts: ["stable/main/amd64/beta_1"] } }],
    [moved, { details: { commit: 1 } }],
    [gone, { message: "upstream two is gone" }],
    [anew, { message: "upstream two is gone" }],
  ] as const) {
    await runPackagesJob(ctx, id);
    expect(await findPackagesJob(ctx, id)).toMatchObject({ state: "failed", error });
    expect((await headOf(ctx, repo)).number).toBe(1);
  }
});
