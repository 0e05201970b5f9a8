import pMap from "p-map";
import type { Context } from "../context.ts";
import { findRepo, REPO_TYPES, type Repo, type RepoRef } from "../repo/repo.ts";
import { everyItem } from "../store/dynamo.ts";
import { partitions } from "../store/keys.ts";

const PARALLEL = 8;

/** The repos whose patterns may take packages of these names: those kept for a name, and those that take every name. */
export async function acceptingRepos(ctx: Context, names: readonly string[]): Promise<Repo[]> {
  if (names.length === 0) return [];
  const refs = new Map<string, RepoRef>();
  const find = async (name: string) => {
    for await (const { sk } of everyItem(ctx.table, partitions.accepts(name))) {
      const type = REPO_TYPES.find((known) => sk.startsWith(`${known}#`));
      if (type) refs.set(sk, { type, name: sk.slice(type.length + 1) });
    }
  };
  await pMap(new Set([...names, "*"]), find, { concurrency: PARALLEL });
  const repos = await pMap([...refs.values()], (ref) => findRepo(ctx, ref), { concurrency: PARALLEL });
  return repos.filter((repo) => repo !== undefined);
}
