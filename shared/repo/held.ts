import pMap from "p-map";
import type { Sha256 } from "../blob.ts";
import type { Commit } from "../commit.ts";
import type { Context } from "../context.ts";
import type { RepoType } from "../store/keys.ts";
import { hashedRow, rowsHolding } from "../tree/hashes.ts";
import { describeRow, type PackageRow } from "../tree/layout.ts";
import { readRows } from "../tree/leaf.ts";
import { readTree } from "../tree/root.ts";
import { standsForRow } from "./listing.ts";

/** A row of a repo, by the package it stands for. */
export type HeldRow = PackageRow & { readonly key: string };
export type HeldRows = ReadonlyMap<string, readonly HeldRow[]>;

const PARALLEL = 8;

/** The rows of a commit, by what they hold. Reads the whole index by hash. */
export async function rowsByHash(
  ctx: Context,
  repo: { readonly type: RepoType },
  head: Pick<Commit, "hashes">,
): Promise<Map<string, HeldRow[]>> {
  const hashes = await readTree(ctx.objects, head.hashes);
  const found = new Map<string, HeldRow[]>();
  await pMap(
    hashes.leaves,
    async (leaf) => {
      for (const one of await readRows(ctx.objects, leaf)) {
        const { sha256, row } = hashedRow(one);
        const described = describeRow(repo.type, row);
        if (!standsForRow(described)) continue;
        const held = { ...described, key: row.key };
        const list = found.get(sha256);
        if (list) list.push(held);
        else found.set(sha256, [held]);
      }
    },
    { concurrency: PARALLEL },
  );
  return found;
}

/** The rows of a commit that stand for some packages: a read or two for each. */
export async function rowsOf(
  ctx: Context,
  repo: { readonly type: RepoType },
  head: Pick<Commit, "hashes">,
  sha256s: readonly Sha256[],
): Promise<Map<string, HeldRow[]>> {
  const hashes = await readTree(ctx.objects, head.hashes);
  const rows = await pMap(
    sha256s,
    async (sha256): Promise<[string, HeldRow[]]> => {
      const holding = await rowsHolding(ctx.objects, hashes, sha256);
      const held = holding.map((row) => ({ ...describeRow(repo.type, row), key: row.key }));
      return [sha256, held.filter(standsForRow)];
    },
    { concurrency: PARALLEL },
  );
  return new Map(rows);
}
