import pMap from "p-map";
import type { Sha256 } from "../blob.ts";
import type { Commit } from "../commit.ts";
import type { Context } from "../context.ts";
import type { Entry, Row } from "../tree/entry.ts";
import { rowsHolding } from "../tree/hashes.ts";
import { readLeaf } from "../tree/leaf.ts";
import { leafIndexOf, readTree } from "../tree/root.ts";
import { everyHead, type HeadChain } from "./heads.ts";

/** A repo or an upstream whose head holds a file, and the row that names it there; of the row's files only that one. */
export type Holder = { readonly chain: HeadChain; readonly head: Commit; readonly row: Row };

const PARALLEL = 8;

/**
 * The repos and upstreams whose heads hold a file: computed from the heads, never kept in step by hand. Costs what the heads
 * cost, and two reads of each distinct tree.
 */
export async function holdersOf(ctx: Context, sha256: Sha256): Promise<Holder[]> {
  const lookups = new Map<string, ReturnType<typeof rowsHolding>>();
  const holders: Holder[] = [];
  for await (const heads of everyHead(ctx)) {
    const found = await pMap(
      heads,
      async ({ chain, head }) => {
        const rows =
          lookups.get(head.hashes) ??
          readTree(ctx.objects, head.hashes).then((tree) => rowsHolding(ctx.objects, tree, sha256));
        lookups.set(head.hashes, rows);
        const [row] = await rows;
        return row ? [{ chain, head, row }] : [];
      },
      { concurrency: PARALLEL },
    );
    holders.push(...found.flat());
  }
  return holders;
}

/** The whole entry of a holder's row, with its index text: one read of a root, one of a leaf, and one for each of its fragments. */
export async function entryHeld(ctx: Context, { head, row }: Holder): Promise<Entry> {
  const tree = await readTree(ctx.objects, head.tree);
  const leaf = tree.leaves[leafIndexOf(tree, row.key)];
  const entry = leaf && (await readLeaf(ctx.objects, leaf)).find(({ key }) => key === row.key);
  if (!entry) throw new Error(`tree ${head.tree} lacks ${row.key}, which its index by hash names`);
  return entry;
}
