import type { Sha256 } from "../blob.ts";
import type { Commit } from "../commit.ts";
import type { Context } from "../context.ts";
import type { RepoType } from "../store/keys.ts";
import { hashedRow } from "../tree/hashes.ts";
import { describeRow, type PackageRow, type Place, SOURCE } from "../tree/layout.ts";
import { readRows } from "../tree/leaf.ts";
import { readTree } from "../tree/root.ts";

/** A package of a repo or an upstream, with every place it has there. */
export type Listed = Omit<PackageRow, "place"> & { readonly sha256: Sha256; readonly places: readonly Place[] };

/** A source package is listed once, by its .dsc; the other files of its row belong to it. */
function standsForRow(row: Pick<PackageRow, "architecture" | "filename">): boolean {
  return row.architecture !== SOURCE || row.filename.endsWith(".dsc");
}

/**
 * The packages of a commit in the order of their hashes, each with all its places. Reads the index by hash leaf by leaf, so that
 * memory does not grow with the repository.
 */
export async function* listedPackages(ctx: Context, type: RepoType, commit: Commit): AsyncGenerator<Listed> {
  const hashes = await readTree(ctx.objects, commit.hashes);
  let current: { listed: Listed; places: Place[] } | undefined;
  for (const leaf of hashes.leaves) {
    for (const found of await readRows(ctx.objects, leaf)) {
      const { sha256, row } = hashedRow(found);
      const { place, ...described } = describeRow(type, row);
      if (!standsForRow(described)) continue;
      if (current?.listed.sha256 === sha256) {
        if (place !== undefined) current.places.push(place);
        continue;
      }
      if (current) yield current.listed;
      const places: Place[] = place === undefined ? [] : [place];
      current = { listed: { ...described, sha256: sha256 as Sha256, places }, places };
    }
  }
  if (current) yield current.listed;
}
