import type { Entry } from "./entry.ts";
import { type BlobStore, LeafCutter, type LeafRef, writeLeaf } from "./leaf.ts";
import { type Tree, writeRoot } from "./root.ts";

/** So many wait for the store together, but for what is in memory of them. */
const PARALLEL_LEAVES = 12;
const PARALLEL_BYTES = 16 * 1024 * 1024;

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
  const leaves: Promise<LeafRef>[] = [];
  const writing = new Set<Promise<LeafRef>>();
  let writingBytes = 0;
  const write = async (ended: readonly Entry[][]) => {
    for (const leaf of ended) {
      if (leaf.length === 0) continue;
      const bytes = textBytesOf(leaf);
      const one = writeLeaf(store, leaf).then((written) => {
        writing.delete(one);
        writingBytes -= bytes;
        return written;
      });
      // What fails stays among them: it is told by the race, or at the end.
      one.catch(() => {});
      leaves.push(one);
      writing.add(one);
      writingBytes += bytes;
      while (writing.size >= PARALLEL_LEAVES || (writing.size > 0 && writingBytes > PARALLEL_BYTES)) {
        await Promise.race(writing);
      }
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
  return writeRoot(store, await Promise.all(leaves));
}

function textBytesOf(leaf: readonly Entry[]): number {
  let bytes = 0;
  for (const { chunks } of leaf) for (const kind in chunks) bytes += chunks[kind]?.length ?? 0;
  return bytes;
}
