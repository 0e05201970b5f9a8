import type { Sha256 } from "../blob.ts";
import type { Delta, Edit, Refusal } from "./edit.ts";
import { editTree } from "./edit.ts";
import { type Entry, type Row, sameBytes } from "./entry.ts";
import { everything } from "./hashes.ts";
import { type BlobStore, readRows } from "./leaf.ts";
import { EMPTY_ROOT, leafIndexOf, readTree, type Tree } from "./root.ts";

/**
 * Which binaries gave which rows of a tree: a tree of its own beside it, named by the same commit, so that the two cannot
 * disagree. A row that no binary gave (put by hash, taken over from another head, rolled back to) is not in it, and no binary
 * takes it away. Keys are `g/BINARY#ROW` and `k/ROW#BINARY`: neither part has a `#`.
 */
export type Gift = {
  /** The path of the binary in the discovery tree. */
  readonly giver: string;
  /** Of the row. */
  readonly key: string;
  /** What the binary named when it gave it. */
  readonly sha256: Sha256;
};

type Given = Pick<Gift, "giver" | "key">;

/** Greater than any sign of a key. */
const LAST = "\x7f";

/** What some binaries gave. Costs a read of the root, and of each leaf that one of them lies in. */
export async function giftsOf(
  store: BlobStore,
  root: Sha256 | undefined,
  givers: Iterable<string>,
): Promise<readonly Gift[]> {
  const wanted = new Set(givers);
  const rows = await rowsUnder(
    store,
    await readTree(store, root ?? EMPTY_ROOT),
    [...wanted].map((giver) => `g/${giver}#`),
  );
  return rows
    .filter(isByGiver)
    .map(giftOf)
    .filter(({ giver }) => wanted.has(giver));
}

/** What a binary of that path gave, or all binaries below a level of it. */
export async function giftsBelow(store: BlobStore, root: Sha256 | undefined, path: string): Promise<readonly Gift[]> {
  const prefixes = [`g/${path}#`, `g/${path}/`];
  const rows = await rowsUnder(store, await readTree(store, root ?? EMPTY_ROOT), prefixes);
  return rows.filter(({ key }) => prefixes.some((prefix) => key.startsWith(prefix))).map(giftOf);
}

/** A delta with what follows from its givers, and what becomes of them when the tree was edited. */
export type GiversEdit = {
  readonly delta: Delta;
  after(edit: Omit<Edit, "tree">): Promise<Tree>;
};

/**
 * Makes ready an edit of a tree and of its givers. A row that its last giver leaves is removed; what takes its place is no
 * conflict. Where nothing is given, nothing is read.
 */
export async function readyGivers(store: BlobStore, root: Sha256 | undefined, delta: Delta): Promise<GiversEdit> {
  const before = await readTree(store, root ?? EMPTY_ROOT);
  const { put, remove, leave = [], own = [] } = delta;
  if (before.count === 0 && put.every(({ giver }) => giver === undefined)) {
    return { delta, after: async () => before };
  }
  const touched = new Set([...put.map(({ entry }) => entry.key), ...remove, ...leave.map(({ key }) => key), ...own]);
  const given = await giversByKey(store, before, touched);
  const left = new Map([...given].map(([key, givers]) => [key, new Set(givers)]));
  for (const { key, giver } of leave) left.get(key)?.delete(giver);
  const orphans = [...given.keys()].filter((key) => left.get(key)?.size === 0);
  const going = new Set([...remove, ...orphans]);
  return {
    delta: {
      put: put.map((one) => (going.has(one.entry.key) ? { ...one, replace: true } : one)),
      remove: [...going],
    },
    after: (edit) => {
      const next = giversAfter(edit, { delta, given, left, touched });
      return write(store, before, given, next);
    },
  };
}

/** What is still given when a tree took another's place, by any way: rows that are as they were. */
export async function keptGivers(
  store: BlobStore,
  root: Sha256 | undefined,
  changed: AsyncIterable<{ readonly key: string }>,
): Promise<Sha256 | undefined> {
  if (root === undefined) return undefined;
  const own: string[] = [];
  for await (const { key } of changed) own.push(key);
  const ready = await readyGivers(store, root, { put: [], remove: [], own });
  return (await ready.after({ refused: [], removed: [], added: [] })).root;
}

type Known = {
  readonly delta: Delta;
  readonly given: ReadonlyMap<string, ReadonlySet<string>>;
  readonly left: ReadonlyMap<string, ReadonlySet<string>>;
  readonly touched: ReadonlySet<string>;
};

/** Of each touched key its givers, with what each named; an absent hash stands for one that is written already. */
function giversAfter(
  { refused, removed, added }: Omit<Edit, "tree">,
  { delta, given, left, touched }: Known,
): Map<string, Map<string, Sha256 | undefined>> {
  const lost = new Set<Refusal["entry"]>(refused.map(({ entry }) => entry));
  const puts = new Map<string, { entry: Entry; giver: string | undefined }[]>();
  for (const { entry, giver } of delta.put) {
    if (!lost.has(entry)) puts.set(entry.key, [...(puts.get(entry.key) ?? []), { entry, giver }]);
  }
  const were = new Map<string, Row>(removed.map((row) => [row.key, row]));
  const are = new Map<string, Row>(added.map((row) => [row.key, row]));
  const own = new Set(delta.own);
  const after = new Map<string, Map<string, Sha256 | undefined>>();
  for (const key of touched) {
    const [row, was] = [are.get(key), were.get(key)];
    const isGone = was !== undefined && row === undefined;
    const isFresh = row !== undefined && !(was && sameBytes(row, was));
    const landed = (puts.get(key) ?? []).filter(({ entry }) => row === undefined || sameBytes(entry, row));
    const givers = new Map<string, Sha256 | undefined>();
    // What lay there already, and nobody's, stays nobody's: whoever put it wants it whatever becomes of the binary.
    const isGiven = isFresh || (!isGone && given.has(key));
    if (isGiven && !own.has(key) && landed.every(({ giver }) => giver !== undefined)) {
      if (!isFresh) for (const giver of left.get(key) ?? []) givers.set(giver, undefined);
      for (const { entry, giver } of landed) if (giver !== undefined) givers.set(giver, entry.files[0]?.sha256);
    }
    after.set(key, givers);
  }
  return after;
}

async function write(
  store: BlobStore,
  before: Tree,
  given: ReadonlyMap<string, ReadonlySet<string>>,
  after: ReadonlyMap<string, ReadonlyMap<string, Sha256 | undefined>>,
): Promise<Tree> {
  const put: Entry[] = [];
  const remove: string[] = [];
  for (const [key, givers] of after) {
    for (const giver of given.get(key) ?? []) {
      if (!givers.has(giver)) remove.push(...keysOf({ giver, key }));
    }
    for (const [giver, sha256] of givers) {
      if (sha256 === undefined) continue;
      const [byGiver, byKey] = keysOf({ giver, key });
      put.push({ key: byGiver, files: [{ name: "", sha256, sizeBytes: 0 }], chunks: {} });
      put.push({ key: byKey, files: [], chunks: {} });
    }
  }
  if (put.length === 0 && remove.length === 0) return before;
  const replacing = put.map((entry) => ({ entry, replace: true }));
  return (await editTree(store, before, { put: replacing, remove }, everything)).tree;
}

async function giversByKey(store: BlobStore, tree: Tree, keys: ReadonlySet<string>): Promise<Map<string, Set<string>>> {
  const rows = await rowsUnder(
    store,
    tree,
    [...keys].map((key) => `k/${key}#`),
  );
  const found = new Map<string, Set<string>>();
  for (const row of rows) {
    const { first: key, second: giver } = parts(row.key);
    if (!row.key.startsWith("k/") || !keys.has(key)) continue;
    found.set(key, (found.get(key) ?? new Set()).add(giver));
  }
  return found;
}

/** The rows of every leaf that one of the prefixes may lie in, each leaf read once. */
async function rowsUnder(store: BlobStore, tree: Tree, prefixes: readonly string[]): Promise<Row[]> {
  const indexes = new Set<number>();
  for (const prefix of prefixes) {
    for (let index = leafIndexOf(tree, prefix); index < tree.leaves.length; index += 1) {
      if ((tree.leaves[index]?.first ?? "") > prefix + LAST) break;
      indexes.add(index);
    }
  }
  const rows: Row[] = [];
  for (const index of [...indexes].sort((a, b) => a - b)) {
    const leaf = tree.leaves[index];
    if (leaf) rows.push(...(await readRows(store, leaf)));
  }
  return rows;
}

function keysOf({ giver, key }: Given): [byGiver: string, byKey: string] {
  return [`g/${giver}#${key}`, `k/${key}#${giver}`];
}

function isByGiver({ key }: Row): boolean {
  return key.startsWith("g/");
}

function giftOf({ key: gift, files }: Row): Gift {
  const { first: giver, second: key } = parts(gift);
  const [file] = files;
  if (!file) throw new Error(`${gift} does not tell what was given`);
  return { giver, key, sha256: file.sha256 };
}

function parts(key: string): { first: string; second: string } {
  const at = key.indexOf("#");
  return { first: key.slice(2, at), second: key.slice(at + 1) };
}
