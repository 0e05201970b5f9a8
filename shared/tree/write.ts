import type { Entry } from "./entry.ts";
import { type BlobStore, LeafCutter, type LeafRef, writeLeaf } from "./leaf.ts";
import { type Tree, writeRoot } from "./root.ts";

const PARALLEL_LEAVES = 4;

/**
 * Writes the tree of entries that come in the order of their keys, each key once: the same that edits would come to. A few leaves
 * are in memory at a time, however many there are.
 *
 * Costs a write of each leaf and its fragments, and one of the root.
 */
export async function writeTree(
  store: BlobStore,
  entries: AsyncIterable<Entry>,
  groupOf: (key: string) => string,
): Promise<Tree> {
  const cutter = new LeafCutter(groupOf);
  const leaves: LeafRef[] = [];
  const writing = new Set<Promise<void>>();
  const write = async (ended: readonly Entry[][]) => {
    for (const leaf of ended) {
      if (leaf.length === 0) continue;
      const index = leaves.length;
      // Holds its place: leaves are in the order of their keys, in whatever order they are stored.
      leaves.push({ first: leaf[0]?.key ?? "", count: leaf.length, sha256: PENDING, fragments: {} });
      const one: Promise<void> = writeLeaf(store, leaf).then((written) => {
        leaves[index] = written;
        writing.delete(one);
      });
      // What fails while the next entries are awaited is told by the race behind, or at the end.
      one.catch(() => {});
      writing.add(one);
      if (writing.size >= PARALLEL_LEAVES) await Promise.race(writing);
    }
  };
  let last: string | undefined;
  try {
    for await (const entry of entries) {
      if (last !== undefined && entry.key <= last) throw new Error(`${entry.key} comes behind ${last}`);
      last = entry.key;
      const ended = cutter.push(entry);
      if (ended.length > 0) await write(ended);
    }
    await write([cutter.flush()]);
  } finally {
    await Promise.all(writing);
  }
  return writeRoot(store, leaves);
}

const PENDING = "" as LeafRef["sha256"];
