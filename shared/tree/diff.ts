import { compareKeys, type Row, sameFiles } from "./entry.ts";
import { type BlobStore, type LeafRef, readRows } from "./leaf.ts";
import type { Tree } from "./root.ts";

/** A key whose row is another in the second tree; undefined where a tree has none. */
export type RowChange = { readonly key: string; readonly before: Row | undefined; readonly after: Row | undefined };

/** Of each tree, so that a difference in many places is not as many waits. */
const READ_AHEAD = 4;

/**
 * What differs between two trees, in the order of keys. Leaves that both have are never read: the cost is that of the
 * difference, not of the trees. Reads each differing leaf once, some ahead.
 */
export async function* diffTrees(store: BlobStore, before: Tree, after: Tree): AsyncGenerator<RowChange> {
  const shared = new Set(before.leaves.map(({ sha256 }) => sha256));
  const kept = new Set(after.leaves.map(({ sha256 }) => sha256).filter((sha256) => shared.has(sha256)));
  const differing = ({ leaves }: Tree) => leaves.filter(({ sha256 }) => !kept.has(sha256));
  const lefts = new RowReader(store, differing(before));
  const rights = new RowReader(store, differing(after));
  for (;;) {
    const left = lefts.row ?? (await lefts.nextLeaf());
    const right = rights.row ?? (await rights.nextLeaf());
    if (!left && !right) return;
    const order = !left ? 1 : !right ? -1 : compareKeys(left.key, right.key);
    if (order < 0 && left) yield { key: left.key, before: left, after: undefined };
    else if (order > 0 && right) yield { key: right.key, before: undefined, after: right };
    else if (left && right && !sameFiles(left, right)) yield { key: left.key, before: left, after: right };
    if (order <= 0) lefts.pass();
    if (order >= 0) rights.pass();
  }
}

/** The rows of leaves, one after the other. */
class RowReader {
  readonly #store: BlobStore;
  readonly #leaves: LeafRef[];
  readonly #reading: Promise<readonly Row[]>[] = [];
  #rows: readonly Row[] = [];
  #place = 0;

  constructor(store: BlobStore, leaves: readonly LeafRef[]) {
    this.#store = store;
    this.#leaves = [...leaves];
    this.#readAhead();
  }

  /** Undefined where the next leaf has to be waited for. */
  get row(): Row | undefined {
    return this.#rows[this.#place];
  }

  pass(): void {
    this.#place += 1;
  }

  /** The first row of the next leaf; undefined behind the last one. */
  async nextLeaf(): Promise<Row | undefined> {
    for (let next = this.#reading.shift(); next !== undefined; next = this.#reading.shift()) {
      this.#readAhead();
      this.#rows = await next;
      this.#place = 0;
      if (this.row) return this.row;
    }
    return undefined;
  }

  #readAhead(): void {
    while (this.#reading.length < READ_AHEAD) {
      const leaf = this.#leaves.shift();
      if (!leaf) return;
      const rows = readRows(this.#store, leaf);
      // Whoever comes to it is told; who ends before need not be.
      rows.catch(() => undefined);
      this.#reading.push(rows);
    }
  }
}
