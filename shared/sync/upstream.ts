import { randomUUID } from "node:crypto";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { findSyncJob, hasEnded, newSyncJob, putSyncJob, type SyncJob } from "../job/sync-job.ts";
import { nameTaken, type RepoRef } from "../repo/repo.ts";
import { scheduleName } from "../schedule/eventbridge.ts";
import { scheduleOf } from "../schedule/expression.ts";
import { keys } from "../store/keys.ts";
import { withoutCredentials } from "../upstream/fetch-url.ts";
import { addressOf, checkSettings, findUpstream, type Upstream, type UpstreamSettings } from "./upstream-item.ts";

export {
  addressOf,
  findUpstream,
  findUpstreamsNamed,
  listUpstreams,
  type Upstream,
  UpstreamSettings,
} from "./upstream-item.ts";

const DEFAULT_KEEP = 100;
const REMINDER_SECONDS = 60;
/** How long until it is looked whether a sync that began with other settings has ended. */
const LOOK_AGAIN_SECONDS = 30;
/** A job that told nothing for so long has died with its worker. */
const LEASE_MS = 20 * 60_000;
/** Of two who write at once, one sees what the other has written. */
const ROUNDS = 6;

/** Makes an upstream and starts its first sync. */
export async function createUpstream(
  ctx: Context,
  ref: RepoRef,
  settings: UpstreamSettings,
  by: string,
): Promise<Upstream> {
  const at = ctx.now().toISOString();
  const id = randomUUID();
  const upstream: Upstream = {
    kind: "upstream",
    id,
    type: ref.type,
    name: ref.name,
    path: "",
    policy: "immediate",
    include: [],
    exclude: [],
    extras: [],
    ...(await given(ctx, id, settings)),
    keep: DEFAULT_KEEP,
    job: randomUUID(),
    createdAt: at,
    createdBy: by,
    updatedAt: at,
    version: 1,
  };
  checkSettings(ctx, upstream, settings);
  await ctx.queues.worker({ kind: "repair-upstream", ...ref }, REMINDER_SECONDS);
  await putSyncJob(ctx, newSyncJob(ctx, upstream.job, { id, ...ref }));
  const claimed = await ctx.table.put({ ...keys.repo(ref.type, ref.name), ...upstream }, { absent: true });
  if (!claimed && (await findUpstream(ctx, ref))?.id !== id) throw nameTaken(ref);
  await complete(ctx, ref);
  await ctx.queues.worker({ kind: "sync", ...ref });
  return upstream;
}

/**
 * Stores what changed and starts a sync. While one is under way none is started: it goes on with the settings it began with, and
 * another one follows it where these were changed.
 */
export async function resyncUpstream(ctx: Context, known: Upstream, settings: UpstreamSettings): Promise<Upstream> {
  const ref = { type: known.type, name: known.name };
  const what = await given(ctx, known.id, settings);
  let before = known;
  for (let round = 1; round <= ROUNDS; round += 1) {
    const after = await changed(ctx, before, settings, what);
    if (after) {
      if (settings.schedule !== undefined) await complete(ctx, ref);
      if (after.job !== before.job) await ctx.queues.worker({ kind: "sync", ...ref });
      // The sync may have ended before it could see that it is outdated.
      return after.outdated === undefined ? after : ((await syncAgain(ctx, ref)) ?? after);
    }
    const now = await findUpstream(ctx, ref);
    if (now?.id !== known.id) throw new AppError("not_found", `no upstream ${known.name}: somebody else removed it`);
    before = now;
  }
  throw new AppError("conflict", `upstream ${known.name} is changed by others all the time; try again`);
}

/** One try; undefined where somebody else wrote since `before` was read. */
async function changed(
  ctx: Context,
  before: Upstream,
  settings: UpstreamSettings,
  what: Given,
): Promise<Upstream | undefined> {
  const ref = { type: before.type, name: before.name };
  const job = await findSyncJob(ctx, before.job);
  const running = job !== undefined && isRunning(ctx, job);
  const { schedule: _, credentials: __, outdated, ...kept } = before;
  const after: Upstream = {
    ...kept,
    ...(before.schedule !== undefined && settings.schedule === undefined ? { schedule: before.schedule } : {}),
    ...(before.credentials && settings.path === undefined ? { credentials: before.credentials } : {}),
    ...what,
    version: before.version + 1,
  };
  checkSettings(ctx, after, settings);
  if (isOther(before, after, SETTABLE)) after.updatedAt = ctx.now().toISOString();
  if (!running) after.job = randomUUID();
  else if (
    outdated === before.job ||
    isOther(before, after, OF_THE_TREE) ||
    (await isElsewhere(ctx, before, settings))
  ) {
    after.outdated = before.job;
  }
  if (!running) await putSyncJob(ctx, newSyncJob(ctx, after.job, { id: before.id, ...ref }));
  if (!running || after.outdated || settings.schedule !== undefined) {
    const seconds = after.outdated ? LOOK_AGAIN_SECONDS : REMINDER_SECONDS;
    await ctx.queues.worker({ kind: "repair-upstream", ...ref }, seconds);
  }
  // Not the whole item: a worker may be telling of a sync meanwhile.
  const { synced: ___, lastSynced: ____, bytes: _____, ...set } = after;
  const remove = (["credentials", "schedule", "outdated"] as const).filter((name) => after[name] === undefined);
  const written = await ctx.table.update(
    keys.repo(ref.type, ref.name),
    { set, remove },
    { equals: { id: before.id, version: before.version } },
  );
  return written ? after : undefined;
}

/** What a schedule's message asks for. One that nothing belongs to any more is removed. */
export async function resyncNamed(ctx: Context, ref: RepoRef): Promise<void> {
  const upstream = await findUpstream(ctx, ref);
  if (upstream) await resyncUpstream(ctx, upstream, {});
  else await complete(ctx, ref);
}

/** Starts the sync that is due where the settings were changed while one was running; nothing else. */
export async function syncAgain(ctx: Context, ref: RepoRef): Promise<Upstream | undefined> {
  const upstream = await findUpstream(ctx, ref);
  if (!upstream || upstream.outdated !== upstream.job) return undefined;
  const job = await findSyncJob(ctx, upstream.job);
  return job && isRunning(ctx, job) ? undefined : resyncUpstream(ctx, upstream, {});
}

/** What follows from an upstream's item, or from there being none, should whoever wrote it have died. Safe to repeat. */
export async function repairUpstream(ctx: Context, ref: RepoRef): Promise<void> {
  await complete(ctx, ref);
  await syncAgain(ctx, ref);
  const upstream = await findUpstream(ctx, ref);
  const job = upstream && (await findSyncJob(ctx, upstream.job));
  if (job?.state === "queued") await ctx.queues.worker({ kind: "sync", type: ref.type, name: ref.name });
  if (upstream && job && upstream.outdated === job.id && isRunning(ctx, job)) {
    await ctx.queues.worker({ kind: "repair-upstream", type: ref.type, name: ref.name }, LOOK_AGAIN_SECONDS);
  }
}

/** A job that has not ended, and whose worker has told something lately. */
export function isRunning(ctx: Context, job: SyncJob): boolean {
  return !hasEnded(job) && ctx.now().getTime() - Date.parse(job.updatedAt) < LEASE_MS;
}

/** Removes an upstream, never a blob; repos that took over its head keep what they took. */
export async function deleteUpstream(ctx: Context, upstream: Upstream): Promise<void> {
  const { type, name, id } = upstream;
  await ctx.queues.worker({ kind: "repair-upstream", type, name }, REMINDER_SECONDS);
  const deleted = await ctx.table.delete(keys.repo(type, name), { equals: { id } });
  if (!deleted) throw new AppError("not_found", `no upstream ${name}: somebody else removed it`);
  await complete(ctx, { type, name });
  const job = await findSyncJob(ctx, upstream.job);
  if (!job || hasEnded(job)) return;
  const errors = [...job.errors, { message: `upstream ${name} was removed` }];
  await putSyncJob(ctx, { ...job, state: "failed", phase: "end", errors });
}

/** Listing and schedule as the item says now: whoever wrote last is right, so what changed meanwhile is looked at again. */
async function complete(ctx: Context, { type, name }: RepoRef): Promise<void> {
  let before: string | undefined;
  for (let round = 1; round <= ROUNDS; round += 1) {
    const upstream = await findUpstream(ctx, { type, name });
    const now = JSON.stringify([upstream?.id, upstream?.schedule]);
    if (now === before) return;
    before = now;
    const listing = keys.upstreamListing(type, name);
    if (upstream) await ctx.table.put({ ...listing, createdAt: upstream.createdAt });
    else await ctx.table.delete(listing);
    const schedule = scheduleName("upstream", type, name);
    if (upstream?.schedule === undefined) await ctx.schedules.delete(schedule);
    else await ctx.schedules.put(schedule, { expression: upstream.schedule, message: { kind: "resync", type, name } });
  }
}

type Given = Partial<Pick<Upstream, (typeof SETTABLE)[number] | "credentials">>;
/** What makes another tree of the same upstream. */
const OF_THE_TREE = [
  "path",
  "series",
  "components",
  "architectures",
  "key",
  "policy",
  "include",
  "exclude",
  "extras",
] as const;
const SETTABLE = [...OF_THE_TREE, "schedule"] as const;

/** What a caller said, as it is stored; what was left out is not there. */
async function given(ctx: Context, id: string, settings: UpstreamSettings): Promise<Given> {
  const { path, extras, schedule, ...others } = settings;
  const said = Object.fromEntries(Object.entries(others).filter(([, value]) => value !== undefined && value !== ""));
  const shown = path === undefined ? undefined : withoutCredentials(path);
  return {
    ...said,
    ...(shown === undefined ? {} : { path: shown }),
    ...(path === shown || path === undefined ? {} : { credentials: await ctx.sealer.seal(Buffer.from(path), id) }),
    ...(extras ? { extras: [...new Set(extras)].sort() } : {}),
    ...(schedule ? { schedule: scheduleOf(schedule) } : {}),
  };
}

function isOther(before: Upstream, after: Upstream, names: readonly (typeof SETTABLE)[number][]): boolean {
  return names.some((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
}

/** The same path with other credentials is another address. */
async function isElsewhere(ctx: Context, before: Upstream, { path }: UpstreamSettings): Promise<boolean> {
  return path !== undefined && (await addressOf(ctx, before)) !== path;
}
