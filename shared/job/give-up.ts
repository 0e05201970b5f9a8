import type { Context } from "../context.ts";
import { keys } from "../store/keys.ts";
import { findPackagesJob, hasEndedPackages } from "./packages-job.ts";
import { findSyncJob, hasEnded } from "./sync-job.ts";

/** Longer than any function runs: a job that told nothing for so long, and waits for nobody, is worked on by no one. */
const SILENT_MS = 20 * 60_000;
const LOOK_AGAIN_SECONDS = 900;

const OUR_SIDE =
  "it was tried several times and failed each time on our side, not for what was asked for nor by what was read elsewhere: our logs tell why. What was there before has not changed; ask for it again";

/** Ends a job that our own faults keep from ending, so that nobody waits for it. One that has ended stays as it is. */
export async function giveUp(ctx: Context, id: string): Promise<void> {
  const told = await openJob(ctx, id);
  if (!told) return;
  const set = { ...told.failed, state: "failed", phase: "end", updatedAt: ctx.now().toISOString() };
  for (const state of ["working", "queued"])
    if (await ctx.table.update(keys.job(id), { set }, { equals: { state } })) return;
}

/** To be sent before what may be the last that is done for a job: whoever does it may die and tell nobody. */
export async function haveWatched(ctx: Context, id: string): Promise<void> {
  await ctx.queues.worker({ kind: "watch", job: id }, LOOK_AGAIN_SECONDS);
}

/** Looks now and then whether a job has ended, and gives it up when no one works on it any more. */
export async function watchJob(ctx: Context, id: string): Promise<void> {
  const told = await openJob(ctx, id);
  if (!told) return;
  const silentSince = Math.max(...[told.updatedAt, told.notBefore ?? ""].map(Date.parse).filter(Number.isFinite));
  if (ctx.now().getTime() - silentSince >= SILENT_MS) await giveUp(ctx, id);
  else await haveWatched(ctx, id);
}

type OpenJob = {
  readonly updatedAt: string;
  /** An upstream asked to be left alone until then. */
  readonly notBefore?: string | undefined;
  /** What its record says when it is given up. */
  readonly failed: Readonly<Record<string, unknown>>;
};

async function openJob(ctx: Context, id: string): Promise<OpenJob | undefined> {
  const sync = await findSyncJob(ctx, id);
  if (sync && hasEnded(sync)) return undefined;
  if (sync) return { ...sync, failed: { errors: [...sync.errors, { message: OUR_SIDE }] } };
  const packages = await findPackagesJob(ctx, id);
  if (!packages || hasEndedPackages(packages)) return undefined;
  return { updatedAt: packages.updatedAt, failed: { error: { message: OUR_SIDE, details: {} } } };
}
