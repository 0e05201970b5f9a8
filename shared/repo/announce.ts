import type { Chain, Commit } from "../commit.ts";
import type { Context } from "../context.ts";
import { everyItem } from "../store/dynamo.ts";
import { keys, partitions } from "../store/keys.ts";
import { publicationReason } from "./repo.ts";

/** So many commits are forgotten at once at most: a lowered `keep` is reached within a few commits. */
const MOST_FORGOTTEN = 25;
const KEPT_PUBLICATIONS = 3;

/**
 * All that follows from a commit: its publication, those who follow the repo, and the end of commits that are kept no longer.
 * Safe to repeat. Costs a message and two queries, a message for each follower, and two deletes for each forgotten commit.
 */
export async function announce(ctx: Context, chain: Chain & { readonly keep: number }, commit: Commit): Promise<void> {
  await ctx.queues.publish(chain, publicationReason(chain, commit));
  await announceFollowers(ctx, chain);
  const last = commit.number - chain.keep;
  if (last >= 0) await forgetCommits(ctx, chain, last);
}

/** Has those who follow a repo or upstream take over its head. */
export async function announceFollowers(ctx: Context, { type, name }: Pick<Chain, "type" | "name">): Promise<void> {
  for await (const { sk } of everyItem(ctx.table, partitions.followers(type, name))) {
    await ctx.queues.worker({ kind: "follow", type, name: sk });
  }
}

/**
 * Removes commits up to a number, oldest first; their blobs stay for those who hold them still. What clients were led to by the
 * last publications stays too.
 */
async function forgetCommits(ctx: Context, { id, type, name }: Chain, last: number): Promise<void> {
  const published = Number((await ctx.table.get(keys.published(type, name)))?.commit ?? 0);
  const { items } = await ctx.table.query(partitions.commits(id), { limit: MOST_FORGOTTEN });
  for (const { sk } of items) {
    const number = Number(sk);
    if (number > last || number > published - KEPT_PUBLICATIONS) return;
    await ctx.table.delete(keys.publication(id, number));
    await ctx.table.delete(keys.commit(id, number));
  }
}
