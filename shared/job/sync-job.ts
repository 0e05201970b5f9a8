import { z } from "zod";
import type { Context } from "../context.ts";
import { keys } from "../store/keys.ts";

const Counted = z.object({ done: z.number().int(), total: z.number().int() });

const SyncJobItem = z.object({
  kind: z.literal("sync"),
  id: z.string(),
  upstream: z.object({ id: z.string(), type: z.enum(["apt", "yum", "dir"]), name: z.string() }),
  state: z.enum(["queued", "working", "done", "failed"]),
  phase: z.enum(["queued", "indexes", "packages", "commit", "end"]),
  packages: Counted,
  bytes: Counted,
  /** What went wrong, with the address it went wrong at; at most a few. */
  errors: z.array(z.object({ url: z.string().optional(), message: z.string() })),
  /** How often it was taken up again from the upstream's own Release, since that had changed meanwhile. */
  restarts: z.number().int().default(0),
  /** The batch that last found it so: it sees to it that this is done. */
  restartedBy: z.number().int().optional(),
  /** How often files had to be read to learn what they are. */
  rounds: z.number().int().default(0),
  /** Faults that may pass, so far. */
  faults: z.number().int().default(0),
  /** An upstream that asks to be left alone is left alone until then. */
  notBefore: z.string().optional(),
  /** The commit that came of it; the one before where nothing was new. */
  commit: z.number().int().optional(),
  startedAt: z.string(),
  /** When its packages began to be copied. */
  copyingAt: z.string().optional(),
  updatedAt: z.string(),
});

/** The record of one sync of an upstream. */
export type SyncJob = z.infer<typeof SyncJobItem>;

export async function putSyncJob(ctx: Context, job: SyncJob): Promise<void> {
  await ctx.table.put({ ...keys.job(job.id), ...job, updatedAt: ctx.now().toISOString() });
}

/** Only while it works: a batch that ends late does not wake a job that has failed. */
export async function tellProgress(
  ctx: Context,
  id: string,
  { packages, bytes }: Pick<SyncJob, "packages" | "bytes">,
): Promise<void> {
  const set = { packages, bytes, updatedAt: ctx.now().toISOString() };
  await ctx.table.update(keys.job(id), { set }, { equals: { state: "working" } });
}

/** Jobs with a record are named so; what is not never becomes a key. */
export const JOB_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export async function findSyncJob(ctx: Context, id: string): Promise<SyncJob | undefined> {
  if (!JOB_ID.test(id)) return undefined;
  const item = await ctx.table.get(keys.job(id));
  return item?.kind === "sync" ? SyncJobItem.parse(item) : undefined;
}

export function newSyncJob(ctx: Context, id: string, upstream: SyncJob["upstream"]): SyncJob {
  const at = ctx.now().toISOString();
  const none = { done: 0, total: 0 };
  return {
    kind: "sync",
    id,
    upstream,
    state: "queued",
    phase: "queued",
    packages: none,
    bytes: none,
    errors: [],
    restarts: 0,
    rounds: 0,
    faults: 0,
    startedAt: at,
    updatedAt: at,
  };
}

export function hasEnded({ state }: SyncJob): boolean {
  return state === "done" || state === "failed";
}
