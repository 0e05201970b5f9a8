import { headOf } from "../commit.ts";
import { readRows } from "../tree/leaf.ts";
import { readTree } from "../tree/root.ts";
import type { Site } from "./site.ts";

/** The sizes of what the upstream held at its last commit, by SHA-256. */
export async function sizesBefore({ ctx, upstream }: Site): Promise<ReadonlyMap<string, number>> {
  const tree = await readTree(ctx.objects, (await headOf(ctx, upstream)).tree);
  const sizes = new Map<string, number>();
  for (const leaf of tree.leaves) {
    for (const { files } of await readRows(ctx.objects, leaf)) {
      for (const { sha256, sizeBytes } of files) sizes.set(sha256, sizeBytes);
    }
  }
  return sizes;
}
