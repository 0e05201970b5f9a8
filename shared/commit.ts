import { setTimeout as wait } from "node:timers/promises";
import { z } from "zod";
import type { Sha256 } from "./blob.ts";
import type { Context } from "./context.ts";
import { AppError } from "./error.ts";
import { keys, paddedNumber, partitions, type RepoType } from "./store/keys.ts";
import { diffTrees } from "./tree/diff.ts";
import { beginEdit, type Delta, type Refusal } from "./tree/edit.ts";
import { keptGivers, readyGivers } from "./tree/givers.ts";
import { editHashes } from "./tree/hashes.ts";
import { groupOf } from "./tree/layout.ts";
import { EMPTY_ROOT, readTree } from "./tree/root.ts";

/** Whose commits they are. */
export type Chain = {
  readonly id: string;
  readonly type: RepoType;
  readonly name: string;
  readonly createdBy: string;
};

/** One state of a repo. The newest is the head; commit 0 is the empty tree. */
export type Commit = {
  readonly number: number;
  readonly tree: Sha256;
  /** The root of the tree's index by hash. */
  readonly hashes: Sha256;
  /** Entries in the tree. */
  readonly count: number;
  /** A blob that lists the files which are published beside the packages, see `tree/carried.ts`; most have none. */
  readonly carried?: Sha256 | undefined;
  /** The root of what tells which binaries gave which rows, see `tree/givers.ts`; absent where none gave any. */
  readonly givers?: Sha256 | undefined;
  readonly parent: number | undefined;
  readonly at: string;
  readonly by: string;
  readonly message: string;
};

const CommitItem = z.object({
  number: z.number().int().nonnegative(),
  tree: z.custom<Sha256>((value) => typeof value === "string"),
  hashes: z.custom<Sha256>((value) => typeof value === "string"),
  count: z.number().int().nonnegative(),
  carried: z.custom<Sha256>((value) => typeof value === "string").optional(),
  givers: z.custom<Sha256>((value) => typeof value === "string").optional(),
  parent: z.number().int().optional(),
  at: z.string(),
  by: z.string(),
  message: z.string(),
});

/** So many writers may win before one gives up; each loss means that another one's commit landed. */
const MOST_ATTEMPTS = 200;

/** The head of a repo: one query. A repo that has no commit yet (it was just made) is given its first. */
export async function headOf(ctx: Context, repo: Pick<Chain, "id" | "createdBy">): Promise<Commit> {
  const { items } = await ctx.table.query(partitions.commits(repo.id), { newestFirst: true, limit: 1 });
  const newest = items[0];
  if (newest) return commitOf(newest);
  const first: Commit = {
    number: 0,
    tree: EMPTY_ROOT,
    hashes: EMPTY_ROOT,
    count: 0,
    parent: undefined,
    at: ctx.now().toISOString(),
    by: repo.createdBy,
    message: "create the repo",
  };
  if (await putCommit(ctx, repo.id, first)) return first;
  return headOf(ctx, repo);
}

export async function commitAt(ctx: Context, repoId: string, number: number): Promise<Commit | undefined> {
  const item = await ctx.table.get(keys.commit(repoId, number));
  return item && commitOf(item);
}

export type Committed = { readonly commit: Commit; readonly refused: readonly Refusal[] };

/** One page of a chain's commits, newest first; `before` continues behind that number. */
export async function listCommits(
  ctx: Context,
  repoId: string,
  before?: number,
): Promise<{ commits: readonly Commit[]; next: number | undefined }> {
  const page = await ctx.table.query(partitions.commits(repoId), {
    newestFirst: true,
    ...(before === undefined ? {} : { after: paddedNumber(before) }),
  });
  return { commits: page.items.map(commitOf), next: page.next === undefined ? undefined : Number(page.next) };
}

/** A change of a tree, or how to tell it from the head it will be applied to. */
export type Change = Delta | ((head: Commit) => Promise<Delta>);

export type CommitTerms = {
  readonly by: string;
  readonly message: string;
  /** Made on this head or not at all (`precondition`). */
  readonly onlyOn?: number | undefined;
  /** Made as it is or not at all: where the repo holds other bytes under a key, it is a `conflict`. */
  readonly wholly?: boolean;
};

/**
 * Applies a change to the head, as often as another writer was first: concurrent writers merge, none loses a package.
 * A delta that changes nothing makes no commit; the head is returned.
 *
 * Costs a query, the edit's reads and writes, and one conditional write.
 */
export async function commitDelta(
  ctx: Context,
  repo: Chain,
  change: Change,
  { by, message, onlyOn, wholly = false }: CommitTerms,
): Promise<Committed> {
  return untilFirst(repo, async () => {
    const head = await headOf(ctx, repo);
    checkHead(repo, head, onlyOn);
    const delta = typeof change === "function" ? await change(head) : change;
    const [before, hashesBefore] = await Promise.all([
      readTree(ctx.objects, head.tree),
      readTree(ctx.objects, head.hashes),
    ]);
    const ready = await readyGivers(ctx.objects, head.givers, delta);
    const { stored, refused, ...changes } = await beginEdit(ctx.objects, before, ready.delta, groupOf(repo.type));
    const [first] = refused;
    if (wholly && first) {
      const what = decodeURIComponent(first.entry.key);
      throw new AppError("conflict", `repo ${repo.name} holds ${what} with other bytes; force replaces them`);
    }
    const [tree, hashes, { root }] = await Promise.all([
      stored(),
      editHashes(ctx.objects, hashesBefore, changes),
      ready.after({ refused, ...changes }),
    ]);
    const givers = root === EMPTY_ROOT ? undefined : root;
    if (tree.root === head.tree && givers === head.givers) return { commit: head, refused };
    const held = { tree: tree.root, hashes: hashes.root, count: tree.count, carried: head.carried, givers };
    const commit = childOf(head, { ...held, at: ctx.now().toISOString(), by, message });
    return (await putCommit(ctx, repo.id, commit)) ? { commit, refused } : undefined;
  });
}

/** What a commit holds, apart from who made it when. */
export type Holding = Pick<Commit, "tree" | "hashes" | "count" | "carried">;

export type TreeTerms = Omit<CommitTerms, "wholly"> & {
  /** Those of the head, of what the tree leaves as it is. Else all rows are there for their own sake. */
  readonly givers?: "kept" | undefined;
};

/** A commit of a tree that is there already: another's head, or an earlier one's. One write; where givers are kept, a difference of trees. */
export async function commitTree(
  ctx: Context,
  repo: Chain,
  { tree, hashes, count, carried }: Holding,
  { by, message, onlyOn, givers: kept }: TreeTerms,
): Promise<Commit> {
  return untilFirst(repo, async () => {
    const head = await headOf(ctx, repo);
    checkHead(repo, head, onlyOn);
    if (head.tree === tree && head.carried === carried) return head;
    const givers = kept && (await giversLeft(ctx, head, tree));
    const commit = childOf(head, { tree, hashes, count, carried, givers, at: ctx.now().toISOString(), by, message });
    return (await putCommit(ctx, repo.id, commit)) ? commit : undefined;
  });
}

async function giversLeft(ctx: Context, head: Commit, root: Sha256): Promise<Sha256 | undefined> {
  if (head.givers === undefined) return undefined;
  const [before, after] = await Promise.all([readTree(ctx.objects, head.tree), readTree(ctx.objects, root)]);
  const kept = await keptGivers(ctx.objects, head.givers, diffTrees(ctx.objects, before, after));
  return kept === EMPTY_ROOT ? undefined : kept;
}

function checkHead(repo: Chain, head: Commit, onlyOn: number | undefined): void {
  if (onlyOn === undefined || head.number === onlyOn) return;
  throw new AppError("precondition", `repo ${repo.name} is at commit ${head.number}, not at ${onlyOn}`, {
    commit: head.number,
  });
}

/**
 * A commit of the same tree: what clients read depends on the settings too, and a commit is published once, so that
 * `@NUMBER` never changes.
 */
export async function commitSameTree(ctx: Context, repo: Chain, message: string): Promise<Commit> {
  return untilFirst(repo, async () => {
    const head = await headOf(ctx, repo);
    const at = ctx.now().toISOString();
    const commit = childOf(head, { ...head, at, by: repo.createdBy, message });
    return (await putCommit(ctx, repo.id, commit)) ? commit : undefined;
  });
}

async function untilFirst<T>(repo: Chain, attempt: () => Promise<T | undefined>): Promise<T> {
  for (let lost = 0; lost < MOST_ATTEMPTS; lost += 1) {
    const result = await attempt();
    if (result !== undefined) return result;
    // Another writer was first; those who lost come back apart from each other.
    await wait(Math.random() * Math.min(20 * (lost + 1), 400));
  }
  throw new AppError("unavailable", `repo ${repo.name} is written by so many at once that this change found no turn`);
}

function childOf(head: Commit, change: Omit<Commit, "number" | "parent">): Commit {
  return { ...change, number: head.number + 1, parent: head.number };
}

/** The write that decides every race: of two commits with one number, one is put. */
async function putCommit(ctx: Context, repoId: string, commit: Commit): Promise<boolean> {
  return ctx.table.put({ ...keys.commit(repoId, commit.number), ...commit }, { absent: true });
}

function commitOf(item: Record<string, unknown>): Commit {
  const { parent, ...commit } = CommitItem.parse(item);
  return { ...commit, parent };
}
