import { compareKeys, type Entry, type Row } from "./entry.ts";
import { type BlobStore, LeafCutter, type LeafRef, readLeaf } from "./leaf.ts";
import { LeafWriter } from "./leaf-writer.ts";
import type { Tree } from "./root.ts";

export type MergeTerms = {
  readonly groupOf: (key: string) => string;
  /** Told of each key that several trees have, unless all have it in one leaf: its rows in the order of the trees. */
  readonly meet?: (rows: readonly Row[]) => void;
  /** Keys that are left out, sorted. */
  readonly without?: readonly string[];
};

/**
 * The tree of all keys that any of these has; of a key that several have, the row of the first. What it comes to is what edits
 * would come to. Goes through the trees side by side in the order of keys: a leaf that overlaps with no other tree, or that
 * they share, is taken as it is and never read. In memory is a leaf of each tree.
 *
 * Costs a read of each leaf that overlaps, with its fragments, a write of each new one, and one of the root.
 */
export async function mergeTrees(store: BlobStore, trees: readonly Tree[], terms: MergeTerms): Promise<Tree> {
  const { groupOf, meet, without = [] } = terms;
  const cursors = trees.map((tree) => new Cursor(store, tree));
  const cutter = new LeafCutter(groupOf);
  const writer = new LeafWriter(store);
  let dropped = 0;
  for (;;) {
    const key = smallestKey(cursors);
    if (key === undefined) break;
    const pending = cutter.pendingGroup();
    if (pending !== undefined && pending !== groupOf(key)) await writer.write(cutter.flush());
    while ((without[dropped] ?? key) < key) dropped += 1;
    if (cutter.pendingGroup() === undefined) {
      const taken = wholeLeaf(cursors, key, groupOf, without[dropped]);
      if (taken) {
        writer.take(taken);
        continue;
      }
    }
    const rows: Entry[] = [];
    for (const cursor of cursors) {
      if (cursor.key === key) rows.push(await cursor.pull());
    }
    if (rows.length > 1) meet?.(rows);
    const [first] = rows;
    if (!first || without[dropped] === key) continue;
    for (const leaf of cutter.push(first)) await writer.write(leaf);
  }
  if (cutter.pendingGroup() !== undefined) await writer.write(cutter.flush());
  return writer.end();
}

function smallestKey(cursors: readonly Cursor[]): string | undefined {
  return cursors
    .flatMap(({ key }) => key ?? [])
    .sort(compareKeys)
    .at(0);
}

/**
 * The leaf that begins with `key` as all who are there have it, if it ends in the merged tree where it ends in its own, and
 * nothing comes between; they have passed it then.
 */
function wholeLeaf(
  cursors: readonly Cursor[],
  key: string,
  groupOf: (key: string) => string,
  nextWithout: string | undefined,
): LeafRef | undefined {
  const here = cursors.filter((cursor) => cursor.key === key);
  const leaf = here[0]?.wholeLeaf;
  if (!leaf || here.some((cursor) => cursor.wholeLeaf?.sha256 !== leaf.sha256)) return undefined;
  const group = groupOf(key);
  // Where a leaf of its group follows it, it was cut by what is in it, and ends before that leaf begins.
  const ends = here.flatMap(({ nextLeaf }) => (nextLeaf && groupOf(nextLeaf.first) === group ? [nextLeaf.first] : []));
  const end = ends.sort(compareKeys).at(0);
  const isBehind = (other: string | undefined) =>
    other === undefined || groupOf(other) !== group || (end !== undefined && other >= end);
  const others = cursors.filter((cursor) => cursor.key !== key);
  if (!others.every((cursor) => isBehind(cursor.key)) || !isBehind(nextWithout)) return undefined;
  for (const cursor of here) cursor.passLeaf();
  return leaf;
}

/** Where the merge stands in one tree; a leaf is read when its first row is asked for. */
class Cursor {
  readonly #store: BlobStore;
  readonly #leaves: readonly LeafRef[];
  #at = 0;
  /** The rows of the leaf that it stands in, once it was read, and which is next. */
  #entries: readonly Entry[] = [];
  #next = 0;

  constructor(store: BlobStore, { leaves }: Tree) {
    this.#store = store;
    this.#leaves = leaves;
  }

  /** Of the next row; undefined at the end. */
  get key(): string | undefined {
    return this.#entries[this.#next]?.key ?? this.wholeLeaf?.first;
  }

  /** The leaf that the next row begins. */
  get wholeLeaf(): LeafRef | undefined {
    return this.#entries.length === 0 ? this.#leaves[this.#at] : undefined;
  }

  get nextLeaf(): LeafRef | undefined {
    return this.#leaves[this.#at + 1];
  }

  passLeaf(): void {
    this.#at += 1;
  }

  async pull(): Promise<Entry> {
    const leaf = this.#leaves[this.#at];
    if (this.#entries.length === 0 && leaf) this.#entries = await readLeaf(this.#store, leaf);
    const entry = this.#entries[this.#next];
    if (!entry) throw new Error("a tree was read behind its end");
    this.#next += 1;
    if (this.#next === this.#entries.length) {
      this.#entries = [];
      this.#next = 0;
      this.#at += 1;
    }
    return entry;
  }
}
