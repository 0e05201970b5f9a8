import { randomUUID } from "node:crypto";
import { z } from "zod";
import { type Chain, type Commit, commitSameTree, headOf } from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { importSigningKey } from "../signing/import.ts";
import type { Item } from "../store/dynamo.ts";
import { keys, partitions, type RepoType } from "../store/keys.ts";
import { firstSegmentsOf } from "./accepts.ts";
import { RingEntry, removeKey, storeKey } from "./keyring.ts";
import { isResigned, planResigning } from "./plan.ts";
import { Choices, chosen, defaultChoices, REPO_TYPES, type RepoSettings } from "./settings.ts";

export { REPO_NAME, REPO_TYPES, RepoSettings } from "./settings.ts";

const RepoItem = z.object({
  id: z.string(),
  type: z.enum(REPO_TYPES),
  name: z.string(),
  ...Choices.shape,
  /** The keys that sign, see `keyring.ts`. */
  signing: z.array(RingEntry).default([]),
  createdAt: z.string(),
  createdBy: z.string(),
  updatedAt: z.string(),
  /** Grows with each change of the settings. */
  version: z.number().int(),
  /** The version whose patterns were last searched for what already matches. */
  backfilled: z.number().int(),
  /** The version whose settings and keys a commit was last made for; absent: the newest. */
  settled: z.number().int().optional(),
});
export type Repo = z.infer<typeof RepoItem>;

/** A repo is found by type and name, also after it was deleted and made again under another id. */
export type RepoRef = { readonly type: RepoType; readonly name: string };

export const REMINDER_SECONDS = 30;

/**
 * Makes a repo. Its claim is one conditional write; what follows from it (listing, first commit, publication, taking in
 * what its patterns match) is completed here and, should we die on the way, by the reminder sent before.
 */
export async function createRepo(ctx: Context, ref: RepoRef, settings: RepoSettings, by: string): Promise<Repo> {
  const at = ctx.now().toISOString();
  const imported = settings.key === undefined ? undefined : await importSigningKey(settings.key, ctx.now());
  const repo: Repo = {
    id: randomUUID(),
    type: ref.type,
    name: ref.name,
    ...chosen(defaultChoices(ref.name), settings),
    signing: [],
    createdAt: at,
    createdBy: by,
    updatedAt: at,
    version: 1,
    backfilled: 0,
    settled: 1,
  };
  // Before anybody can find the repo and make it a key.
  if (imported) await storeKey(ctx, repo.id, at, imported);
  await ctx.queues.worker({ kind: "repair", ...ref }, REMINDER_SECONDS);
  const claimed = await ctx.table.put({ ...keys.repo(ref.type, ref.name), ...repo }, { absent: true });
  // The SDK repeats a write whose answer was lost: then the item that stands in the way is our own.
  if (!claimed && (await findRepo(ctx, ref))?.id !== repo.id) {
    if (imported) await removeKey(ctx, repo.id, at);
    throw nameTaken(ref);
  }
  await completeRepo(ctx, repo);
  return repo;
}

export function nameTaken({ type, name }: RepoRef): AppError {
  return new AppError("conflict", `the ${type} repository ${name} exists already; choose another name`);
}

/** All that must follow from a repo's item; safe to repeat at any time. */
export async function completeRepo(ctx: Context, repo: Repo, message = "change the settings"): Promise<void> {
  if (!isSettled(repo)) {
    await commitSameTree(ctx, repo, message);
    await ctx.table.update(
      keys.repo(repo.type, repo.name),
      { set: { settled: repo.version } },
      { equals: { id: repo.id, version: repo.version } },
    );
  }
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
  await planResigning(ctx, repo);
}

/** Whether a commit was made since what clients see of the repo's item was changed. */
export function isSettled({ settled, version }: Pick<Repo, "settled" | "version">): boolean {
  return settled === undefined || settled >= version;
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
  if (isResigned(repo)) await ctx.queues.worker({ kind: "resign", type: repo.type, name: repo.name });
  if (reason !== "") await ctx.queues.publish(repo, `${publicationReason(repo, await headOf(ctx, repo))} ${reason}`);
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
