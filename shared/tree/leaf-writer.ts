import type { Entry } from "./entry.ts";
import { type BlobStore, type LeafRef, type StoredLeaf, storeLeaf } from "./leaf.ts";
import { type Tree, writeRoot } from "./root.ts";

const PARALLEL_WRITES = 4;

/** The leaves of a tree in their order, a few of them still being stored. */
export class LeafWriter {
  readonly #store: BlobStore;
  readonly #leaves: (LeafRef | Promise<LeafRef>)[] = [];
  readonly #stored: Promise<unknown>[] = [];

  constructor(store: BlobStore) {
    this.#store = store;
  }

  /** Waits while as many are being stored as may be in memory. */
  async write(entries: readonly Entry[]): Promise<void> {
    const storing: Promise<StoredLeaf> = storeLeaf(this.#store, entries);
    const leaf = storing.then((one) => one.leaf);
    const stored = storing.then((one) => one.stored);
    // What fails is told when its turn comes.
    leaf.catch(() => {});
    stored.catch(() => {});
    this.#leaves.push(leaf);
    this.#stored.push(stored);
    await this.#stored.at(-PARALLEL_WRITES);
  }

  /** One that is stored already. */
  take(leaf: LeafRef): void {
    this.#leaves.push(leaf);
  }

  /** The tree, all of it stored: `before` where it has the same leaves. Its root goes beside its last leaves: nothing refers to it yet. */
  async end(before?: Tree): Promise<Tree> {
    const leaves = await Promise.all(this.#leaves);
    const isBefore =
      leaves.length === before?.leaves.length &&
      leaves.every(({ sha256 }, index) => sha256 === before.leaves[index]?.sha256);
    const [tree] = await Promise.all([isBefore ? before : writeRoot(this.#store, leaves), ...this.#stored]);
    return tree;
  }
}
