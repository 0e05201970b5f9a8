import { z } from "@hono/zod-openapi";
import { viewJob } from "../../../shared/binary/view-job.ts";
import type { Context } from "../../../shared/context.ts";
import { findPackagesJob, type PackagesJob } from "../../../shared/job/packages-job.ts";
import { findSyncJob, type SyncJob } from "../../../shared/job/sync-job.ts";

const Upload = z
  .object({
    id: z.string(),
    state: z.enum(["awaiting", "waiting", "working", "publishing", "done", "failed", "superseded"]),
    binary: z.string(),
    error: z.string().optional(),
    notes: z.array(z.string()),
    repos: z.record(z.string(), z.object({ commit: z.int(), published_commit: z.int().nullable() })),
  })
  .openapi("Job");

const Counted = z.object({ done: z.int(), total: z.int() });
const Sync = z
  .object({
    id: z.string(),
    state: z.enum(["queued", "working", "done", "failed"]),
    upstream: z.string(),
    phase: z.string(),
    packages: Counted,
    bytes: Counted,
    /** Bytes a second, since its packages began to be copied. */
    rate: z.int(),
    /** How often it was begun anew, since the upstream was another one meanwhile. */
    restarts: z.int(),
    errors: z.array(z.object({ url: z.string().optional(), message: z.string() })),
    commit: z.int().optional(),
    started_at: z.string(),
    updated_at: z.string(),
  })
  .openapi("SyncJob");
const Packages = z
  .object({
    id: z.string(),
    state: z.enum(["queued", "working", "done", "failed"]),
    repo: z.string(),
    phase: z.string(),
    packages: Counted,
    /** With what a request would have been refused with beside it, such as `unknown`. */
    errors: z.array(z.looseObject({ message: z.string() })),
    commit: z.int().optional(),
    started_at: z.string(),
    updated_at: z.string(),
  })
  .openapi("PackagesJob");

export const AnyJob = z.union([Upload, Sync, Packages]);
export type AnyJob = z.infer<typeof AnyJob>;

const ENDED = new Set(["done", "failed", "superseded"]);

export function isOver({ state }: AnyJob): boolean {
  return ENDED.has(state);
}

/** The job of an upload is told from its id; the others have a record. */
export async function jobView(ctx: Context, id: string): Promise<AnyJob> {
  const sync = await findSyncJob(ctx, id);
  if (sync) return syncView(sync);
  const packages = await findPackagesJob(ctx, id);
  if (packages) return packagesView(packages);
  const job = await viewJob(ctx, id);
  return { ...job, notes: [...job.notes] };
}

function syncView(job: SyncJob): z.infer<typeof Sync> {
  const { id, upstream, state, phase, packages, bytes, restarts, errors } = job;
  const rate = rateOf(job);
  return { id, state, upstream: upstream.name, phase, packages, bytes, rate, restarts, errors, ...timesOf(job) };
}

function rateOf({ bytes, copyingAt, updatedAt }: SyncJob): number {
  const seconds = copyingAt === undefined ? 0 : (Date.parse(updatedAt) - Date.parse(copyingAt)) / 1000;
  return seconds > 0 ? Math.round(bytes.done / seconds) : 0;
}

function packagesView({ id, repo, state, phase, packages, error, ...job }: PackagesJob): z.infer<typeof Packages> {
  const errors = error ? [{ ...error.details, message: error.message }] : [];
  return { id, state, repo: repo.name, phase, packages, errors, ...timesOf(job) };
}

function timesOf({ commit, startedAt, updatedAt }: Pick<SyncJob, "commit" | "startedAt" | "updatedAt">) {
  return { ...(commit === undefined ? {} : { commit }), started_at: startedAt, updated_at: updatedAt };
}
