import { commitSameTree, headOf } from "../commit.ts";
import type { Context } from "../context.ts";
import { alterRepo } from "./alter.ts";
import { announce } from "./announce.ts";
import { stillSigning, sweepKeys } from "./keyring.ts";
import { expires, forgetPlans, planResigning } from "./plan.ts";
import { lastPublicationOf } from "./published.ts";
import { completeRepo, findRepo, isSettled, publicationReason, type Repo, type RepoRef } from "./repo.ts";

/**
 * Looks at what is true of a repo now, and does what is due: a key that is over leaves the repo, and clients get a publication
 * without it; a publication that has had half of its time is made anew. Else nothing. Safe to repeat at any time.
 */
export async function resignRepo(ctx: Context, ref: RepoRef): Promise<void> {
  const found = await findRepo(ctx, ref);
  if (!found) return forgetPlans(ctx, ref);
  const repo = await withoutKeysThatAreOver(ctx, found);
  if (!isSettled(repo)) await completeRepo(ctx, repo);
  await sweepKeys(ctx, repo);
  await renew(ctx, repo);
  await planResigning(ctx, repo);
  await forgetPlans(ctx, ref, repo);
}

async function withoutKeysThatAreOver(ctx: Context, repo: Repo): Promise<Repo> {
  const signing = stillSigning(repo.signing, ctx.now());
  if (signing.length === repo.signing.length) return repo;
  const altered = await alterRepo(ctx, repo, { ...repo, signing }, "end the overlap of keys");
  if (altered) return altered;
  const now = await findRepo(ctx, repo);
  // Another look may have been first.
  if (now && now.version > repo.version && stillSigning(now.signing, ctx.now()).length === now.signing.length)
    return now;
  throw new Error(`repo ${repo.name} was changed meanwhile: look again`);
}

async function renew(ctx: Context, repo: Repo): Promise<void> {
  if (!expires(repo)) return;
  const [published, head] = await Promise.all([lastPublicationOf(ctx, repo), headOf(ctx, repo)]);
  if (!published) return;
  const ageSeconds = ctx.now().getTime() / 1000 - published.date;
  if (ageSeconds < repo.validFor / 2) return;
  // What waits to be published will be dated then; that it waits still may be a message that was lost.
  if (head.number > published.commit) {
    await ctx.queues.publish(repo, `${publicationReason(repo, head)} resign ${ctx.now().toISOString()}`);
  } else {
    await announce(ctx, repo, await commitSameTree(ctx, repo, "sign anew what would expire"));
  }
}
