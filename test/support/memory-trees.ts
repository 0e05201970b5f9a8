import { sha256Of } from "../../shared/blob.ts";
import { type Delta, type Edit, editTree } from "../../shared/tree/edit.ts";
import type { Entry } from "../../shared/tree/entry.ts";
import { groupOf } from "../../shared/tree/layout.ts";
import { type BlobStore, readLeaf } from "../../shared/tree/leaf.ts";
import { EMPTY_ROOT, readTree, type Tree } from "../../shared/tree/root.ts";

export const byAptIndex = groupOf("apt");
export const EMPTY: Tree = { root: EMPTY_ROOT, count: 0, leaves: [] };

/** An entry whose file and text follow from its key and what it `holds`. */
export function entryAt(key: string, holds = "bytes"): Entry {
  const stanza = Buffer.from(`Key: ${key}\nHolds: ${holds}\n\n`);
  return {
    key,
    files: [{ name: "a.deb", sha256: sha256Of(`${key} ${holds}`), sizeBytes: stanza.length }],
    chunks: { Packages: stanza },
  };
}

export function puts(entries: readonly Entry[], replace = false): Delta {
  return { put: entries.map((entry) => ({ entry, replace })), remove: [] };
}

export function removes(keys: readonly string[]): Delta {
  return { put: [], remove: keys };
}

/** Applies deltas one behind the other, reading the tree anew each time as a commit does. */
export async function editedBy(store: BlobStore, deltas: readonly Delta[], from: Tree = EMPTY): Promise<Tree> {
  let tree = from;
  for (const delta of deltas) tree = (await edited(store, tree, delta)).tree;
  return tree;
}

export async function edited(store: BlobStore, tree: Tree, delta: Delta): Promise<Edit> {
  return editTree(store, await readTree(store, tree.root), delta, byAptIndex);
}

export async function entriesIn(store: BlobStore, tree: Tree): Promise<Entry[]> {
  const leaves = await Promise.all(tree.leaves.map((leaf) => readLeaf(store, leaf)));
  return leaves.flat();
}
