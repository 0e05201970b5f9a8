import { compareKeys, type Entry, type Row, rowOf, sameBytes, sameEntry, sameFiles } from "./entry.ts";
import { type BlobStore, LeafCutter, type LeafRef, type LentLeaf, lendLeaf } from "./leaf.ts";
import { LeafWriter } from "./leaf-writer.ts";
import { leafIndexOf, type Tree } from "./root.ts";

/** A change of a tree, and of what commits tell beside it. `replace`: the entry may take the place of other bytes under its key. */
export type Delta = {
  /** `giver`: the binary that it comes from, see `givers.ts`; else it is put for its own sake. */
  readonly put: readonly { readonly entry: Entry; readonly replace: boolean; readonly giver?: string }[];
  readonly remove: readonly string[];
  /** What a binary gives no longer; its row goes with its last giver. */
  readonly leave?: readonly { readonly giver: string; readonly key: string }[];
  /** Rows that stay as they are, from now on for their own sake. */
  readonly own?: readonly string[];
};

export type Refusal = { readonly entry: Entry; readonly held: Row };

export type Edit = {
  readonly tree: Tree;
  readonly refused: readonly Refusal[];
  /** What stood there before, of each key that changed; and what stands there now. */
  readonly removed: readonly Row[];
  readonly added: readonly Row[];
};

/** What an edit changes is known while its leaves are still being stored. */
export type BegunEdit = Omit<Edit, "tree"> & { readonly stored: () => Promise<Tree> };

type Step = { readonly key: string; readonly put?: Delta["put"][number] };

const READ_AHEAD = 4;

const NOTHING: LentLeaf = { entries: [], done() {} };

/**
 * Applies a delta, rewriting only the leaves it touches (and a neighbour, where a cut moves). The result depends on
 * the set of entries alone, never on the order of edits. A few leaves are in memory at a time, however many it touches.
 *
 * Costs a read of each touched leaf and its fragments, a write of each new one, and one of the root.
 */
export async function editTree(
  store: BlobStore,
  tree: Tree,
  delta: Delta,
  groupOf: (key: string) => string,
): Promise<Edit> {
  const { stored, ...changes } = await beginEdit(store, tree, delta, groupOf);
  return { tree: await stored(), ...changes };
}

/** The same, for who has something to do with what changes meanwhile; `stored` is to be awaited. */
export async function beginEdit(
  store: BlobStore,
  tree: Tree,
  delta: Delta,
  groupOf: (key: string) => string,
): Promise<BegunEdit> {
  const notes: Notes = { refused: [], removed: [], added: [] };
  const steps = stepsByLeaf(tree, stepsOf(delta, notes.refused));
  const read = readerAhead(store, tree, [...steps.keys()]);
  const cutter = new LeafCutter(groupOf);
  const writer = new LeafWriter(store);
  const count = Math.max(tree.leaves.length, 1);
  /** Leaves that were read, some of whose entries may wait to be written. */
  const lent: LentLeaf[] = [];
  for (let index = 0; index < count; index += 1) {
    const leaf = tree.leaves[index];
    const leafSteps = steps.get(index) ?? [];
    if (leafSteps.length === 0 && leaf && cutter.pendingGroup() === undefined) {
      writer.take(leaf);
      continue;
    }
    const held = leaf ? await read(index, leaf) : NOTHING;
    lent.push(held);
    for (const [entry, isInner] of merged(held.entries, leafSteps, notes)) {
      for (const ended of cutter.push(entry, isInner)) await writer.write(ended);
    }
    const next = tree.leaves[index + 1];
    if (cutter.pendingGroup() !== undefined && (!next || groupOf(next.first) !== cutter.pendingGroup())) {
      await writer.write(cutter.flush());
    }
    if (cutter.pendingGroup() === undefined) for (const { done } of lent.splice(0)) done();
  }

  return { ...notes, stored: () => writer.end(tree) };
}

function stepsByLeaf(tree: Tree, steps: readonly Step[]): ReadonlyMap<number, readonly Step[]> {
  const byLeaf = new Map<number, Step[]>();
  for (const step of steps) {
    const index = leafIndexOf(tree, step.key);
    const list = byLeaf.get(index);
    if (list) list.push(step);
    else byLeaf.set(index, [step]);
  }
  return byLeaf;
}

/** Reads leaves in their order, a few of those that are wanted before they are asked for. */
function readerAhead(store: BlobStore, tree: Tree, wanted: readonly number[]) {
  const order = [...wanted].sort((a, b) => a - b);
  const ahead = new Map<number, Promise<LentLeaf>>();
  return (index: number, leaf: LeafRef): Promise<LentLeaf> => {
    for (const next of order.splice(0, READ_AHEAD - ahead.size)) {
      const wantedLeaf = tree.leaves[next];
      if (!wantedLeaf) continue;
      const reading = lendLeaf(store, wantedLeaf);
      // What fails is told when its turn comes.
      reading.catch(() => {});
      ahead.set(next, reading);
    }
    const found = ahead.get(index) ?? lendLeaf(store, leaf);
    ahead.delete(index);
    return found;
  };
}

type Notes = { readonly refused: Refusal[]; readonly removed: Row[]; readonly added: Row[] };

/** In the order of keys, the last word on a key winning; a put beats a remove of the same key. */
function stepsOf(delta: Delta, refused: Refusal[]): Step[] {
  const steps = new Map<string, Step>();
  for (const key of delta.remove) steps.set(key, { key });
  for (const put of delta.put) {
    const earlier = steps.get(put.entry.key)?.put;
    if (earlier && !put.replace && !sameFiles(earlier.entry, put.entry)) {
      if (!sameBytes(earlier.entry, put.entry)) refused.push({ entry: put.entry, held: rowOf(earlier.entry) });
    } else {
      steps.set(put.entry.key, { key: put.entry.key, put });
    }
  }
  return [...steps.values()].sort((a, b) => compareKeys(a.key, b.key));
}

/** What a leaf comes to, and of each entry whether it stands within it as it did: no leaf ends there. */
function* merged(
  entries: readonly Entry[],
  steps: readonly Step[],
  notes: Notes,
): Generator<readonly [entry: Entry, isInner: boolean]> {
  const last = entries.length - 1;
  let at = 0;
  for (const step of steps) {
    for (; at < entries.length; at += 1) {
      const entry = entries[at];
      if (!entry || entry.key >= step.key) break;
      yield [entry, at < last];
    }
    const held = entries[at]?.key === step.key ? entries[at] : undefined;
    const isInner = held !== undefined && at < last;
    if (held) at += 1;
    if (!step.put) {
      if (held) notes.removed.push(rowOf(held));
      continue;
    }
    const { entry, replace } = step.put;
    if (held && !replace && !sameFiles(held, entry)) {
      // The same bytes under another file name are there already: the name they came with first stays.
      if (!sameBytes(held, entry)) notes.refused.push({ entry, held: rowOf(held) });
      yield [held, isInner];
    } else if (held && sameEntry(held, entry)) {
      yield [held, isInner];
    } else {
      if (held) notes.removed.push(rowOf(held));
      notes.added.push(entry);
      yield [entry, isInner];
    }
  }
  for (; at < entries.length; at += 1) {
    const entry = entries[at];
    if (entry) yield [entry, at < last];
  }
}
