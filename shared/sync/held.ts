import pMap from "p-map";
import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";

/** A request that lists costs as much as so many that ask for one object each. */
const PAGE_COST = 12;
const PARALLEL = 8;

/**
 * Which of the blobs are ours, with their sizes in bytes. They are looked for in pages of all that is ours, as long as a page tells of
 * as many of them as it costs; where more than that lies between them, each is asked for.
 */
export async function heldOf(ctx: Context, blobs: readonly Sha256[]): Promise<ReadonlyMap<Sha256, number>> {
  const wanted = new Set([...blobs].sort());
  const held = new Map<Sha256, number>();
  let open = [...wanted];
  for (let told = open.length; told >= PAGE_COST && open.length >= PAGE_COST; ) {
    const page = await ctx.objects.listBlobs(open[0] as Sha256, open.at(-1) as Sha256);
    for (const { sha256, sizeBytes } of page.blobs) if (wanted.has(sha256)) held.set(sha256, sizeBytes);
    const { upTo } = page;
    const rest = upTo === undefined ? [] : open.filter((sha256) => sha256 > upTo);
    told = open.length - rest.length;
    open = rest;
  }
  const ask = async (sha256: Sha256) => {
    const sizeBytes = await ctx.objects.blobSize(sha256);
    if (sizeBytes !== undefined) held.set(sha256, sizeBytes);
  };
  await pMap(open, ask, { concurrency: PARALLEL });
  return held;
}
