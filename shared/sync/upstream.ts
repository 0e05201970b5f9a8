import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { findSyncJob, hasEnded, newSyncJob, putSyncJob, type SyncJob } from "../job/sync-job.ts";
import { COMPONENT_NAME } from "../repo/accepts.ts";
import { nameTaken, REPO_TYPES, type RepoRef, refOf } from "../repo/repo.ts";
import { Sealed } from "../signing/sealer.ts";
import type { Item } from "../store/dynamo.ts";
import { keys, partitions } from "../store/keys.ts";
import { withoutCredentials } from "../upstream/fetch-url.ts";

/** What an apt repository may have beside its packages, by the folder or file that its Release names. */
export const EXTRAS = ["translations", "contents", "dep11"] as const;

const glob = z.string().min(1).max(200);

/** What a caller may say of an upstream, beside its name and type. */
export const UpstreamSettings = z.strictObject({
  /** Where it lies. Any string is taken; an unusable one is the sync job's error. */
  path: z.string().min(1).max(2048).optional(),
  series: z.array(z.string().min(1).max(200)).min(1).max(50).optional(),
  components: z.array(z.string().regex(COMPONENT_NAME)).min(1).max(50).optional(),
  architectures: z.array(z.string().min(1).max(40)).min(1).max(50).optional(),
  /** Armored OpenPGP: then an unsigned or wrongly signed upstream is an error. */
  key: z.string().max(65_536).optional(),
  /** `on_demand`: bytes come when somebody asks for them. */
  policy: z.enum(["immediate", "on_demand"]).optional(),
  /** What is carried over beside the packages (apt). */
  extras: z.array(z.enum(EXTRAS)).max(EXTRAS.length).optional(),
  include: z.array(glob).max(200).optional(),
  exclude: z.array(glob).max(200).optional(),
});
export type UpstreamSettings = z.infer<typeof UpstreamSettings>;

const UpstreamItem = z.object({
  kind: z.literal("upstream"),
  id: z.string(),
  type: z.enum(REPO_TYPES),
  name: z.string(),
  /** Without credentials; those are sealed beside it. */
  path: z.string(),
  credentials: Sealed.optional(),
  series: z.array(z.string()).optional(),
  components: z.array(z.string()).optional(),
  architectures: z.array(z.string()).optional(),
  key: z.string().optional(),
  policy: z.enum(["immediate", "on_demand"]),
  include: z.array(z.string()),
  exclude: z.array(z.string()),
  /** What is carried over beside the packages of an apt upstream. */
  extras: z.array(z.string()).default([]),
  keep: z.number().int(),
  /** The newest sync. */
  job: z.string(),
  lastSynced: z.string().optional(),
  /** Of all packages at the last commit. */

  /** What all that its newest commit holds sums up to. */
  bytes: z.number().int().optional(),
  /** A blob of what the upstream's indexes were when it was last committed. */
  synced: z.custom<Sha256>((value) => typeof value === "string").optional(),
  createdAt: z.string(),
  createdBy: z.string(),
  updatedAt: z.string(),
  version: z.number().int(),
});
/** Someone else's repository that we follow. */
export type Upstream = z.infer<typeof UpstreamItem>;

const DEFAULT_KEEP = 100;
const REMINDER_SECONDS = 60;
/** A job that told nothing for so long has died with its worker. */
const LEASE_MS = 20 * 60_000;

/** Makes an upstream and starts its first sync. */
export async function createUpstream(
  ctx: Context,
  ref: RepoRef,
  settings: UpstreamSettings,
  by: string,
): Promise<Upstream> {
  const at = ctx.now().toISOString();
  const id = randomUUID();
  const { path = "", credentials } = await sealedPath(ctx, id, settings.path ?? "");
  const upstream: Upstream = {
    kind: "upstream",
    id,
    type: ref.type,
    name: ref.name,
    ...given(settings),
    path,
    ...(credentials ? { credentials } : {}),
    policy: settings.policy ?? "immediate",
    include: settings.include ?? [],
    exclude: settings.exclude ?? [],
    extras: [],
    keep: DEFAULT_KEEP,
    job: randomUUID(),
    createdAt: at,
    createdBy: by,
    updatedAt: at,
    version: 1,
  };
  await ctx.queues.worker({ kind: "sync", ...ref }, REMINDER_SECONDS);
  await putSyncJob(ctx, newSyncJob(ctx, upstream.job, { id, ...ref }));
  const claimed = await ctx.table.put({ ...keys.repo(ref.type, ref.name), ...upstream }, { absent: true });
  if (!claimed && (await findUpstream(ctx, ref))?.id !== id) throw nameTaken(ref);
  await ctx.table.put({ ...keys.upstreamListing(ref.type, ref.name), createdAt: at });
  await ctx.queues.worker({ kind: "sync", ...ref });
  return upstream;
}

/** Stores what changed and starts a sync, unless one is under way: then that one is told. */
export async function resyncUpstream(ctx: Context, before: Upstream, settings: UpstreamSettings): Promise<Upstream> {
  const job = await findSyncJob(ctx, before.job);
  const running = job !== undefined && isRunning(ctx, job);
  const where = settings.path === undefined ? undefined : await sealedPath(ctx, before.id, settings.path);
  const { credentials: _, ...kept } = before;
  const after: Upstream = {
    ...(where ? kept : before),
    ...given(settings),
    ...(where ?? {}),
    policy: settings.policy ?? before.policy,
    include: settings.include ?? before.include,
    exclude: settings.exclude ?? before.exclude,
    extras: settings.extras ?? before.extras,
    job: running ? before.job : randomUUID(),
    version: before.version + 1,
    updatedAt: ctx.now().toISOString(),
  };
  const ref = { type: before.type, name: before.name };
  if (!running) {
    await putSyncJob(ctx, newSyncJob(ctx, after.job, { id: before.id, ...ref }));
    await ctx.queues.worker({ kind: "sync", ...ref }, REMINDER_SECONDS);
  }
  const written = await ctx.table.put(
    { ...keys.repo(before.type, before.name), ...after },
    { equals: { id: before.id, version: before.version } },
  );
  if (!written) throw new AppError("conflict", `upstream ${before.name} was changed by somebody else meanwhile`);
  if (!running) await ctx.queues.worker({ kind: "sync", ...ref });
  return after;
}

/** A job that has not ended, and whose worker has told something lately. */
export function isRunning(ctx: Context, job: SyncJob): boolean {
  return !hasEnded(job) && ctx.now().getTime() - Date.parse(job.updatedAt) < LEASE_MS;
}

export async function findUpstream(ctx: Context, ref: RepoRef): Promise<Upstream | undefined> {
  return upstreamOf(await ctx.table.get(keys.repo(ref.type, ref.name)));
}

/** The upstreams of that name, at most one of each type. One read. */
export async function findUpstreamsNamed(ctx: Context, name: string): Promise<Upstream[]> {
  const items = await ctx.table.getMany(REPO_TYPES.map((type) => keys.repo(type, name)));
  return items
    .map(upstreamOf)
    .filter((upstream) => upstream !== undefined)
    .sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
}

export async function listUpstreams(
  ctx: Context,
  after?: string,
): Promise<{ upstreams: readonly RepoRef[]; next: string | undefined }> {
  const page = await ctx.table.query(partitions.upstreams, after === undefined ? {} : { after });
  return { upstreams: page.items.map(({ sk }) => refOf(sk)), next: page.next };
}

/** Removes an upstream, never a blob; repos that took over its head keep what they took. */
export async function deleteUpstream(ctx: Context, upstream: Upstream): Promise<void> {
  const { type, name, id } = upstream;
  const deleted = await ctx.table.delete(keys.repo(type, name), { equals: { id } });
  if (!deleted) throw new AppError("not_found", `no upstream ${name}: somebody else removed it`);
  await ctx.table.delete(keys.upstreamListing(type, name));
}

/** The address with its credentials: for the fetcher alone, never to be shown. */
export async function addressOf(ctx: Context, upstream: Upstream): Promise<string> {
  if (!upstream.credentials) return upstream.path;
  return Buffer.from(await ctx.sealer.unseal(upstream.credentials, upstream.id)).toString("utf8");
}

async function sealedPath(
  ctx: Context,
  id: string,
  path: string,
): Promise<{ path: string; credentials?: Upstream["credentials"] }> {
  const shown = withoutCredentials(path);
  if (shown === path) return { path };
  return { path: shown, credentials: await ctx.sealer.seal(Buffer.from(path), id) };
}

/** What stays as the caller gave it; absent means all that the upstream has. */
function given({ series, components, architectures, key }: UpstreamSettings) {
  return {
    ...(series ? { series } : {}),
    ...(components ? { components } : {}),
    ...(architectures ? { architectures } : {}),
    ...(key ? { key } : {}),
  };
}

function upstreamOf(item: Item | undefined): Upstream | undefined {
  return item?.kind === "upstream" ? UpstreamItem.parse(item) : undefined;
}
