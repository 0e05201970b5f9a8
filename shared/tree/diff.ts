import { compareKeys, type Row, sameFiles } from "./entry.ts";
import { type BlobStore, type LeafRef, readRows } from "./leaf.ts";
import type { Tree } from "./root.ts";

/** A key whose row is another in the second tree; undefined where a tree has none. */
export type RowChange = { readonly key: string; readonly before: Row | undefined; readonly after: Row | undefined };

/**
 * What differs between two trees, in the order of keys. Leaves that both have are never read: the cost is that of the
 * difference, not of the trees. Reads each differing leaf once.
 */
export async function* diffTrees(store: BlobStore, before: Tree, after: Tree): AsyncGenerator<RowChange> {
  const shared = new Set(before.leaves.map(({ sha256 }) => sha256));
  const kept = new Set(after.leaves.map(({ sha256 }) => sha256).filter((sha256) => shared.has(sha256)));
  const lefts = rowsOf(store, before, kept);
  const rights = rowsOf(store, after, kept);
  let left = await next(lefts);
  let right = await next(rights);
  while (left || right) {
    const order = !left ? 1 : !right ? -1 : compareKeys(left.key, right.key);
    if (order < 0 && left) {
      yield { key: left.key, before: left, after: undefined };
      left = await next(lefts);
    } else if (order > 0 && right) {
      yield { key: right.key, before: undefined, after: right };
      right = await next(rights);
    } else if (left && right) {
      if (!sameFiles(left, right)) yield { key: left.key, before: left, after: right };
      left = await next(lefts);
      right = await next(rights);
    }
  }
}

async function* rowsOf(store: BlobStore, tree: Tree, kept: ReadonlySet<string>): AsyncGenerator<Row> {
  for (const leaf of tree.leaves.filter(({ sha256 }: LeafRef) => !kept.has(sha256))) yield* await readRows(store, leaf);
}

async function next(rows: AsyncGenerator<Row>): Promise<Row | undefined> {
  const { value, done } = await rows.next();
  return done ? undefined : value;
}
