import pMap from "p-map";
import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import type { RepoType } from "../store/keys.ts";
import { type Entry, segmentsOf } from "../tree/entry.ts";
import { hashedRow } from "../tree/hashes.ts";
import { aptKey, describeRow, dirKey, type Place, SUMS, yumKey } from "../tree/layout.ts";
import { readLeaf, readRows } from "../tree/leaf.ts";
import { leafIndexOf, readTree, type Tree } from "../tree/root.ts";
import { everyHead } from "./heads.ts";
import { standsForRow } from "./listing.ts";

/** What is looked for; where a file name is told, under that one. */
export type Sought = { readonly sha256: Sha256; readonly filename?: string | undefined };

const PARALLEL = 8;
/** Of so many the rows found are held for one tree at a time. */
const MANY = 1000;

/**
 * The entries that heads of one type hold of some packages, whole, by hash; of several heads the first that has it, by `everyHead`.
 *
 * Costs what the heads cost; of each distinct tree its two roots, of its index by hash the leaves that a wanted hash falls into,
 * and of the tree itself each leaf that holds one, once. In memory are a few leaves and what was found.
 */
export async function entriesInTrees(
  ctx: Context,
  type: RepoType,
  sought: readonly Sought[],
): Promise<Map<string, Entry>> {
  const found = new Map<string, Entry>();
  const roots = new Set<string>();
  let open = [...sought].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
  for await (const heads of everyHead(ctx, type)) {
    const fresh = heads.filter(({ head }) => head.count > 0 && !roots.has(head.hashes) && roots.add(head.hashes));
    const concurrency = open.length > MANY ? 1 : PARALLEL;
    await pMap(
      fresh,
      async ({ head }) => {
        if (open.length === 0) return;
        const keys = await keysIn(ctx, type, await readTree(ctx.objects, head.hashes), open);
        const wanted = new Map(
          [...keys].filter(([sha256]) => !found.has(sha256)).map(([sha256, key]) => [key, sha256]),
        );
        if (wanted.size === 0) return;
        await collect(ctx, await readTree(ctx.objects, head.tree), wanted, found);
        open = open.filter(({ sha256 }) => !found.has(sha256));
      },
      { concurrency },
    );
    if (open.length === 0) return found;
  }
  return found;
}

/** A merge of the sorted hashes with the leaves: of each hash that is there, the key of its first row that fits. */
async function keysIn(
  ctx: Context,
  type: RepoType,
  hashes: Tree,
  sorted: readonly Sought[],
): Promise<Map<string, string>> {
  const keys = new Map<string, string>();
  const names = new Map<string, string | undefined>(sorted.map(({ sha256, filename }) => [sha256, filename]));
  let low = 0;
  let high = 0;
  for (const [index, leaf] of hashes.leaves.entries()) {
    const next = hashes.leaves[index + 1]?.first;
    // The rows of one hash may begin in the leaf before, and go on in the next.
    while (low < sorted.length && `${sorted[low]?.sha256}0` <= leaf.first) low += 1;
    while (high < sorted.length && (next === undefined || `${sorted[high]?.sha256}/` < next)) high += 1;
    if (low >= high) continue;
    for (const one of await readRows(ctx.objects, leaf)) {
      const { sha256, row } = hashedRow(one);
      if (!names.has(sha256) || keys.has(sha256)) continue;
      const { architecture, filename } = describeRow(type, row);
      const asked = names.get(sha256);
      if (!standsForRow({ architecture, filename }) || (asked !== undefined && asked !== filename)) continue;
      keys.set(sha256, row.key);
    }
  }
  return keys;
}

/** Each leaf that has one of the keys is read once; what is taken is copied, so that the rest of its leaf is let go. */
async function collect(
  ctx: Context,
  tree: Tree,
  wanted: ReadonlyMap<string, string>,
  found: Map<string, Entry>,
): Promise<void> {
  const indexes = new Set([...wanted.keys()].map((key) => leafIndexOf(tree, key)));
  for (const index of [...indexes].sort((a, b) => a - b)) {
    const leaf = tree.leaves[index];
    if (!leaf) continue;
    for (const entry of await readLeaf(ctx.objects, leaf)) {
      const sha256 = wanted.get(entry.key);
      if (sha256 === undefined || found.has(sha256)) continue;
      const chunks = Object.entries(entry.chunks).map(([kind, chunk]) => [kind, Buffer.from(chunk)]);
      found.set(sha256, { ...entry, chunks: Object.fromEntries(chunks) });
    }
  }
}

/** The entry as a repo holds it in a place: its key and, in a plain directory, its name are the place's; all else stays. */
export function placedEntry(type: RepoType, entry: Entry, place: Place | undefined): Entry {
  const row = describeRow(type, entry);
  switch (type) {
    case "apt":
      if (place === undefined || typeof place === "string")
        throw new Error("an apt entry needs a suite and a component");
      return { ...entry, key: aptKey(place, row.architecture, row.name, row.version) };
    case "yum":
      return { ...entry, key: yumKey({ ...row, epoch: row.epoch ?? 0, release: row.release ?? "" }) };
    case "dir":
      return renamed(entry, typeof place === "string" ? place : segmentsOf(entry.key).join("/"));
    default:
      return type satisfies never;
  }
}

function renamed(entry: Entry, path: string): Entry {
  const files = entry.files.map((file) => ({ ...file, name: path }));
  const sums = files.map(({ sha256 }) => `${sha256}  ${path}\n`).join("");
  return { key: dirKey(path), files, chunks: { [SUMS]: Buffer.from(sums) } };
}
