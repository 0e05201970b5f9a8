import { z } from "zod";
import { jsonIn, type Sha256, sha256Of } from "../blob.ts";
import { keptBeside } from "../kept.ts";
import type { BlobStore, LeafRef } from "./leaf.ts";

/** A tree as its root blob tells it: the leaves in the order of their keys. */
export type Tree = {
  readonly root: Sha256;
  /** Entries in all leaves. */
  readonly count: number;
  readonly leaves: readonly LeafRef[];
};

const hex = z.custom<Sha256>((value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value));
const RootDocument = z.object({
  version: z.literal(1),
  leaves: z.array(
    z.object({
      first: z.string(),
      count: z.number(),
      sha256: hex,
      fragments: z.record(z.string(), z.object({ sha256: hex, sizeBytes: z.number(), plainBytes: z.number() })),
    }),
  ),
});

/** Of root documents. One of a tree of 60,000 is 35 KB. */
const MOST_KEPT_BYTES = 4 * 1024 * 1024;

/** The trees that a process read or wrote of late: who commits to a repo or publishes it asks for them again. */
const keptOf = keptBeside<Sha256, Tree>(MOST_KEPT_BYTES);

function rootBytes(leaves: readonly LeafRef[]): Buffer {
  return Buffer.from(JSON.stringify({ version: 1, leaves }));
}

/** The root of the tree that holds nothing. */
export const EMPTY_ROOT: Sha256 = sha256Of(rootBytes([]));

export async function writeRoot(store: BlobStore, leaves: readonly LeafRef[]): Promise<Tree> {
  const bytes = rootBytes(leaves);
  const tree = { root: await store.putBlob(bytes), count: countOf(leaves), leaves };
  keptOf(store).keep(tree.root, tree, bytes.length);
  return tree;
}

/** One read; none for the empty tree, or one that the process knows still. */
export async function readTree(store: BlobStore, root: Sha256): Promise<Tree> {
  if (root === EMPTY_ROOT) return { root, count: 0, leaves: [] };
  const known = keptOf(store).find(root);
  if (known) return known;
  const bytes = await store.getBlob(root);
  const sizeBytes = bytes.length;
  if (sha256Of(bytes) !== root) throw new Error(`tree ${root} is damaged`);
  const { leaves } = RootDocument.parse(jsonIn(bytes));
  const tree = { root, count: countOf(leaves), leaves };
  keptOf(store).keep(root, tree, sizeBytes);
  return tree;
}

function countOf(leaves: readonly LeafRef[]): number {
  return leaves.reduce((sum, leaf) => sum + leaf.count, 0);
}

/** The leaf whose range of keys takes `key`, if the tree has any leaf. */
export function leafIndexOf(tree: Tree, key: string): number {
  let low = 0;
  let high = tree.leaves.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((tree.leaves[middle]?.first ?? "") <= key) low = middle;
    else high = middle - 1;
  }
  return low;
}
