import pMap from "p-map";
import { z } from "zod";
import { type Chain, type Commit, headOf } from "../commit.ts";
import type { Context } from "../context.ts";
import type { Item } from "../store/dynamo.ts";
import { keys, partitions, type RepoType } from "../store/keys.ts";
import { REPO_TYPES, type RepoRef, refOf } from "./repo.ts";

/** Whose head it is: of a repo of ours, or of an upstream. */
export type HeadChain = Chain & { readonly kind: "repo" | "upstream" };
export type Head = { readonly chain: HeadChain; readonly head: Commit };

/** What repos and upstreams have in common; an upstream's item says that it is one. */
const ChainItem = z.object({
  id: z.string(),
  type: z.enum(REPO_TYPES),
  name: z.string(),
  createdBy: z.string(),
  kind: z.literal("upstream").optional(),
});

const BATCH = 100;
const PARALLEL = 8;

/**
 * The head of every repo, then of every upstream, each by name, some at a time; of one type where it is told. What is deleted
 * is not among them from the moment it is. Costs a query for 1,000 names, a read for 100, and a query each.
 */
export async function* everyHead(ctx: Context, type?: RepoType): AsyncGenerator<readonly Head[]> {
  yield* headsListed(ctx, "repo", partitions.repos, type);
  yield* headsListed(ctx, "upstream", partitions.upstreams, type);
}

async function* headsListed(
  ctx: Context,
  kind: HeadChain["kind"],
  partition: string,
  type: RepoType | undefined,
): AsyncGenerator<readonly Head[]> {
  let after: string | undefined;
  do {
    const page = await ctx.table.query(partition, after === undefined ? {} : { after });
    const refs = page.items.map(({ sk }) => refOf(sk)).filter((ref) => type === undefined || ref.type === type);
    for (let start = 0; start < refs.length; start += BATCH) {
      const wanted = refs.slice(start, start + BATCH).map((ref) => keys.repo(ref.type, ref.name));
      const items = await ctx.table.getMany(wanted);
      const chains = items.flatMap((item) => chainOf(item) ?? []).filter((chain) => chain.kind === kind);
      yield await pMap(chains, async (chain) => ({ chain, head: await headOf(ctx, chain) }), { concurrency: PARALLEL });
    }
    after = page.next;
  } while (after !== undefined);
}

function chainOf(item: Item | undefined): HeadChain | undefined {
  if (!item) return undefined;
  const { kind = "repo", ...chain } = ChainItem.parse(item);
  return { ...chain, kind };
}

/** A repo or an upstream by its name, of which there is one a type. */
export async function findChain(ctx: Context, { type, name }: RepoRef): Promise<HeadChain | undefined> {
  return chainOf(await ctx.table.get(keys.repo(type, name)));
}
