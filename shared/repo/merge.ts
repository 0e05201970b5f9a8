import pMap from "p-map";
import { type Chain, type Commit, commitTree, type Holding, headOf, type TreeTerms } from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { readCarried, writeCarried } from "../tree/carried.ts";
import { compareKeys, type Row } from "../tree/entry.ts";
import { everything } from "../tree/hashes.ts";
import { groupOf } from "../tree/layout.ts";
import { mergeTrees } from "../tree/merge.ts";
import { readTree } from "../tree/root.ts";
import { announce } from "./announce.ts";
import { type ChangeJob, type ChangeTerms, commitOfJob, messageOf } from "./change.ts";
import { mergeCarried } from "./merge-carried.ts";
import type { Repo } from "./repo.ts";

/**
 * What becomes of one key under which two sources hold other bytes: `refuse` makes no commit, with `first` the source that is named
 * earlier wins, with `newest` the one whose head was committed later (of two at one time the one named earlier).
 */
export const ON_CONFLICT = ["refuse", "first", "newest"] as const;
export type OnConflict = (typeof ON_CONFLICT)[number];

export type MergeSource = Pick<Chain, "id" | "createdBy" | "name">;
type Source = { readonly chain: MergeSource; readonly head: Commit };

const MOST_TOLD = 100;
const PARALLEL = 8;
/** So often the repo itself, being one of the sources, may change while it is merged. */
const MOST_ATTEMPTS = 10;

/**
 * Makes what the heads of several chains hold together the repo's set, in one commit. @throws AppError `conflict` with up to 100 keys
 * where they contradict each other and are not to
 *
 * Costs what `mergeTrees` does, twice; memory is a few leaves, and the keys that contradict.
 */
export async function mergeInto(
  ctx: Context,
  repo: Repo,
  sources: readonly MergeSource[],
  onConflict: OnConflict,
  { by, onlyOn, job }: Pick<ChangeTerms, "by" | "onlyOn" | "job">,
): Promise<Commit> {
  for (let attempt = 1; ; attempt += 1) {
    const heads = await pMap(sources, async (chain) => ({ chain, head: await headOf(ctx, chain) }), {
      concurrency: PARALLEL,
    });
    // What others change of a repo that is merged into itself meanwhile must be in it.
    const own = heads.find(({ chain }) => chain.id === repo.id)?.head.number;
    const merged = await merge(ctx, repo, heads, onConflict);
    const what = `merge ${heads.map(({ chain, head }) => `${chain.name}@${head.number}`).join(", ")}`;
    const givers = own === undefined ? undefined : "kept";
    const terms: TreeTerms = { by, message: messageOf(what, job), onlyOn: onlyOn ?? own, givers };
    try {
      const commit = await (job ? commitOnce(ctx, repo, merged, terms, job) : commitTree(ctx, repo, merged, terms));
      await announce(ctx, repo, commit);
      return commit;
    } catch (error) {
      const isOutrun = error instanceof AppError && error.kind === "precondition" && onlyOn === undefined;
      if (!isOutrun || attempt >= MOST_ATTEMPTS) throw error;
    }
  }
}

/** The one commit of a job that may be worked on twice at once, or again by who does not know what came of it. */
async function commitOnce(
  ctx: Context,
  repo: Repo,
  merged: Holding,
  terms: TreeTerms,
  job: ChangeJob,
): Promise<Commit> {
  for (let attempt = 1; ; attempt += 1) {
    const head = await headOf(ctx, repo);
    // After the head was read: what another run of the job ended with stood before any change that we might undo.
    const made = await commitOfJob(ctx, repo, job);
    if (made || (await job.hasEnded())) return made ?? head;
    try {
      return await commitTree(ctx, repo, merged, { ...terms, onlyOn: terms.onlyOn ?? head.number });
    } catch (error) {
      if (!(error instanceof AppError && error.kind === "precondition")) throw error;
      if (terms.onlyOn === undefined && attempt < MOST_ATTEMPTS) continue;
      // The job's own commit may be what moved the head that it was to be made on.
      const late = await commitOfJob(ctx, repo, job);
      if (!late) throw error;
      return late;
    }
  }
}

async function merge(
  ctx: Context,
  repo: Pick<Repo, "type">,
  sources: readonly Source[],
  onConflict: OnConflict,
): Promise<Holding> {
  const ordered = onConflict === "newest" ? newestFirst(sources) : sources;
  const losers = new Losers(onConflict === "refuse" ? MOST_TOLD : Number.POSITIVE_INFINITY);
  const trees = await Promise.all(ordered.map(({ head }) => readTree(ctx.objects, head.tree)));
  const tree = await mergeTrees(ctx.objects, trees, {
    groupOf: groupOf(repo.type),
    meet: (rows) => losers.note(rows),
  });
  if (onConflict === "refuse") losers.refuseAny();
  const indexes = await Promise.all(ordered.map(({ head }) => readTree(ctx.objects, head.hashes)));
  const hashes = await mergeTrees(ctx.objects, indexes, { groupOf: everything, without: losers.hashed() });
  const carried = await Promise.all(
    ordered.map(async ({ chain, head }) => ({ name: chain.name, files: await readCarried(ctx.objects, head.carried) })),
  );
  return {
    tree: tree.root,
    hashes: hashes.root,
    count: tree.count,
    carried: await writeCarried(ctx.objects, await mergeCarried(ctx.objects, repo.type, carried)),
  };
}

/** Sorting keeps the order of those of one time. */
function newestFirst(sources: readonly Source[]): Source[] {
  return [...sources].sort((a, b) => compareKeys(b.head.at, a.head.at));
}

/** What of the sources is not in the merged tree, since another has its key. */
class Losers {
  readonly #keys: string[] = [];
  readonly #hashed = new Set<string>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  note([winner, ...rest]: readonly Row[]): void {
    if (!winner) return;
    const held = hashesOf(winner);
    const others = rest.filter((row) => [...hashesOf(row)].join() !== [...held].join());
    if (others.length === 0) return;
    this.#keys.push(winner.key);
    for (const row of others) {
      for (const sha256 of hashesOf(row)) if (!held.has(sha256)) this.#hashed.add(`${sha256}/${row.key}`);
    }
    if (this.#keys.length >= this.#most) this.refuseAny();
  }

  /** Their keys in the index by hash, sorted. */
  hashed(): string[] {
    return [...this.#hashed].sort(compareKeys);
  }

  refuseAny(): void {
    if (this.#keys.length === 0) return;
    const conflicts = this.#keys.map((key) => decodeURIComponent(key));
    const many = conflicts.length === 1 ? "a key" : `${conflicts.length} keys`;
    throw new AppError(
      "conflict",
      `the sources hold other bytes under ${many}: ${conflicts.slice(0, 3).join(", ")}${conflicts.length > 3 ? ", …" : ""}; on_conflict says which to take`,
      { conflicts },
    );
  }
}

/** In whatever order a source package's files are listed. */
function hashesOf({ files }: Row): Set<string> {
  return new Set(files.map(({ sha256 }) => sha256).sort());
}
