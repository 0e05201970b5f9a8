import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { trySplitPath } from "./path.ts";
import { isSegmentWanted, type SearchFilters } from "./search-filters.ts";
import { findHinted, hintsOf } from "./search-hints.ts";
import { SEARCH_TERMS, type SearchPage } from "./search-page.ts";
import { walkTree } from "./search-walk.ts";

export type { SearchFilters } from "./search-filters.ts";
export type { FoundBinary, SearchPage } from "./search-page.ts";

/** Refuses what is no `next` of a page. Whose page it was does not matter: it says no more than where to go on. */
export function checkCursor(after: string): string {
  if (trySplitPath(after.replace(/\/$/, ""))) return after;
  throw new AppError("invalid", "after is what a Link header of a search says, and nothing else");
}

/**
 * One page of the binaries that all filters let through; `after` is the `next` of another page of the same search. What is looked for
 * by hash, builder or ref is found by that; anything else by a walk of the tree, in which a segment that is given is asked for,
 * and not looked for.
 *
 * Costs at most what `SEARCH_TERMS` says.
 */
export async function searchBinaries(
  ctx: Context,
  filters: SearchFilters,
  after?: string,
  terms = SEARCH_TERMS,
): Promise<SearchPage> {
  // A name that the part of a name is not in: nothing is read for that.
  if (filters.name !== undefined && !isSegmentWanted(filters, filters.name, 0)) return { found: [], next: undefined };
  const [hint] = hintsOf(filters);
  return hint ? findHinted(ctx, filters, hint, after, terms) : walkTree(ctx, filters, after, terms);
}
