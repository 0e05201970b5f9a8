import { z } from "zod";
import { jsonIn, type Sha256 } from "../blob.ts";
import { commitTree, type Holding, headOf } from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { findSyncJob, hasEnded, putSyncJob, type SyncJob, tellProgress } from "../job/sync-job.ts";
import type { WorkerMessage } from "../queue/sqs.ts";
import { announceFollowers } from "../repo/announce.ts";
import type { RepoRef } from "../repo/repo.ts";
import { everyItem } from "../store/dynamo.ts";
import { keys, partitions } from "../store/keys.ts";
import { readBatch } from "./batch.ts";
import { type Collected, collect } from "./collect.ts";
import { copyFiles } from "./copy.ts";
import { isPostponed, mendFailure } from "./failure.ts";
import type { UpstreamRead } from "./found.ts";
import { readUpstream } from "./read.ts";
import { readState, type Site, saveState, settingsOf, siteOf } from "./site.ts";
import { findUpstream, resyncUpstream, type Upstream } from "./upstream.ts";

const hex = z.custom<Sha256>((value) => typeof value === "string");
const Plan = z.object({
  /** Absent where files are read first, to learn what they are. */
  holding: z.object({ tree: hex, hashes: hex, count: z.number().int(), carried: hex.optional() }).optional(),
  /** A blob that names the blobs that list what each batch copies. */
  batches: hex,
  totalBytes: z.number(),
  /** What the upstream's own indexes were, to ask whether they changed. */
  state: hex,
  /** Of the job when it was made. With more of them it is outdated, and another one is to come. */
  restarts: z.number().int().default(0),
});
type Plan = z.infer<typeof Plan>;
const Lists = z.array(hex);

/** What a file is may change between two readings; an upstream where it does each time is not one that can be followed. */
const MOST_ROUNDS = 5;

/**
 * The newest sync of an upstream, from its indexes on: its tree is written, what is missing of its packages is handed on in
 * batches, and where nothing is missing it is committed. Safe to repeat: trees and blobs are named by what they hold, and a job
 * that has ended is let be. Nothing refers to the tree before every package is ours.
 */
export async function syncUpstream(ctx: Context, ref: RepoRef): Promise<void> {
  const upstream = await findUpstream(ctx, ref);
  const job = upstream && (await findSyncJob(ctx, upstream.job));
  if (!upstream || !job || hasEnded(job)) return;
  const message: WorkerMessage = { kind: "sync", type: ref.type, name: ref.name };
  if (await isPostponed(ctx, job, message)) return;
  let read: UpstreamRead | "unchanged" | undefined;
  const state = async () =>
    read && read !== "unchanged" ? { releases: read.pointers.map((one) => one.state) } : undefined;
  await mendFailure(ctx, { job, upstream, message, state }, async () => {
    await putSyncJob(ctx, { ...job, state: "working", phase: "indexes" });
    const site = await siteOf(ctx, upstream);
    const head = await headOf(ctx, upstream);
    read = await readUpstream(site);
    if (read === "unchanged") return end(ctx, upstream, job, { commit: head.number, settings: settingsOf(upstream) });
    await carryOut(site, job, await collect(site, read, head), await saveState(site, read));
  });
}

async function carryOut(site: Site, job: SyncJob, collected: Collected, state: Sha256): Promise<void> {
  const { ctx, upstream } = site;
  const { holding, batches, files, bytes, totalBytes } = collected;
  if (!holding && job.rounds >= MOST_ROUNDS) {
    throw new AppError("unprocessable", `${upstream.path} changes each time it is read; ${job.rounds} times so far`);
  }
  const plan: Plan = {
    ...(holding ? { holding } : {}),
    batches: await ctx.objects.putBlob(Buffer.from(JSON.stringify(batches))),
    totalBytes,
    state,
    restarts: job.restarts,
  };
  await ctx.table.put({ ...keys.syncPlan(job.id), ...plan });
  const working: SyncJob = {
    ...job,
    state: "working",
    phase: "packages",
    copyingAt: ctx.now().toISOString(),
    rounds: job.rounds + (holding ? 0 : 1),
    packages: { done: 0, total: files },
    bytes: { done: 0, total: bytes },
  };
  await putSyncJob(ctx, working);
  if (batches.length === 0) return conclude(ctx, upstream, working, plan);
  for (const batch of batches.keys()) await ctx.queues.worker({ kind: "copy", job: job.id, batch });
}

/** Copies one batch of a sync's packages; the last one commits. */
export async function copyBatch(ctx: Context, jobId: string, batch: number): Promise<void> {
  const job = await findSyncJob(ctx, jobId);
  if (!job || hasEnded(job)) return;
  const upstream = await findUpstream(ctx, job.upstream);
  if (upstream?.id !== job.upstream.id || upstream.job !== jobId) return;
  const message: WorkerMessage = { kind: "copy", job: jobId, batch };
  if (await isPostponed(ctx, job, message)) return;
  const plan = Plan.parse(await ctx.table.get(keys.syncPlan(jobId)));
  if (plan.restarts < job.restarts) {
    const { type, name } = upstream;
    // It may have died before it could say so.
    if (job.restartedBy === batch) await ctx.queues.worker({ kind: "sync", type, name });
    return;
  }
  const state = () => readState(ctx, plan.state);
  await mendFailure(ctx, { job, upstream, message, state }, async () => {
    const lists = await listsOf(ctx, plan);
    const list = lists[batch];
    if (list === undefined) return;
    const { mirrors } = await readState(ctx, plan.state);
    const copied = await copyFiles(ctx, upstream, { files: await readBatch(ctx, list), mirrors });
    await ctx.table.put({ ...keys.syncBatch(jobId, list), ...copied });
    const { isComplete, ...progress } = await progressOf(ctx, job, lists);
    await tellProgress(ctx, job.id, progress);
    if (isComplete) await conclude(ctx, upstream, { ...job, ...progress }, plan);
  });
}

async function listsOf(ctx: Context, { batches }: Plan): Promise<Sha256[]> {
  return Lists.parse(jsonIn(await ctx.objects.getBlob(batches)));
}

/** All batches of a plan are here: a commit of its tree, or, now that it is known what the files are, the indexes again. */
async function conclude(ctx: Context, upstream: Upstream, job: SyncJob, plan: Plan): Promise<void> {
  if (plan.holding) return finish(ctx, upstream, job, plan, plan.holding);
  await ctx.queues.worker({ kind: "sync", type: upstream.type, name: upstream.name });
}

/** A commit appears only when all that its tree names is ours (or, on demand, can be had). */
async function finish(ctx: Context, upstream: Upstream, job: SyncJob, plan: Plan, holding: Holding): Promise<void> {
  const commit = await commitTree(ctx, upstream, holding, {
    by: upstream.createdBy,
    message: `sync from ${upstream.path}`,
  });
  await ctx.table.update(
    keys.repo(upstream.type, upstream.name),
    { set: { synced: plan.state, bytes: plan.totalBytes } },
    { equals: { id: upstream.id } },
  );
  await announceFollowers(ctx, upstream);
  const { settings } = await readState(ctx, plan.state);
  await end(
    ctx,
    upstream,
    { ...job, bytes: { ...job.bytes, done: job.bytes.total } },
    { commit: commit.number, settings },
  );
}

/** Where the settings were changed while it ran, the next sync begins at once. */
async function end(
  ctx: Context,
  upstream: Upstream,
  job: SyncJob,
  { commit, settings }: { commit: number; settings: string },
): Promise<void> {
  const ref = { type: upstream.type, name: upstream.name };
  await ctx.table.update(
    keys.repo(ref.type, ref.name),
    { set: { lastSynced: ctx.now().toISOString() } },
    { equals: { id: upstream.id } },
  );
  const { notBefore: _, ...ended } = job;
  await putSyncJob(ctx, { ...ended, state: "done", phase: "end", commit });
  const now = await findUpstream(ctx, ref);
  if (now?.id === upstream.id && now.job === job.id && settingsOf(now) !== settings) await resyncUpstream(ctx, now, {});
}

/** What is copied of a plan. Batches of an earlier plan of the same job, where the upstream changed meanwhile, do not count. */
async function progressOf(ctx: Context, job: SyncJob, lists: readonly Sha256[]) {
  const open = new Set(lists.map((list) => keys.syncBatch(job.id, list).sk));
  let packages = 0;
  let bytes = 0;
  for await (const item of everyItem(ctx.table, partitions.sync(job.id), { beginsWith: "batch#" })) {
    if (!open.delete(item.sk)) continue;
    packages += Number(item.packages);
    bytes += Number(item.bytes);
  }
  return {
    isComplete: open.size === 0,
    packages: { ...job.packages, done: packages },
    bytes: { ...job.bytes, done: bytes },
  };
}
