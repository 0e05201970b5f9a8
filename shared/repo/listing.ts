import { parseSha256, type Sha256 } from "../blob.ts";
import type { Commit } from "../commit.ts";
import type { Context } from "../context.ts";
import type { RepoType } from "../store/keys.ts";
import type { Row } from "../tree/entry.ts";
import { hashedRow } from "../tree/hashes.ts";
import { describeRow, type PackageRow, type Place, SOURCE } from "../tree/layout.ts";
import { type LeafRef, readRows } from "../tree/leaf.ts";
import { leafIndexOf, readTree } from "../tree/root.ts";

/** A package of a repo or an upstream, with every place it has there. */
export type Listed = Omit<PackageRow, "place"> & { readonly sha256: Sha256; readonly places: readonly Place[] };

/** A source package is listed once, by its .dsc; the other files of its row belong to it. */
export function standsForRow(row: Pick<PackageRow, "architecture" | "filename">): boolean {
  return row.architecture !== SOURCE || row.filename.endsWith(".dsc");
}

/** In an index by hash the first key behind all rows of a file: `0` follows `/`. */
export function behind(sha256: Sha256): string {
  return `${sha256}0`;
}

/** A listing that looks for something ends its page after so many leaves (some 200,000 rows), found or not. */
const MOST_LEAVES = 400;
const READ_AHEAD = 8;

/**
 * The packages of a commit in the order of their hashes, behind `after`, each with all its places. Reads the index by hash leaf
 * by leaf, a few ahead: memory does not grow with the repository.
 */
export async function* listedPackages(
  ctx: Context,
  type: RepoType,
  commit: Pick<Commit, "hashes">,
  after?: Sha256,
): AsyncGenerator<Listed> {
  yield* packagesOf(type, rowsIn(ctx, await leavesBehind(ctx, commit, after)), after);
}

export type PageTerms = {
  readonly after?: Sha256 | undefined;
  readonly most: number;
  readonly wanted: (listed: Listed) => boolean;
  readonly mostLeaves?: number;
};

export type ListedPage = {
  readonly packages: readonly Listed[];
  /** Another page continues behind it; undefined at the end. */
  readonly next: Sha256 | undefined;
};

/**
 * One page of what `wanted` takes, behind `after`. Where little is wanted a page may end before it is full, even empty, so that
 * no page costs more than a bounded number of reads.
 */
export async function pageOfPackages(
  ctx: Context,
  type: RepoType,
  commit: Pick<Commit, "hashes">,
  { after, most, wanted, mostLeaves = MOST_LEAVES }: PageTerms,
): Promise<ListedPage> {
  const tree = await readTree(ctx.objects, commit.hashes);
  const start = after === undefined ? 0 : leafIndexOf(tree, behind(after));
  const leaves = tree.leaves.slice(start, start + mostLeaves);
  const more = start + leaves.length < tree.leaves.length;
  const packages: Listed[] = [];
  let last: Listed | undefined;
  let before: Sha256 | undefined;
  for await (const listed of packagesOf(type, rowsIn(ctx, leaves), after)) {
    if (last && wanted(last)) {
      if (packages.length === most) return { packages, next: packages.at(-1)?.sha256 };
      packages.push(last);
    }
    before = last?.sha256;
    last = listed;
  }
  // Further places of the last one may lie in the leaves that were not read: then it begins the next page.
  if (more && before !== undefined) return { packages, next: before };
  if (last && wanted(last)) {
    if (packages.length === most) return { packages, next: packages.at(-1)?.sha256 };
    packages.push(last);
  }
  return { packages, next: more ? last?.sha256 : undefined };
}

async function leavesBehind(ctx: Context, { hashes }: Pick<Commit, "hashes">, after: Sha256 | undefined) {
  const tree = await readTree(ctx.objects, hashes);
  return after === undefined ? tree.leaves : tree.leaves.slice(leafIndexOf(tree, behind(after)));
}

async function* rowsIn(ctx: Context, leaves: readonly LeafRef[]): AsyncGenerator<Row> {
  const reading: Promise<readonly Row[]>[] = [];
  const waiting = [...leaves];
  for (;;) {
    while (reading.length < READ_AHEAD) {
      const leaf = waiting.shift();
      if (!leaf) break;
      const rows = readRows(ctx.objects, leaf);
      // Should nobody come for it any more, its failure is nobody's.
      rows.catch(() => {});
      reading.push(rows);
    }
    const rows = reading.shift();
    if (!rows) return;
    yield* await rows;
  }
}

async function* packagesOf(
  type: RepoType,
  rows: AsyncIterable<Row>,
  after: Sha256 | undefined,
): AsyncGenerator<Listed> {
  let current: { listed: Listed; places: Place[] } | undefined;
  for await (const found of rows) {
    const { sha256, row } = hashedRow(found);
    if (after !== undefined && sha256 <= after) continue;
    const { place, ...described } = describeRow(type, row);
    if (!standsForRow(described)) continue;
    if (current?.listed.sha256 === sha256) {
      if (place !== undefined) current.places.push(place);
      continue;
    }
    if (current) yield current.listed;
    const places: Place[] = place === undefined ? [] : [place];
    current = { listed: { ...described, sha256: parseSha256(sha256), places }, places };
  }
  if (current) yield current.listed;
}
