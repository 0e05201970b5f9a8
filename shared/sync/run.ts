import { z } from "zod";
import { commitTree, headOf } from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { findSyncJob, hasEnded, putSyncJob, type SyncJob, tellProgress } from "../job/sync-job.ts";
import { announceFollowers } from "../repo/announce.ts";
import type { RepoRef } from "../repo/repo.ts";
import { everyItem } from "../store/dynamo.ts";
import { keys, partitions } from "../store/keys.ts";
import { editTree } from "../tree/edit.ts";
import type { Entry } from "../tree/entry.ts";
import { editHashes } from "../tree/hashes.ts";
import { groupOf } from "../tree/layout.ts";
import { EMPTY_ROOT, readTree } from "../tree/root.ts";
import { UpstreamFault } from "../upstream/fetch-error.ts";
import { copyFiles, readBatch, type WantedFile, writeBatches } from "./batch.ts";
import { readUpstream } from "./read.ts";
import { findUpstream, type Upstream } from "./upstream.ts";

const hex = z.custom<Entry["files"][number]["sha256"]>((value) => typeof value === "string");
const Plan = z.object({
  tree: hex,
  hashes: hex,
  count: z.number().int(),
  /** The blobs that list what each batch copies. */
  batches: z.array(hex),
  /** What the upstream's own indexes were, to ask whether they changed. */
  state: hex,
});
type Plan = z.infer<typeof Plan>;

const MOST_ERRORS = 20;

/**
 * The newest sync of an upstream, from its indexes on: its tree is written, what is missing of its packages is handed on in
 * batches, and where nothing is missing it is committed. Safe to repeat: trees and blobs are named by what they hold, and a job
 * that has ended is let be. Nothing refers to the tree before every package is ours.
 */
export async function syncUpstream(ctx: Context, ref: RepoRef): Promise<void> {
  const upstream = await findUpstream(ctx, ref);
  const job = upstream && (await findSyncJob(ctx, upstream.job));
  if (!upstream || !job || hasEnded(job)) return;
  await recordFailure(ctx, job, async () => {
    await putSyncJob(ctx, { ...job, state: "working", phase: "indexes" });
    const read = await readUpstream(ctx, upstream);
    if (read === "unchanged") return end(ctx, upstream, job, (await headOf(ctx, upstream)).number);
    const plan = await planOf(ctx, upstream, read.entries, read.state);
    await ctx.table.put({ ...keys.syncPlan(job.id), ...plan.plan });
    const working: SyncJob = {
      ...job,
      state: "working",
      phase: "packages",
      packages: { done: 0, total: plan.files.length },
      bytes: { done: 0, total: plan.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) },
    };
    await putSyncJob(ctx, working);
    if (plan.plan.batches.length === 0) return finish(ctx, upstream, working, plan.plan);
    for (const batch of plan.plan.batches.keys()) await ctx.queues.worker({ kind: "copy", job: job.id, batch });
  });
}

/** Copies one batch of a sync's packages; the last one commits. */
export async function copyBatch(ctx: Context, jobId: string, batch: number): Promise<void> {
  const job = await findSyncJob(ctx, jobId);
  if (!job || hasEnded(job)) return;
  const upstream = await findUpstream(ctx, job.upstream);
  if (upstream?.id !== job.upstream.id || upstream.job !== jobId) return;
  await recordFailure(ctx, job, async () => {
    const plan = Plan.parse(await ctx.table.get(keys.syncPlan(jobId)));
    const list = plan.batches[batch];
    if (list === undefined) return;
    const copied = await copyFiles(ctx, upstream, await readBatch(ctx, list));
    await ctx.table.put({ ...keys.syncBatch(jobId, list), ...copied });
    const { isComplete, ...progress } = await progressOf(ctx, job, plan);
    await tellProgress(ctx, job.id, progress);
    if (isComplete) await finish(ctx, upstream, { ...job, ...progress }, plan);
  });
}

async function planOf(
  ctx: Context,
  upstream: Upstream,
  entries: readonly Entry[],
  state: Plan["state"],
): Promise<{ plan: Plan; files: readonly WantedFile[] }> {
  const empty = await readTree(ctx.objects, EMPTY_ROOT);
  const delta = { put: entries.map((entry) => ({ entry, replace: true })), remove: [] };
  const { tree, ...changes } = await editTree(ctx.objects, empty, delta, groupOf(upstream.type));
  const hashes = await editHashes(ctx.objects, empty, changes);
  const files = upstream.policy === "on_demand" ? [] : wantedFiles(entries);
  const batches = await writeBatches(ctx, files);
  return { plan: { tree: tree.root, hashes: hashes.root, count: tree.count, batches, state }, files };
}

function wantedFiles(entries: readonly Entry[]): WantedFile[] {
  const files = new Map<string, WantedFile>();
  for (const { sha256, sizeBytes, url } of entries.flatMap((entry) => entry.files)) {
    if (url !== undefined) files.set(sha256, { sha256, sizeBytes, url });
  }
  return [...files.values()];
}

/** A commit appears only when all that its tree names is ours (or, on demand, can be had). */
async function finish(ctx: Context, upstream: Upstream, job: SyncJob, plan: Plan): Promise<void> {
  const commit = await commitTree(ctx, upstream, plan, {
    by: upstream.createdBy,
    message: `sync from ${upstream.path}`,
  });
  await ctx.table.update(
    keys.repo(upstream.type, upstream.name),
    { set: { lastSynced: ctx.now().toISOString(), synced: plan.state } },
    { equals: { id: upstream.id } },
  );
  await announceFollowers(ctx, upstream);
  await end(ctx, upstream, { ...job, bytes: { ...job.bytes, done: job.bytes.total } }, commit.number);
}

async function end(ctx: Context, upstream: Upstream, job: SyncJob, commit: number): Promise<void> {
  await ctx.table.update(
    keys.repo(upstream.type, upstream.name),
    { set: { lastSynced: ctx.now().toISOString() } },
    { equals: { id: upstream.id } },
  );
  await putSyncJob(ctx, { ...job, state: "done", phase: "end", commit });
}

/** What is copied of a plan. Batches of an earlier plan of the same job, where the upstream changed meanwhile, do not count. */
async function progressOf(ctx: Context, job: SyncJob, plan: Plan) {
  const open = new Set(plan.batches.map((list) => keys.syncBatch(job.id, list).sk));
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

/** What is wrong with the upstream ends the job, which says where and what; the last commit stays as it was. */
async function recordFailure(ctx: Context, job: SyncJob, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof AppError) && !(error instanceof UpstreamFault)) throw error;
    const url = error instanceof AppError ? error.details.url : error.url;
    const latest = (await findSyncJob(ctx, job.id)) ?? job;
    const errors = [...latest.errors, { ...(typeof url === "string" ? { url } : {}), message: error.message }].slice(
      -MOST_ERRORS,
    );
    await putSyncJob(ctx, { ...latest, state: "failed", phase: "end", errors });
  }
}
