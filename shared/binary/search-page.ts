import type { Context } from "../context.ts";
import { findPackages } from "../package.ts";
import { PAGE_ITEMS } from "../store/dynamo.ts";
import type { Binary } from "./node.ts";
import type { SearchFilters } from "./search-filters.ts";

/** What a page of a search holds and costs at most; one that would cost more ends early, and another follows. */
export type SearchTerms = {
  readonly found: number;
  /** To the table. At least 3: so many make any page go on. */
  readonly requests: number;
  /** Listed items; the last list may exceed it. */
  readonly items: number;
  readonly parallel: number;
};

export const SEARCH_TERMS: SearchTerms = { found: PAGE_ITEMS, requests: 64, items: 5_000, parallel: 8 };

/** Keys that the table reads at once. */
export const BATCH_KEYS = 100;

export type FoundBinary = { readonly segments: readonly string[]; readonly binary: Binary };

/** `next` goes on behind this page: one that has few binaries, or none, may be followed by another. */
export type SearchPage = { readonly found: readonly FoundBinary[]; readonly next: string | undefined };

/** Those of the version that is looked for, if one is: a read for each 100. */
export async function ofVersion(
  ctx: Context,
  { version }: SearchFilters,
  found: readonly FoundBinary[],
): Promise<readonly FoundBinary[]> {
  if (version === undefined || found.length === 0) return found;
  const stored = found.flatMap(({ binary }) => binary.stored ?? []);
  const packages = await findPackages(ctx, stored);
  return found.filter(({ binary }) => binary.stored && packages.get(binary.stored.sha256)?.version === version);
}
