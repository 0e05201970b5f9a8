import { type Commit, commitAt, headOf } from "../commit.ts";
import type { Context } from "../context.ts";
import type { Repo } from "../repo/repo.ts";
import { partitions } from "../store/keys.ts";
import { publishedOf } from "./publish.ts";

const NUMBER = /^\d{1,12}$/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?Z$/;
/** Clients hold what was published before; DESIGN keeps what three publications name, these are a few more. */
const LAST_PUBLICATIONS = 5;

/** Whether `@REF` will name the same commit for ever. */
export function isLasting(ref: string | undefined): boolean {
  return ref !== undefined && NUMBER.test(ref);
}

/**
 * The number of the commit that `@REF` names: its own, the newest published at or before a time, or (`@latest`, or none) the
 * one that clients read now. Undefined where there is none. A commit of a number may not exist.
 */
export async function numberOf(ctx: Context, repo: Repo, ref: string | undefined): Promise<number | undefined> {
  if (ref !== undefined && NUMBER.test(ref)) return Number(ref);
  const published = await publishedOf(ctx, repo);
  if (!published || ref === undefined || ref === "latest") return published?.commit;
  return TIME.test(ref) ? newestAt(ctx, repo, published.commit, new Date(ref).toISOString()) : undefined;
}

/** The newest published commit at or before a time: times rise with numbers, so a few reads find it. */
async function newestAt(ctx: Context, repo: Repo, last: number, time: string): Promise<number | undefined> {
  let low = 0;
  let high = last;
  let found: number | undefined;
  while (low <= high) {
    const middle = Math.floor((low + high) / 2);
    const commit = await commitAt(ctx, repo.id, middle);
    if (!commit || commit.at <= time) {
      found = commit?.number ?? found;
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  return found;
}

/**
 * The commits whose files a client may ask for by hash: the one that `@REF` names; without it the head, then those of the
 * last publications, since a client may have read its indexes before the newest. Of equal sets only the first.
 */
export async function* commitsRead(ctx: Context, repo: Repo, ref: string | undefined): AsyncGenerator<Commit> {
  if (ref !== undefined && ref !== "latest") {
    const number = await numberOf(ctx, repo, ref);
    const commit = number === undefined ? undefined : await commitAt(ctx, repo.id, number);
    if (commit) yield commit;
    return;
  }
  const head = await headOf(ctx, repo);
  yield head;
  const seen = new Set([head.hashes]);
  const options = { newestFirst: true, limit: LAST_PUBLICATIONS };
  const { items } = await ctx.table.query(partitions.publications(repo.id), options);
  for (const { sk } of items) {
    const commit = await commitAt(ctx, repo.id, Number(sk));
    if (!commit || seen.has(commit.hashes)) continue;
    seen.add(commit.hashes);
    yield commit;
  }
}
