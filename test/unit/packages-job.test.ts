import { expect, test } from "vitest";
import type { Sha256 } from "../../shared/blob.ts";
import { headOf, listCommits } from "../../shared/commit.ts";
import { findPackagesJob, type PackagesJob, startPackagesJob } from "../../shared/job/packages-job.ts";
import { runPackagesJob } from "../../shared/job/run-packages.ts";
import { patchPackages } from "../../shared/repo/change.ts";
import { checkMapBlob, putMapBlob } from "../../shared/repo/map-blob.ts";
import { findRepo, type Repo } from "../../shared/repo/repo.ts";
import { type MemoryContext, memoryContext } from "../support/memory-context.ts";
import { BY, debEntry, hold, mapOf, newRepo, newUpstream } from "../support/memory-sets.ts";

const NAMES = ["alpha", "beta", "gamma"];
const hashOf = (name: string): Sha256 => debEntry(name).files[0]?.sha256 ?? expect.fail();

/** A repo that holds alpha and is to hold beta and gamma, which an upstream knows. */
async function asked(
  map: unknown = { [hashOf("beta")]: {}, [hashOf("gamma")]: {} },
  more: Pick<Partial<PackagesJob>, "onlyOn"> = {},
) {
  const ctx = memoryContext();
  await hold(
    ctx,
    await newUpstream(ctx, "apt", "theirs"),
    NAMES.map((name) => debEntry(name)),
  );
  const repo = await newRepo(ctx, "apt", "tools");
  const { number: since } = await hold(ctx, repo, [debEntry("alpha")]);
  const blob = await putMapBlob(ctx, Buffer.from(typeof map === "string" ? map : JSON.stringify(map)));
  const { id } = await startPackagesJob(ctx, repo, { ...BY, map: blob, force: false, since, ...more });
  return { ctx, repo, id };
}

async function namesIn(ctx: MemoryContext, repo: Repo): Promise<string[]> {
  return (await mapOf(ctx, repo)).map(({ name }) => name ?? "").sort();
}

async function commitsIn(ctx: MemoryContext, repo: Repo): Promise<number> {
  return (await listCommits(ctx, repo.id)).commits.length;
}

test("a job sets the packages in one commit, and tells which", async () => {
  const { ctx, repo, id } = await asked();
  expect(ctx.sent).toContainEqual({ kind: "packages", job: id });
  expect(await findPackagesJob(ctx, id)).toMatchObject({ state: "queued" });
  await runPackagesJob(ctx, id);
  expect(await findPackagesJob(ctx, id)).toMatchObject({ state: "done", commit: 2, packages: { done: 2, total: 2 } });
  expect(await namesIn(ctx, repo)).toEqual(["beta", "gamma"]);
});

test("a message that comes again undoes nothing that came after", async () => {
  const { ctx, repo, id } = await asked();
  await runPackagesJob(ctx, id);
  await patchPackages(ctx, repo, { add: [{ sha256: hashOf("alpha") }], remove: [] }, BY);
  await runPackagesJob(ctx, id);
  expect(await namesIn(ctx, repo)).toEqual(NAMES);
  expect(await commitsIn(ctx, repo)).toBe(4);
});

test.each([undefined, 1])(
  "whichever of a job's calls it dies at, another run makes its one commit, and undoes nothing that came between (If-Match: %s)",
  async (onlyOn) => {
    const more = onlyOn === undefined ? {} : { onlyOn };
    const whole = await asked(undefined, more);
    const begin = whole.ctx.calls;
    await runPackagesJob(whole.ctx, whole.id);
    const most = whole.ctx.calls - begin;
    expect(most).toBeGreaterThan(15);
    for (let dies = 1; dies <= most; dies += 1) {
      for (const moment of ["before", "after"] as const) {
        const { ctx, repo, id } = await asked(undefined, more);
        const from = ctx.calls;
        ctx[moment] = (call: number) => {
          if (call === from + dies) throw new Error("the power went");
        };
        await expect(runPackagesJob(ctx, id)).rejects.toThrow("the power went");
        const next = ctx.restarted();
        const head = await headOf(next, repo);
        const isMade = head.number === 2;
        // Somebody else comes between.
        const { number } = isMade
          ? await patchPackages(next, repo, { add: [{ sha256: hashOf("alpha") }], remove: [] }, BY)
          : head;
        await runPackagesJob(next, id);
        expect([dies, moment, await namesIn(next, repo)]).toEqual([dies, moment, isMade ? NAMES : ["beta", "gamma"]]);
        expect(await headOf(next, repo)).toMatchObject({ number: isMade ? number : 2 });
        expect(await findPackagesJob(next, id)).toMatchObject({ state: "done", commit: 2 });
      }
    }
  },
);

test("two runs at once make one commit, guarded by If-Match or not", async () => {
  for (const onlyOn of [undefined, 1]) {
    const { ctx, repo, id } = await asked(undefined, onlyOn === undefined ? {} : { onlyOn });
    // Each in a process of its own, over the same state.
    const processes = [ctx, memoryContext(ctx), memoryContext(ctx)];
    await Promise.all(processes.map((one) => runPackagesJob(one, id)));
    expect(await findPackagesJob(ctx, id)).toMatchObject({ state: "done", commit: 2 });
    expect(await commitsIn(ctx, repo)).toBe(3);
  }
});

test.each<[string, unknown, Pick<Partial<PackagesJob>, "onlyOn">, object]>([
  ["unknown packages", { ["0".repeat(64)]: {}, [hashOf("beta")]: {} }, {}, { details: { unknown: ["0".repeat(64)] } }],
  ["a contradiction", { [hashOf("beta")]: { version: "7" } }, {}, { message: expect.stringContaining('version "7"') }],
  ["no JSON", "{", {}, { message: expect.stringContaining("byte") }],
  ["an entry that is none", { [hashOf("beta")]: { places: 3 } }, {}, { message: expect.stringContaining("places") }],
  ["another head", {}, { onlyOn: 7 }, { details: { commit: 1 } }],
])("%s end the job as they would a request, and nothing is changed", async (_, map, more, error) => {
  const { ctx, repo, id } = await asked(map, more);
  await runPackagesJob(ctx, id);
  expect(await findPackagesJob(ctx, id)).toMatchObject({ state: "failed", error });
  expect((await headOf(ctx, repo)).number).toBe(1);
});

test("a repo that is gone, or made anew, is left alone", async () => {
  const { ctx, repo, id } = await asked();
  await ctx.table.delete({ pk: "repo#apt#tools", sk: "repo" });
  const other = await newRepo(ctx, "apt", "tools");
  expect((await findRepo(ctx, repo))?.id).toBe(other.id);
  await runPackagesJob(ctx, id);
  expect(await findPackagesJob(ctx, id)).toMatchObject({ state: "failed", error: { message: "repo tools is gone" } });
  expect((await headOf(ctx, other)).number).toBe(0);
});

test("of the blobs that we hold only uploaded files and our own maps may be read as a map", async () => {
  const { ctx, repo } = await asked();
  const { tree } = await headOf(ctx, repo);
  await expect(checkMapBlob(ctx, tree)).rejects.toMatchObject({ kind: "unprocessable", details: { unknown: [tree] } });
});
