import { compareVersions } from "../apt/version.ts";
import { type Commit, commitAt } from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import type { RepoType } from "../store/keys.ts";
import { diffTrees } from "../tree/diff.ts";
import { describeRow, type PackageRow } from "../tree/layout.ts";
import { readTree } from "../tree/root.ts";
import { compareEvr } from "../yum/version.ts";

export type DiffEntry = PackageRow & { readonly sha256: string };
export type Moved = { readonly from: DiffEntry; readonly to: DiffEntry };

export type Diff = {
  readonly added: readonly DiffEntry[];
  readonly removed: readonly DiffEntry[];
  readonly upgraded: readonly Moved[];
  readonly downgraded: readonly Moved[];
  /** The same version with other bytes. */
  readonly replaced: readonly Moved[];
};

/** A difference that is larger than this is no list for a person any more, and no answer of one request. */
const MOST_CHANGES = 10_000;

/** What a client that goes from one commit to another meets, by the format's own order of versions. */
export async function diffCommits(
  ctx: Context,
  chain: { readonly id: string; readonly name: string; readonly type: RepoType },
  from: number,
  to: number,
): Promise<Diff> {
  const [before, after] = await Promise.all([from, to].map((number) => existing(ctx, chain, number)));
  if (!before || !after) throw new Error("both commits exist");
  const trees = await Promise.all([before, after].map(({ tree }) => readTree(ctx.objects, tree)));
  const [left, right] = trees;
  if (!left || !right) throw new Error("both trees exist");
  const changes: Changes = { gone: new Map(), come: new Map() };
  let count = 0;
  for await (const { before: was, after: is } of diffTrees(ctx.objects, left, right)) {
    count += 1;
    if (count > MOST_CHANGES) {
      throw new AppError("unprocessable", `commits ${from} and ${to} differ in over ${MOST_CHANGES} packages`);
    }
    if (was) collect(changes.gone, entryOf(chain.type, was));
    if (is) collect(changes.come, entryOf(chain.type, is));
  }
  return matched(chain.type, changes);
}

async function existing(ctx: Context, chain: { id: string; name: string }, number: number): Promise<Commit> {
  const commit = await commitAt(ctx, chain.id, number);
  if (!commit) throw new AppError("not_found", `${chain.name} has no commit ${number}`);
  return commit;
}

type Changes = { readonly gone: Map<string, DiffEntry[]>; readonly come: Map<string, DiffEntry[]> };

function entryOf(type: RepoType, row: Parameters<typeof describeRow>[1]): DiffEntry {
  return { ...describeRow(type, row), sha256: row.files[0]?.sha256 ?? "" };
}

/** By what a client upgrades: the same name and architecture in the same place. */
function collect(into: Map<string, DiffEntry[]>, entry: DiffEntry): void {
  const key = JSON.stringify([entry.name, entry.architecture, entry.place]);
  const list = into.get(key);
  if (list) list.push(entry);
  else into.set(key, [entry]);
}

/** What went and what came under one name are matched newest with newest. */
function matched(type: RepoType, { gone, come }: Changes): Diff {
  const order = (a: DiffEntry, b: DiffEntry) => compareIn(type, a, b);
  const diff = { added: [] as DiffEntry[], removed: [] as DiffEntry[], upgraded: [] as Moved[] };
  const downgraded: Moved[] = [];
  const replaced: Moved[] = [];
  for (const key of new Set([...gone.keys(), ...come.keys()])) {
    const olds = (gone.get(key) ?? []).sort(order);
    const news = (come.get(key) ?? []).sort(order);
    while (olds.length > 0 && news.length > 0) {
      const from = olds.pop();
      const to = news.pop();
      if (!from || !to) break;
      const sign = order(from, to);
      (sign < 0 ? diff.upgraded : sign > 0 ? downgraded : replaced).push({ from, to });
    }
    diff.removed.push(...olds);
    diff.added.push(...news);
  }
  return { ...diff, downgraded, replaced };
}

function compareIn(type: RepoType, a: DiffEntry, b: DiffEntry): number {
  switch (type) {
    case "apt":
      return compareVersions(a.version, b.version);
    case "yum":
      return compareEvr(evrOf(a), evrOf(b));
    case "dir":
      return 0;
    default:
      return type satisfies never;
  }
}

function evrOf(entry: DiffEntry) {
  return { epoch: entry.epoch ?? 0, version: entry.version, release: entry.release ?? "" };
}
