import pMap from "p-map";
import { parseSha256, type Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { listPackages } from "../package.ts";
import { PAGE_ITEMS } from "../store/dynamo.ts";
import type { RepoType } from "../store/keys.ts";
import { hashedRow } from "../tree/hashes.ts";
import { describeRow } from "../tree/layout.ts";
import { type LeafRef, readRows } from "../tree/leaf.ts";
import { leafIndexOf, readTree } from "../tree/root.ts";
import { everyHead } from "./heads.ts";
import { behind, standsForRow } from "./listing.ts";

export type HashPage = {
  readonly packages: readonly Sha256[];
  /** Where the next page continues; undefined at the end. */
  readonly next: Sha256 | undefined;
};

const PARALLEL = 8;

/**
 * One page, in the order of hashes, of all packages behind `after`: those we parsed, and all that the head of any repo or upstream
 * holds. Costs what the heads and a page of packages cost, the root of each distinct index by hash, and of all their distinct
 * leaves those that reach into the page.
 */
export async function pageOfEveryPackage(ctx: Context, after?: Sha256): Promise<HashPage> {
  const [parsed, leaves] = await Promise.all([listPackages(ctx, after), leavesBehind(ctx, after)]);
  const inTrees = await smallestIn(ctx, leaves, after, PAGE_ITEMS + 1);
  // What lies behind a page of parsed ones is not known yet.
  const known = parsed.next === undefined ? inTrees : inTrees.filter((sha256) => sha256 <= (parsed.next ?? ""));
  const all = [...new Set([...parsed.packages, ...known])].sort();
  const packages = all.slice(0, PAGE_ITEMS);
  const more = all.length > PAGE_ITEMS || parsed.next !== undefined;
  return { packages, next: more ? packages.at(-1) : undefined };
}

type TypedLeaf = { readonly leaf: LeafRef; readonly type: RepoType };

/** Of all heads, each leaf once however many trees share it, in the order of their first keys. */
async function leavesBehind(ctx: Context, after: Sha256 | undefined): Promise<TypedLeaf[]> {
  const roots = new Set<string>();
  const leaves = new Map<string, TypedLeaf>();
  for await (const heads of everyHead(ctx)) {
    const fresh = heads.filter(({ head }) => !roots.has(head.hashes) && roots.add(head.hashes));
    await pMap(
      fresh,
      async ({ chain: { type }, head }) => {
        const tree = await readTree(ctx.objects, head.hashes);
        const start = after === undefined ? 0 : leafIndexOf(tree, behind(after));
        for (const leaf of tree.leaves.slice(start)) leaves.set(leaf.sha256, { leaf, type });
      },
      { concurrency: PARALLEL },
    );
  }
  return [...leaves.values()].sort((a, b) => (a.leaf.first < b.leaf.first ? -1 : 1));
}

/** The smallest hashes behind `after`, in order. No leaf is read that begins behind the last of them. */
async function smallestIn(
  ctx: Context,
  leaves: readonly TypedLeaf[],
  after: Sha256 | undefined,
  most: number,
): Promise<Sha256[]> {
  let found: Sha256[] = [];
  for (let start = 0; start < leaves.length; start += PARALLEL) {
    const last = found[most - 1];
    const batch = leaves.slice(start, start + PARALLEL).filter(({ leaf }) => last === undefined || leaf.first < last);
    if (batch.length === 0) break;
    const rows = await pMap(batch, async ({ leaf, type }) => {
      const inside = (await readRows(ctx.objects, leaf)).map(hashedRow);
      return inside.flatMap(({ sha256, row }) => (standsForRow(describeRow(type, row)) ? [parseSha256(sha256)] : []));
    });
    const fresh = rows.flat().filter((sha256) => after === undefined || sha256 > after);
    found = [...new Set([...found, ...fresh])].sort().slice(0, most);
  }
  return found;
}
