import type { Context } from "../context.ts";
import { keys } from "../store/keys.ts";
import { childrenOf } from "./node.ts";
import { LEVELS } from "./path.ts";
import { commonSegments, fixedSegments, isLeafWanted, isSegmentWanted, type SearchFilters } from "./search-filters.ts";
import { BATCH_KEYS, type FoundBinary, ofVersion, type SearchPage, type SearchTerms } from "./search-page.ts";

const LEAF_DEPTH = LEVELS.length - 1;

/** What is to be listed: what lies below a level, behind one of its children or from the first on. */
type Open = { readonly kind: "open"; readonly level: readonly string[]; readonly after?: string };
/** A level that may be there, to be asked for. */
type Maybe = { readonly kind: "maybe"; readonly level: readonly string[] };
type Found = FoundBinary & { readonly kind: "found" };
/** The tree as far as it is known, in its order. */
type Spot = Open | Maybe | Found;

/**
 * A page of the tree in its own order. Several levels are listed at a time, first one, then more, as the walk goes on; of levels that
 * are given, 100 are asked for at once. What was listed too far ahead is listed again for the next page.
 */
export async function walkTree(
  ctx: Context,
  filters: SearchFilters,
  after: string | undefined,
  terms: SearchTerms,
): Promise<SearchPage> {
  const walk = new Walk(ctx, filters, terms);
  let spots: readonly Spot[] = startOf(filters, after);
  while (foundFirst(spots) < terms.found && walk.mayGoOn()) {
    const next = await walk.step(spots);
    if (next === spots) break;
    spots = next;
  }
  const found: FoundBinary[] = [];
  for (const spot of spots) {
    if (spot.kind !== "found" || found.length === terms.found) return { found, next: cursorOf(found, spot) };
    found.push({ segments: spot.segments, binary: spot.binary });
  }
  return { found, next: undefined };
}

/** How many at the front are found: those that can be told. */
function foundFirst(spots: readonly Spot[]): number {
  const open = spots.findIndex(({ kind }) => kind !== "found");
  return open < 0 ? Number.POSITIVE_INFINITY : open;
}

class Walk {
  readonly #ctx: Context;
  readonly #filters: SearchFilters;
  readonly #terms: SearchTerms;
  readonly #listRequests: number;
  readonly #pageItems: number;
  #requests = 0;
  #items = 0;
  #ahead = 1;

  constructor(ctx: Context, filters: SearchFilters, terms: SearchTerms) {
    this.#ctx = ctx;
    this.#terms = terms;
    this.#filters = filters;
    // The packages of a page of leaves are one more read.
    this.#listRequests = filters.version === undefined ? 1 : 2;
    this.#pageItems = filters.version === undefined ? terms.found : Math.min(terms.found, BATCH_KEYS);
  }

  mayGoOn(): boolean {
    return this.#requests + 1 + this.#listRequests <= this.#terms.requests && this.#items < this.#terms.items;
  }

  /** Learns what the first spots that are not known yet are. */
  async step(spots: readonly Spot[]): Promise<readonly Spot[]> {
    const left = this.#terms.requests - this.#requests - 1;
    const { maybe, open } = firstUnknown(spots, Math.min(this.#ahead, Math.floor(left / this.#listRequests)));
    this.#ahead = Math.min(this.#ahead * 2, this.#terms.parallel);
    const known = new Map<Spot, readonly Spot[]>();
    await Promise.all([
      this.#ask(maybe, known),
      ...open.map(async (one) =>
        known.set(one, one.level.length === LEAF_DEPTH ? await this.#leaves(one) : await this.#levels(one)),
      ),
    ]);
    return known.size === 0 ? spots : spots.flatMap((spot) => known.get(spot) ?? [spot]);
  }

  async #ask(maybe: readonly Maybe[], known: Map<Spot, readonly Spot[]>): Promise<void> {
    if (maybe.length === 0) return;
    this.#requests += 1;
    const items = await this.#ctx.table.getMany(maybe.map(({ level }) => keys.node(level)));
    for (const [index, spot] of maybe.entries()) {
      known.set(spot, items[index] ? [{ kind: "open", level: spot.level }] : []);
    }
  }

  async #levels(open: Open): Promise<Spot[]> {
    const { children, rest } = await this.#list(open);
    const wanted = children.filter(({ name }) => isSegmentWanted(this.#filters, name, open.level.length));
    return [...wanted.map(({ name }) => below(this.#filters, [...open.level, name])), ...rest];
  }

  async #leaves(open: Open): Promise<Spot[]> {
    const { children, rest } = await this.#list(open);
    const now = this.#ctx.now().toISOString();
    const wanted = children.flatMap(({ name, node }) =>
      node.kind === "binary" && isLeafWanted(this.#filters, node, now)
        ? [{ segments: [...open.level, name], binary: node }]
        : [],
    );
    if (this.#filters.version !== undefined) this.#requests += Math.ceil(wanted.length / BATCH_KEYS);
    const found = await ofVersion(this.#ctx, this.#filters, wanted);
    return [...found.map((one) => ({ kind: "found" as const, ...one })), ...rest];
  }

  async #list({ level, after }: Open) {
    this.#requests += 1;
    const limit = level.length === LEAF_DEPTH ? this.#pageItems : this.#terms.found;
    const { children, next } = await childrenOf(this.#ctx, level, after, limit);
    this.#items += children.length;
    return { children, rest: next === undefined ? [] : [{ kind: "open" as const, level, after: next }] };
  }
}

/** The first spots to be listed, so many, and those before the last of them that are to be asked for, as many as go into one read. */
function firstUnknown(spots: readonly Spot[], most: number): { maybe: Maybe[]; open: Open[] } {
  const maybe: Maybe[] = [];
  const open: Open[] = [];
  for (const spot of spots) {
    if (open.length === most || maybe.length === BATCH_KEYS) break;
    if (spot.kind === "open") open.push(spot);
    if (spot.kind === "maybe") maybe.push(spot);
  }
  return { maybe, open };
}

/** Where to go on below a level that is there: the segments that are given next are asked for together. */
function below(filters: SearchFilters, level: readonly string[]): Open | Maybe {
  const fixed = fixedSegments(filters).slice(level.length);
  const open = fixed.indexOf(undefined);
  const given = fixed.slice(0, open < 0 ? fixed.length : open).filter((segment) => segment !== undefined);
  return given.length === 0 ? { kind: "open", level } : { kind: "maybe", level: [...level, ...given] };
}

/** `a/b` as a cursor is behind all below `a/b`, and `a/b/` before it. */
function cursorOf(found: readonly FoundBinary[], spot: Spot): string {
  const last = found.at(-1);
  if (spot.kind === "found") return last?.segments.join("/") ?? "";
  const { level } = spot;
  if (spot.kind === "open" && spot.after !== undefined) return [...level, spot.after].join("/");
  return `${level.join("/")}/`;
}

/** What is left of the tree behind a cursor, from its inmost level outwards. */
function startOf(filters: SearchFilters, after: string | undefined): Spot[] {
  if (after === undefined) return [{ kind: "open", level: commonSegments(filters) }];
  const isBefore = after.endsWith("/");
  const path = (isBefore ? after.slice(0, -1) : after).split("/");
  const outwards = path.map((_, index): Open => {
    const depth = path.length - 1 - index;
    return { kind: "open", level: path.slice(0, depth), after: path[depth] ?? "" };
  });
  const spots: (Open | Maybe)[] = [
    ...(isBefore ? [below(filters, path)] : []),
    // Of a segment that is given nothing follows.
    ...outwards.filter(({ level }) => fixedSegments(filters)[level.length] === undefined),
  ];
  // A cursor may be that of another search.
  return spots.filter(({ level }) => level.every((segment, depth) => isSegmentWanted(filters, segment, depth)));
}
