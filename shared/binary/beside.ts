import type { NamedFile } from "../apt/file-lists.ts";
import type { Context } from "../context.ts";
import { keys, partitions } from "../store/keys.ts";
import { type Binary, binaryOf } from "./node.ts";

/** A binary of the same name, distribution and release as another. */
export type Beside = { readonly segments: readonly string[]; readonly binary: Binary };

/** Levels of one release that are looked through, apart from the own one. */
const MOST_LEVELS = 50;
const BATCH = 100;
const RELEASE = 3;

export function releaseOf(segments: readonly string[]): readonly string[] {
  return segments.slice(0, RELEASE);
}

/**
 * The binaries of some names in the release of a path: at its own level, then, of those that do not fit there, at the release's
 * others. Of each name all that were looked at, what fits first.
 *
 * Costs a read for each 100 names; where not all fit at the own level a query, and as many reads a level.
 */
export async function findBeside<T extends { readonly name: string }>(
  ctx: Context,
  segments: readonly string[],
  wanted: readonly T[],
  fits: (one: T, binary: Binary) => boolean,
): Promise<Map<string, readonly Beside[]>> {
  const found = new Map<string, readonly Beside[]>();
  const own = segments[RELEASE] ?? "";
  const lookAt = async (level: string, some: readonly T[]) => {
    const paths = some.map(({ name }) => [...releaseOf(segments), level, name]);
    const items = await readAll(ctx, paths);
    return some.filter((one, index) => {
      const binary = binaryOf(items[index]);
      const path = paths[index];
      if (!binary || !path) return true;
      const before = found.get(one.name) ?? [];
      const fit = fits(one, binary);
      found.set(one.name, fit ? [{ segments: path, binary }, ...before] : [...before, { segments: path, binary }]);
      return !fit;
    });
  };
  let open = await lookAt(own, wanted);
  if (open.length === 0) return found;
  const { items } = await ctx.table.query(partitions.level(releaseOf(segments)), { limit: MOST_LEVELS + 1 });
  for (const { sk } of items) {
    if (sk !== own && open.length > 0) open = await lookAt(sk, open);
  }
  return found;
}

async function readAll(ctx: Context, paths: readonly (readonly string[])[]) {
  const batches = Array.from({ length: Math.ceil(paths.length / BATCH) }, (_, index) =>
    paths.slice(index * BATCH, (index + 1) * BATCH).map((path) => keys.node(path)),
  );
  return (await Promise.all(batches.map((batch) => ctx.table.getMany(batch)))).flat();
}

/** Whether these are the bytes that a .dsc or .changes names. */
export function isFile({ sha256, sizeBytes }: NamedFile, { stored }: Binary): boolean {
  return stored?.sha256 === sha256 && stored.sizeBytes === sizeBytes && stored.format !== "unreadable";
}
