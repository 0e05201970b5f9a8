import type { Sha256 } from "../blob.ts";
import { editTree } from "./edit.ts";
import type { Entry, Row } from "./entry.ts";
import { type BlobStore, readRows } from "./leaf.ts";
import { leafIndexOf, type Tree } from "./root.ts";

/**
 * The index of a tree by what it holds: a tree of its own whose keys are `SHA256/KEY`. It answers which rows hold a file, lists
 * a tree in the order of its hashes, and like its tree depends on the set of rows alone.
 */
export const everything = () => "";

/** Brings the index after an edit of its tree. Costs what an edit costs. */
export async function editHashes(
  store: BlobStore,
  hashes: Tree,
  { removed, added }: { removed: readonly Row[]; added: readonly Row[] },
): Promise<Tree> {
  if (removed.length === 0 && added.length === 0) return hashes;
  const put = added.flatMap(rowsByHash).map((entry) => ({ entry, replace: true }));
  const remove = removed.flatMap(rowsByHash).map(({ key }) => key);
  return (await editTree(store, hashes, { put, remove }, everything)).tree;
}

/** The rows of the index for one row of its tree. */
export function rowsByHash({ key, files }: Row): Entry[] {
  return files.map((file) => ({ key: `${file.sha256}/${key}`, files: [file], chunks: {} }));
}

/**
 * The rows of the indexed tree that hold a file; of each only that file. One read of a leaf as a rule, which an edit by the same process
 * need not read again.
 */
export async function rowsHolding(store: BlobStore, hashes: Tree, sha256: Sha256): Promise<Row[]> {
  const prefix = `${sha256}/`;
  const found: Row[] = [];
  for (let index = leafIndexOf(hashes, prefix); index < hashes.leaves.length; index += 1) {
    const leaf = hashes.leaves[index];
    if (!leaf || leaf.first.slice(0, prefix.length) > prefix) break;
    for (const row of await readRows(store, leaf, { isAskedAgain: true })) {
      if (row.key.startsWith(prefix)) found.push({ ...row, key: row.key.slice(prefix.length) });
    }
  }
  return found;
}

/** A row of the index, taken apart. */
export function hashedRow(row: Row): { sha256: string; row: Row } {
  const at = row.key.indexOf("/");
  return { sha256: row.key.slice(0, at), row: { ...row, key: row.key.slice(at + 1) } };
}
