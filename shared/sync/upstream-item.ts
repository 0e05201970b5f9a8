import { z } from "zod";
import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { COMPONENT_NAME } from "../repo/accepts.ts";
import { REPO_TYPES, type RepoRef, refOf } from "../repo/repo.ts";
import { nextAfter, ScheduleExpression } from "../schedule/expression.ts";
import { Sealed } from "../signing/sealer.ts";
import type { Item } from "../store/dynamo.ts";
import { keys, partitions } from "../store/keys.ts";

/** What an apt repository may have beside its packages. */
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
  /** `on_demand`: a package's bytes come when somebody asks for them. */
  policy: z.enum(["immediate", "on_demand"]).optional(),
  include: z.array(glob).max(200).optional(),
  exclude: z.array(glob).max(200).optional(),
  /** What is carried over beside the packages (apt). */
  extras: z.array(z.enum(EXTRAS)).max(20).optional(),
  /** When it is synced without being asked; null: no more. */
  schedule: ScheduleExpression.nullable().optional(),
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
  extras: z.array(z.enum(EXTRAS)).default([]),
  schedule: z.string().optional(),
  keep: z.number().int(),
  /** The newest sync. */
  job: z.string(),
  /** A sync that began before the settings were changed: when it ends, another one is due. */
  outdated: z.string().optional(),
  lastSynced: z.string().optional(),
  /** A blob of what the upstream's indexes were when it was last committed. */
  synced: z.custom<Sha256>((value) => typeof value === "string").optional(),
  /** The sum of the sizes of all packages of the newest commit. */
  bytes: z.number().optional(),
  createdAt: z.string(),
  createdBy: z.string(),
  updatedAt: z.string(),
  version: z.number().int(),
});
/** Someone else's repository that we follow. */
export type Upstream = z.infer<typeof UpstreamItem>;

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

/** The address with its credentials: for the fetcher alone, never to be shown. */
export async function addressOf(ctx: Context, upstream: Upstream): Promise<string> {
  if (!upstream.credentials) return upstream.path;
  return Buffer.from(await ctx.sealer.unseal(upstream.credentials, upstream.id)).toString("utf8");
}

/** @throws AppError where what was said cannot be, here or with the upstream's other settings */
export function checkSettings(
  ctx: Context,
  { type, path, policy, extras, schedule }: Upstream,
  said: UpstreamSettings,
) {
  const isAbroad = said.path !== undefined || said.policy !== undefined;
  if (isAbroad && policy === "on_demand" && ctx.publicUrl.startsWith("https:") && /^http:/i.test(path)) {
    throw new AppError(
      "unprocessable",
      `policy on_demand sends clients on to the upstream, and apt does not follow from our https to the http of ${path}: give an https path, or policy immediate`,
    );
  }
  if (said.extras && extras.length > 0 && type !== "apt") {
    throw new AppError(
      "unprocessable",
      `extras (${extras.join(", ")}) are what an apt upstream has, this one is ${type}`,
    );
  }
  if (said.schedule && schedule !== undefined && !nextAfter(schedule, ctx.now())) {
    throw new AppError("invalid", `schedule ${schedule} never comes again`);
  }
}

function upstreamOf(item: Item | undefined): Upstream | undefined {
  return item?.kind === "upstream" ? UpstreamItem.parse(item) : undefined;
}
