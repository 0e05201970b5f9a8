import { expect, test } from "vitest";
import { headOf } from "../../shared/commit.ts";
import { findSyncJob } from "../../shared/job/sync-job.ts";
import { keys } from "../../shared/store/keys.ts";
import { copyBatch } from "../../shared/sync/run.ts";
import { settingsOf } from "../../shared/sync/site.ts";
import { createUpstream } from "../../shared/sync/upstream.ts";
import { memoryContext } from "../support/memory-context.ts";

test("a plan made anew is complete by its own batches, not by those of the plan before", async () => {
  const ctx = memoryContext();
  const upstream = await createUpstream(ctx, { type: "apt", name: "lab" }, { path: "http://lab.test" }, "root");
  const { job } = upstream;
  const plan = async (...lists: string[]) => {
    const batches = await Promise.all(lists.map((list) => ctx.objects.putBlob(Buffer.from(list))));
    const tree = await ctx.objects.putBlob(Buffer.from(`tree of ${lists}`));
    const state = await ctx.objects.putBlob(
      Buffer.from(JSON.stringify({ settings: settingsOf(upstream), releases: [], mirrors: [] })),
    );
    await ctx.table.put({
      ...keys.syncPlan(job),
      holding: { tree, hashes: tree, count: 1 },
      batches: await ctx.objects.putBlob(Buffer.from(JSON.stringify(batches))),
      totalBytes: 0,
      state,
    });
    return tree;
  };
  // Lists of nothing, told apart by their blanks: what is copied is not the matter here.
  await plan("[]", "[ ]");
  await copyBatch(ctx, job, 0);
  const tree = await plan("[  ]", "[   ]");
  await copyBatch(ctx, job, 1);
  expect((await headOf(ctx, upstream)).number).toBe(0);
  await copyBatch(ctx, job, 0);
  expect(await headOf(ctx, upstream)).toMatchObject({ number: 1, tree });
  expect((await findSyncJob(ctx, job))?.state).toBe("done");
});
