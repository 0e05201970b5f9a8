import type { Entry } from "./entry.ts";
import { type BlobStore, type LeafRef, writeLeaf } from "./leaf.ts";

const PARALLEL_WRITES = 4;

/** The leaves of a tree in their order, a few of them still being stored. */
export class LeafWriter {
  readonly #store: BlobStore;
  readonly #leaves: (LeafRef | Promise<LeafRef>)[] = [];
  readonly #written: Promise<LeafRef>[] = [];

  constructor(store: BlobStore) {
    this.#store = store;
  }

  /** Waits while as many are being stored as may be in memory. */
  async write(entries: readonly Entry[]): Promise<void> {
    const leaf = writeLeaf(this.#store, entries);
    // What fails is told when its turn comes.
    leaf.catch(() => {});
    this.#leaves.push(leaf);
    this.#written.push(leaf);
    await this.#written.at(-PARALLEL_WRITES);
  }

  /** One that is stored already. */
  take(leaf: LeafRef): void {
    this.#leaves.push(leaf);
  }

  end(): Promise<LeafRef[]> {
    return Promise.all(this.#leaves);
  }
}
