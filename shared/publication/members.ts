import pMap from "p-map";
import type { Sha256 } from "../blob.ts";
import { type BlobStore, type Fragment, verifiedFragment } from "../tree/leaf.ts";
import { arePackedKept, type WarmFragments, warmFragments } from "./warm-fragments.ts";

const PARALLEL_READS = 8;
/** Fewer are read one by one: that is as soon done, and they come beside each other. */
const FEWEST_TOGETHER = 4;

export type IndexStore = BlobStore & {
  /** A blob as it comes; of a range, `end` is behind its last byte. */
  openBlob(
    sha256: Sha256,
    range?: { readonly start: number; readonly end: number },
  ): Promise<AsyncIterable<Uint8Array>>;
  /** Stores what is read under the hash and size that are known of it. */
  putBlobStream(sha256: Sha256, sizeBytes: number, bytes: AsyncIterable<Uint8Array>): Promise<boolean>;
};

/** An index that is stored, and where in it fragments lie one behind the other. */
export type Joined = { readonly blob: Sha256; readonly start: number; readonly fragments: readonly Fragment[] };

/** A fragment as it is stored: a gzip member. */
export type Member = { readonly fragment: Fragment; readonly packed: Uint8Array };

/**
 * The members of an index in order. Those that the process does not hold still are read from `earlier`, an index that has most of them,
 * in one request for each stretch that is there as here; others one by one.
 */
export async function* membersOf(
  store: IndexStore,
  fragments: readonly Fragment[],
  earlier: () => Promise<Joined | undefined>,
): AsyncGenerator<Member> {
  const kept = warmFragments(store);
  const { packed: warm } = kept;
  const keeps = arePackedKept(fragments);
  for (const stretch of await stretchesOf(fragments, kept, earlier)) {
    for await (const member of stretch.range ? readTogether(store, stretch) : readEach(store, stretch, warm)) {
      if (keeps) warm.keep(member.fragment.sha256, member.packed, member.packed.length);
      yield member;
    }
  }
}

/** Fragments of one index, one behind the other; `range` where they lie so in a blob. */
type Stretch = {
  readonly fragments: readonly Fragment[];
  readonly range?: { readonly blob: Sha256; readonly start: number; readonly end: number };
};

async function stretchesOf(
  fragments: readonly Fragment[],
  kept: WarmFragments,
  earlier: () => Promise<Joined | undefined>,
): Promise<readonly Stretch[]> {
  const { packed: warm } = kept;
  const absent = fragments.filter(({ sha256 }) => !warm.has(sha256));
  const joined = absent.length < FEWEST_TOGETHER ? undefined : await earlier();
  if (!joined) return [{ fragments }];
  dropOthers(kept, joined.fragments, fragments);
  const places = placesOf(joined);
  const stretches: Stretch[] = [];
  let single: Fragment[] = [];
  let together: Fragment[] = [];
  let start = 0;
  let end = -1;
  const endTogether = () => {
    if (together.length < FEWEST_TOGETHER) single.push(...together);
    else {
      if (single.length > 0) stretches.push({ fragments: single });
      single = [];
      stretches.push({ fragments: together, range: { blob: joined.blob, start, end } });
    }
    together = [];
    end = -1;
  };
  for (const fragment of fragments) {
    const place = warm.has(fragment.sha256) ? undefined : places.get(fragment.sha256);
    if (place !== end) endTogether();
    if (place === undefined) {
      single.push(fragment);
      continue;
    }
    if (together.length === 0) start = place;
    together.push(fragment);
    end = place + fragment.sizeBytes;
  }
  endTogether();
  if (single.length > 0) stretches.push({ fragments: single });
  return stretches;
}

/** Where much of an index is new, what it had instead would be twice the memory; with one leaf it is left to be the first to go. */
function dropOthers({ packed, texts }: WarmFragments, earlier: readonly Fragment[], now: readonly Fragment[]): void {
  const wanted = new Set(now.map(({ sha256 }) => sha256));
  for (const { sha256 } of earlier) {
    if (wanted.has(sha256)) continue;
    packed.drop(sha256);
    texts.drop(sha256);
  }
}

function placesOf({ start, fragments }: Joined): Map<Sha256, number> {
  const places = new Map<Sha256, number>();
  let place = start;
  for (const { sha256, sizeBytes } of fragments) {
    places.set(sha256, place);
    place += sizeBytes;
  }
  return places;
}

async function* readEach(
  store: IndexStore,
  { fragments }: Stretch,
  warm: WarmFragments["packed"],
): AsyncGenerator<Member> {
  for (let next = 0; next < fragments.length; next += PARALLEL_READS) {
    yield* await pMap(fragments.slice(next, next + PARALLEL_READS), async (fragment): Promise<Member> => {
      const packed = warm.find(fragment.sha256) ?? verifiedFragment(await store.getBlob(fragment.sha256), fragment);
      return { fragment, packed };
    });
  }
}

async function* readTogether(store: IndexStore, { fragments, range }: Stretch): AsyncGenerator<Member> {
  if (!range) return;
  const { blob, start, end } = range;
  let next = 0;
  let packed = Buffer.alloc(fragments[0]?.sizeBytes ?? 0);
  let filled = 0;
  for await (const chunk of await store.openBlob(blob, { start, end })) {
    let taken = 0;
    while (taken < chunk.length) {
      const fragment = fragments[next];
      if (!fragment) throw new Error(`index ${blob} gave more than bytes ${start} to ${end}`);
      const part = chunk.subarray(taken, taken + packed.length - filled);
      packed.set(part, filled);
      filled += part.length;
      taken += part.length;
      if (filled < packed.length) continue;
      yield { fragment, packed: verifiedFragment(packed, fragment) };
      next += 1;
      packed = Buffer.alloc(fragments[next]?.sizeBytes ?? 0);
      filled = 0;
    }
  }
  if (next < fragments.length) throw new Error(`index ${blob} ended before byte ${end}`);
}
