import pMap from "p-map";
import type { Context } from "../context.ts";
import { type HintField, type ItemKey, keys, partitions } from "../store/keys.ts";
import { binaryOf, type StoredBinary } from "./node.ts";
import { trySplitPath } from "./path.ts";
import {
  commonSegments,
  isLeafWanted,
  isSegmentWanted,
  type SearchFilters,
  type Told,
  toldOf,
} from "./search-filters.ts";
import { BATCH_KEYS, type FoundBinary, ofVersion, type SearchPage, type SearchTerms } from "./search-page.ts";

const PARALLEL = 8;

export type Hint = readonly [field: HintField, value: string];

/** What leads to a binary beside its path, most telling first. */
export function hintsOf({ sha256, ref, builtBy }: Told): Hint[] {
  const all = [
    ["sha256", sha256],
    ["ref", ref],
    ["built_by", builtBy],
  ] as const;
  return all.flatMap(([field, value]) => (value === undefined ? [] : [[field, value] as const]));
}

type StoredAt = { readonly segments: readonly string[]; readonly stored: StoredBinary };

/**
 * Has stored binaries found by what is told of them. A hint is confirmed by its leaf whenever it is read: one too many is passed
 * over, and that none is missing is seen to by whoever settles a stored binary, which is repeated until it is done.
 */
export async function writeHints(ctx: Context, stored: readonly StoredAt[]): Promise<void> {
  // Who comes late with what was stored earlier does not take the place of what is stored now.
  await forEachHint(stored, (key, { job, at }) =>
    ctx.table.put({ ...key, job, at }, { less: { attribute: "at", than: at } }),
  );
}

/** Removes the hints to what was stored here and is no more; not those of what has come in its place. */
export async function forgetHints(ctx: Context, stored: readonly StoredAt[]): Promise<void> {
  await forEachHint(stored, (key, { job }) => ctx.table.delete(key, { equals: { job } }));
}

async function forEachHint(
  all: readonly StoredAt[],
  write: (key: ItemKey, stored: StoredBinary) => Promise<unknown>,
): Promise<void> {
  const hints = all.flatMap(({ segments, stored }) =>
    hintsOf(toldOf(stored)).map(([field, value]) => ({
      key: keys.binaryHint(field, value, segments.join("/")),
      stored,
    })),
  );
  await pMap(hints, ({ key, stored }) => write(key, stored), { concurrency: PARALLEL });
}

/**
 * A page of what hints lead to, in the order of paths as text. Costs for each 1,000 hints, which is one page most often, a query and
 * 10 reads of leaves; 10 of packages where a version is looked for.
 */
export async function findHinted(
  ctx: Context,
  filters: SearchFilters,
  [field, value]: Hint,
  given: string | undefined,
  terms: SearchTerms,
): Promise<SearchPage> {
  const partition = partitions.binaryHints(field, value);
  const common = commonSegments(filters).join("/");
  const beginsWith = common === "" ? undefined : `${common}/`;
  let after = startOf(given, beginsWith);
  if (after === "over") return { found: [], next: undefined };
  const found: FoundBinary[] = [];
  let requests = 0;
  do {
    const limit = terms.found - found.length;
    requests += 1 + 2 * Math.ceil(limit / BATCH_KEYS);
    const page = await ctx.table.query(partition, {
      limit,
      ...(beginsWith === undefined ? {} : { beginsWith }),
      ...(after === undefined ? {} : { after }),
    });
    const paths = page.items.map(({ sk }) => sk);
    found.push(...(await confirmed(ctx, filters, paths)));
    after = page.next;
  } while (after !== undefined && found.length < terms.found && requests <= terms.requests / 2);
  return { found, next: after };
}

/** The table refuses to go on behind a key that is not among those asked for. */
function startOf(after: string | undefined, beginsWith: string | undefined): string | undefined {
  if (after === undefined || beginsWith === undefined || after.startsWith(beginsWith)) return after;
  return after < beginsWith ? undefined : "over";
}

/** The binaries at these paths that are what is looked for, as their leaves say now. */
async function confirmed(
  ctx: Context,
  filters: SearchFilters,
  paths: readonly string[],
): Promise<readonly FoundBinary[]> {
  const wanted = paths.flatMap((path) => {
    const segments = trySplitPath(path);
    const isWanted = segments?.every((segment, depth) => isSegmentWanted(filters, segment, depth));
    return segments && isWanted ? [segments] : [];
  });
  const batches = Array.from({ length: Math.ceil(wanted.length / BATCH_KEYS) }, (_, index) =>
    wanted.slice(index * BATCH_KEYS, (index + 1) * BATCH_KEYS),
  );
  const now = ctx.now().toISOString();
  const leaves = await pMap(
    batches,
    async (batch) => {
      const items = await ctx.table.getMany(batch.map((segments) => keys.node(segments)));
      return batch.flatMap((segments, index) => {
        const binary = binaryOf(items[index]);
        return binary && isLeafWanted(filters, binary, now) ? [{ segments, binary }] : [];
      });
    },
    { concurrency: PARALLEL },
  );
  return ofVersion(ctx, filters, leaves.flat());
}
