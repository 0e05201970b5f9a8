import { z } from "zod";
import { type Chain, headOf } from "../../shared/commit.ts";
import type { Context } from "../../shared/context.ts";
import { readManifest } from "../../shared/publication/manifest.ts";
import { publishedOf } from "../../shared/publication/publish.ts";
import { findRepo } from "../../shared/repo/repo.ts";
import { findUpstream } from "../../shared/sync/upstream.ts";

const Given = z.object({ upstream: z.string(), repo: z.string() });

/** Both heads of an apt upstream and its follower without times, and each path that the follower's publication is read at. */
export async function stateOf(ctx: Context, given: unknown) {
  const names = Given.parse(given);
  const upstream = await findUpstream(ctx, { type: "apt", name: names.upstream });
  const repo = await findRepo(ctx, { type: "apt", name: names.repo });
  const published = repo && (await publishedOf(ctx, repo));
  if (!upstream || !repo || !published) throw new Error("nothing is published");
  const { files, indexes, carried } = await readManifest(ctx, published.manifest);
  const byHash = Object.entries(indexes).flatMap(([name, { packed, xz }]) => {
    const folder = name.slice(0, name.lastIndexOf("/"));
    const paths = [packed, ...(xz ? [xz] : [])].map(({ sha256 }) => `${folder}/by-hash/SHA256/${sha256}`);
    return [`${name}.gz`, ...paths];
  });
  return {
    heads: { upstream: await headIn(ctx, upstream), repo: await headIn(ctx, repo), published: published.commit },
    paths: [...files.map(({ path }) => path), ...byHash, ...Object.keys(carried)].sort(),
  };
}

async function headIn(ctx: Context, chain: Chain) {
  const { number, tree, hashes, count, carried = null, givers = null, parent = null } = await headOf(ctx, chain);
  return { number, tree, hashes, count, carried, givers, parent };
}
