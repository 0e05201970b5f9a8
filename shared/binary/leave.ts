import pMap from "p-map";
import { type Commit, commitDelta } from "../commit.ts";
import type { Context } from "../context.ts";
import { publishedOf } from "../publication/publish.ts";
import { announce } from "../repo/announce.ts";
import type { Repo } from "../repo/repo.ts";
import { keys } from "../store/keys.ts";
import { type Gift, giftsBelow, giftsOf } from "../tree/givers.ts";
import { inTurn } from "../turns.ts";
import { acceptingRepos } from "./accepting.ts";
import { binaryOf, type StoredBinary } from "./node.ts";

type StoredAt = { readonly segments: readonly string[]; readonly stored: StoredBinary };

const PARALLEL = 8;
/** Whoever read a binary before it was another, to tell repos of it, has ended by then. */
export const LATEST_SECONDS = 900;
const BATCH = 100;

/** What repos have of binaries under other bytes than are stored there now. */
export async function overtaken(
  ctx: Context,
  { givers }: Pick<Commit, "givers">,
  now: readonly StoredAt[],
): Promise<Gift[]> {
  const stored = new Map(now.map(({ segments, stored: { sha256 } }) => [segments.join("/"), sha256]));
  const gifts = await giftsOf(ctx.objects, givers, stored.keys());
  return gifts.filter(({ giver, sha256 }) => stored.get(giver) !== sha256);
}

/**
 * Has every repo drop, in one commit, what binaries at or below a path gave it that are there no more. What is true is read
 * behind each head, so it is safe to repeat at any time, also while others upload there. Answers the binaries that hold other
 * bytes now than some repo has of them: to be settled again.
 *
 * Costs the reads of the repos whose patterns may have taken the path; of each the part of its givers that lies there, a read
 * for 100 binaries, and a commit.
 */
export async function leaveRepos(ctx: Context, path: string): Promise<StoredAt[]> {
  const [name = ""] = path.split("/");
  const again = new Map<string, StoredAt>();
  await pMap(
    await acceptingRepos(ctx, [name]),
    async (repo) => {
      for (const [giver, stored] of await leaveRepo(ctx, repo, path)) {
        again.set(giver, { segments: giver.split("/"), stored });
      }
    },
    { concurrency: PARALLEL },
  );
  return [...again.values()];
}

async function leaveRepo(ctx: Context, repo: Repo, path: string): Promise<Map<string, StoredBinary>> {
  const changed = new Map<string, StoredBinary>();
  const change = async ({ givers }: Commit) => {
    changed.clear();
    const gifts = await giftsBelow(ctx.objects, givers, path);
    // Behind the head: who stores something there now tells the repo in a commit behind the one made here.
    const stored = await storedAt(ctx, [...new Set(gifts.map(({ giver }) => giver))]);
    const leave = gifts.filter(({ giver, sha256 }) => {
      const now = stored.get(giver);
      if (now?.sha256 === sha256) return false;
      // Whoever settles it has what it replaces leave in the commit that brings it.
      if (now && !now.settled) return now.replaces !== true;
      if (now && now.problem === undefined) changed.set(giver, { ...now, replaces: true });
      return !changed.has(giver);
    });
    return { put: [], remove: [], leave };
  };
  const terms = { by: "ingest", message: `remove ${path}` };
  const { commit } = await inTurn(ctx, repo.id, () => commitDelta(ctx, repo, change, terms));
  // Also where another one made the commit, and died.
  const published = await publishedOf(ctx, repo);
  if (published?.commit !== commit.number) await announce(ctx, repo, commit);
  return changed;
}

/** Before a binary is removed or replaced: has repos looked at when nobody can be telling them of what it was any more. */
export async function sendLeaving(ctx: Context, segments: readonly string[]): Promise<void> {
  await ctx.queues.worker({ kind: "leave", path: segments.join("/") }, LATEST_SECONDS);
}

/** What is stored at some paths. A read for each 100. */
export async function storedAt(ctx: Context, paths: readonly string[]): Promise<Map<string, StoredBinary>> {
  const batches = Array.from({ length: Math.ceil(paths.length / BATCH) }, (_, index) =>
    paths.slice(index * BATCH, (index + 1) * BATCH),
  );
  const found = new Map<string, StoredBinary>();
  await pMap(
    batches,
    async (batch) => {
      const items = await ctx.table.getMany(batch.map((path) => keys.node(path.split("/"))));
      for (const [index, path] of batch.entries()) {
        const stored = binaryOf(items[index])?.stored;
        if (stored) found.set(path, stored);
      }
    },
    { concurrency: PARALLEL },
  );
  return found;
}
