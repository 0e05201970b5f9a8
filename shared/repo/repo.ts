import { randomUUID } from "node:crypto";
import { z } from "zod";
import { type Chain, type Commit, commitSameTree, headOf } from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import type { Item } from "../store/dynamo.ts";
import { keys, partitions, type RepoType } from "../store/keys.ts";
import { AcceptsInput, COMPONENT_NAME, DIST_NAME, firstSegmentsOf } from "./accepts.ts";

export const REPO_TYPES = ["yum", "apt", "dir"] as const satisfies readonly RepoType[];
export const REPO_NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;

const architecture = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,39}$/);
const line = z
  .string()
  .max(200)
  .regex(/^[^\p{Cc}]*$/u, "must be one line without control characters");

/** What a caller may say of a repo, beside its name and type. */
export const RepoSettings = z.strictObject({
  accepts: AcceptsInput.optional(),
  suite: z.string().regex(DIST_NAME).optional(),
  component: z.string().regex(COMPONENT_NAME).optional(),
  components: z.array(z.string().regex(COMPONENT_NAME)).max(50).optional(),
  architectures: z.array(architecture).max(50).optional(),
  origin: line.optional(),
  label: line.optional(),
  description: line.optional(),
  /** The repo of the same type whose head is taken over after each of its commits; null ends it. */
  follow: z.string().regex(REPO_NAME).nullable().optional(),
  /** Commits that are kept. */
  keep: z.int().min(1).max(100_000).optional(),
  /** apt takes packages of it only where it is told to. */
  not_automatic: z.boolean().optional(),
  /** Where the bytes come from, in other repositories' words: accepted and ignored. */
  path: z.string().max(2048).optional(),
});
export type RepoSettings = z.infer<typeof RepoSettings>;

const RepoItem = z.object({
  id: z.string(),
  type: z.enum(REPO_TYPES),
  name: z.string(),
  suite: z.string(),
  component: z.string(),
  components: z.array(z.string()),
  architectures: z.array(z.string()),
  origin: z.string(),
  label: z.string(),
  description: z.string(),
  accepts: z.array(z.object({ path: z.string(), suite: z.string().optional(), component: z.string().optional() })),
  follow: z.string().nullable(),
  keep: z.number().int(),
  notAutomatic: z.boolean(),
  createdAt: z.string(),
  createdBy: z.string(),
  updatedAt: z.string(),
  /** Grows with each change of the settings. */
  version: z.number().int(),
  /** The version whose patterns were last searched for what already matches. */
  backfilled: z.number().int(),
});
export type Repo = z.infer<typeof RepoItem>;

/** A repo is found by type and name, also after it was deleted and made again under another id. */
export type RepoRef = { readonly type: RepoType; readonly name: string };

const REMINDER_SECONDS = 30;
const DEFAULT_KEEP = 100;
const DEFAULT_ARCHITECTURES = ["amd64", "arm64"];

/**
 * Makes a repo. Its claim is one conditional write; what follows from it (listing, first commit, publication, taking in
 * what its patterns match) is completed here and, should we die on the way, by the reminder sent before.
 */
export async function createRepo(ctx: Context, ref: RepoRef, settings: RepoSettings, by: string): Promise<Repo> {
  const at = ctx.now().toISOString();
  const component = settings.component ?? "main";
  const repo: Repo = {
    id: randomUUID(),
    type: ref.type,
    name: ref.name,
    suite: settings.suite ?? "stable",
    component,
    components: [...new Set([component, ...(settings.components ?? [])])],
    architectures: settings.architectures ?? DEFAULT_ARCHITECTURES,
    origin: settings.origin ?? ref.name,
    label: settings.label ?? ref.name,
    description: settings.description ?? "",
    accepts: settings.accepts ?? [],
    follow: settings.follow ?? null,
    keep: settings.keep ?? DEFAULT_KEEP,
    notAutomatic: settings.not_automatic ?? false,
    createdAt: at,
    createdBy: by,
    updatedAt: at,
    version: 1,
    backfilled: 0,
  };
  await ctx.queues.worker({ kind: "repair", ...ref }, REMINDER_SECONDS);
  const claimed = await ctx.table.put({ ...keys.repo(ref.type, ref.name), ...repo }, { absent: true });
  // The SDK repeats a write whose answer was lost: then the item that stands in the way is our own.
  if (!claimed && (await findRepo(ctx, ref))?.id !== repo.id) throw nameTaken(ref);
  await completeRepo(ctx, repo);
  return repo;
}

export function nameTaken({ type, name }: RepoRef): AppError {
  return new AppError("conflict", `the ${type} repository ${name} exists already; choose another name`);
}

/** All that must follow from a repo's item; safe to repeat at any time. */
export async function completeRepo(ctx: Context, repo: Repo): Promise<void> {
  await ctx.table.put({ ...keys.repoListing(repo.type, repo.name), createdAt: repo.createdAt });
  for (const first of firstSegmentsOf(repo.accepts)) {
    await ctx.table.put({ ...keys.accepts(first, repo.type, repo.name), repoId: repo.id, version: repo.version });
  }
  if (repo.follow !== null) {
    await ctx.table.put({
      ...keys.follower(repo.type, repo.follow, repo.name),
      repoId: repo.id,
      version: repo.version,
    });
    await ctx.queues.worker({ kind: "follow", type: repo.type, name: repo.name });
  }
  const head = await headOf(ctx, repo);
  await ctx.queues.publish(repo, publicationReason(repo, head));
  if (repo.backfilled < repo.version && repo.accepts.length > 0) {
    await ctx.queues.worker({ kind: "backfill", type: repo.type, name: repo.name });
  }
}

/** What makes a publication worth making: a FIFO queue drops a second message with the same one for five minutes. */
export function publicationReason(repo: Pick<Chain, "id">, commit: Pick<Commit, "number">): string {
  return `${repo.id} ${commit.number}`;
}

/** Repeats all that follows from a repo's item; `reason` tells this repair from others, so that no queue takes it for one. */
export async function repairRepo(ctx: Context, ref: RepoRef, reason = ""): Promise<void> {
  const repo = await findRepo(ctx, ref);
  if (!repo) return;
  await completeRepo(ctx, repo);
  if (reason !== "") await ctx.queues.publish(repo, `${publicationReason(repo, await headOf(ctx, repo))} ${reason}`);
}

/** Stores what changed of a repo's settings, and sees to what follows. */
export async function changeRepo(ctx: Context, before: Repo, settings: RepoSettings): Promise<Repo> {
  const component = settings.component ?? before.component;
  const after: Repo = {
    ...before,
    suite: settings.suite ?? before.suite,
    component,
    components: [...new Set([component, ...(settings.components ?? before.components)])],
    architectures: settings.architectures ?? before.architectures,
    origin: settings.origin ?? before.origin,
    label: settings.label ?? before.label,
    description: settings.description ?? before.description,
    accepts: settings.accepts ?? before.accepts,
    follow: settings.follow === undefined ? before.follow : settings.follow,
    keep: settings.keep ?? before.keep,
    notAutomatic: settings.not_automatic ?? before.notAutomatic,
  };
  if (JSON.stringify(after) === JSON.stringify(before)) return before;
  const changed: Repo = { ...after, version: before.version + 1, updatedAt: ctx.now().toISOString() };
  await ctx.queues.worker({ kind: "repair", type: before.type, name: before.name }, REMINDER_SECONDS);
  const written = await ctx.table.put(
    { ...keys.repo(before.type, before.name), ...changed },
    { equals: { id: before.id, version: before.version } },
  );
  if (!written) {
    throw new AppError("conflict", `repo ${before.name} was changed by somebody else meanwhile; read it again`);
  }
  if (publishedSettings(changed) !== publishedSettings(before))
    await commitSameTree(ctx, changed, "change the settings");
  await completeRepo(ctx, changed);
  if (before.follow !== null && before.follow !== changed.follow) {
    await ctx.table.delete(keys.follower(before.type, before.follow, before.name), {
      less: { attribute: "version", than: changed.version },
    });
  }
  // Only what no later change has put there again: a hint too many costs a read, one too few loses a package.
  const kept = new Set(firstSegmentsOf(changed.accepts));
  for (const first of firstSegmentsOf(before.accepts)) {
    if (kept.has(first)) continue;
    await ctx.table.delete(keys.accepts(first, before.type, before.name), {
      less: { attribute: "version", than: changed.version },
    });
  }
  return changed;
}

/** The settings that a client sees in a publication. */
function publishedSettings(repo: Repo): string {
  const { suite, component, components, architectures, origin, label, description, notAutomatic } = repo;
  return JSON.stringify([suite, component, components, architectures, origin, label, description, notAutomatic]);
}

export async function findRepo(ctx: Context, ref: RepoRef): Promise<Repo | undefined> {
  const item = await ctx.table.get(keys.repo(ref.type, ref.name));
  return repoOf(item);
}

/** The repos of that name, of whatever type; at most one of each. One read. */
export async function findReposNamed(ctx: Context, name: string): Promise<Repo[]> {
  const items = await ctx.table.getMany(REPO_TYPES.map((type) => keys.repo(type, name)));
  return items
    .map(repoOf)
    .filter((repo) => repo !== undefined)
    .sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
}

/** One page of the repos by name. */
export async function listRepos(
  ctx: Context,
  after?: string,
): Promise<{ repos: readonly RepoRef[]; next: string | undefined }> {
  const page = await ctx.table.query(partitions.repos, after === undefined ? {} : { after });
  return { repos: page.items.map(({ sk }) => refOf(sk)), next: page.next };
}

/** What a sort key `NAME#TYPE` of a listing names. */
export function refOf(sortKey: string): RepoRef {
  const [name = "", type] = sortKey.split("#");
  return { name, type: z.enum(REPO_TYPES).parse(type) };
}

/** Repos and upstreams share their names, and so their keys. */
function repoOf(item: Item | undefined): Repo | undefined {
  return item === undefined || item.kind === "upstream" ? undefined : RepoItem.parse(item);
}
