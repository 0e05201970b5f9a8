import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { findSyncJob, putSyncJob, type SyncJob } from "../job/sync-job.ts";
import type { WorkerMessage } from "../queue/sqs.ts";
import { UpstreamError, UpstreamFault, type UpstreamReason } from "../upstream/fetch-error.ts";
import { hasMoved, type State, siteOf } from "./site.ts";
import type { Upstream } from "./upstream.ts";

const MOST_ERRORS = 20;
const MOST_RESTARTS = 3;
/** After a fault that may pass; each fetch has been tried a few times before that counts as one. */
const PAUSES_SECONDS = [3, 10, 30];

/** What an upstream that was replaced while it was read looks like. */
const MOVED: ReadonlySet<UpstreamReason> = new Set(["status", "checksum", "size", "changed", "range", "too_large"]);

/** What a worker was about when something went wrong. */
export type Attempt = {
  readonly job: SyncJob;
  readonly upstream: Upstream;
  /** To be sent again where it may go better later. */
  readonly message: WorkerMessage;
  /** What the upstream's own indexes were when this sync read them; undefined before. */
  readonly state: () => Promise<Pick<State, "releases"> | undefined>;
};

/**
 * Sees to what goes wrong: a fault that may pass is tried again later, when the upstream says or soon; an upstream that was replaced
 * while it was read is read again from its Release; anything else ends the job, which says where and what. The last commit stays.
 */
export async function mendFailure(ctx: Context, attempt: Attempt, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof AppError) && !(error instanceof UpstreamFault)) throw error;
    const job = (await findSyncJob(ctx, attempt.job.id)) ?? attempt.job;
    const told = { ...job, errors: [...job.errors, describe(error)].slice(-MOST_ERRORS) };
    if (error instanceof UpstreamFault) return waitOrEnd(ctx, attempt, told, error);
    // Another batch found it first: that it is read again covers this one.
    if (job.restarts > attempt.job.restarts) return;
    if (job.restarts < MOST_RESTARTS && (await isReplaced(ctx, attempt, error))) {
      const { message } = attempt;
      const by = message.kind === "copy" ? { restartedBy: message.batch } : {};
      await putSyncJob(ctx, { ...told, ...by, phase: "indexes", restarts: job.restarts + 1 });
      const { type, name } = attempt.upstream;
      await ctx.queues.worker({ kind: "sync", type, name });
      return;
    }
    await putSyncJob(ctx, { ...told, state: "failed", phase: "end" });
  }
}

function describe(error: AppError | UpstreamFault): SyncJob["errors"][number] {
  // A reader of a format names where it read.
  const url = error instanceof AppError ? (error.details.url ?? error.details.where) : error.url;
  return { ...(typeof url === "string" ? { url } : {}), message: error.message };
}

async function waitOrEnd(ctx: Context, { message }: Attempt, job: SyncJob, fault: UpstreamFault): Promise<void> {
  const pausedMs = Date.parse(job.notBefore ?? "") - ctx.now().getTime();
  // Another batch met it at the same time: one pause is for all.
  if (pausedMs > 0) return ctx.queues.worker(message, Math.ceil(pausedMs / 1000));
  const pause = PAUSES_SECONDS[job.faults];
  if (pause === undefined) return putSyncJob(ctx, { ...job, state: "failed", phase: "end" });
  const seconds = Math.max(pause, Math.ceil((fault.retryAfterMs ?? 0) / 1000));
  const notBefore = new Date(ctx.now().getTime() + seconds * 1000).toISOString();
  await putSyncJob(ctx, { ...job, faults: job.faults + 1, notBefore });
  await ctx.queues.worker(message, seconds);
}

/** True where the upstream asked to be left alone for longer than a queue can wait: then the message has been sent on. */
export async function isPostponed(ctx: Context, job: SyncJob, message: WorkerMessage): Promise<boolean> {
  if (job.notBefore === undefined) return false;
  const seconds = (Date.parse(job.notBefore) - ctx.now().getTime()) / 1000;
  // A queue may be a little early.
  if (seconds <= 1) return false;
  await ctx.queues.worker(message, seconds);
  return true;
}

async function isReplaced(ctx: Context, { upstream, state }: Attempt, error: AppError): Promise<boolean> {
  if (!(error instanceof UpstreamError) || !MOVED.has(error.reason)) return false;
  const known = await state();
  if (!known) return false;
  try {
    return await hasMoved(await siteOf(ctx, upstream), known);
  } catch {
    // It cannot even be asked: what was found first is what is told.
    return false;
  }
}
