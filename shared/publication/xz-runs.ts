import { type Sha256, sha256Of } from "../blob.ts";
import type { Fragment, LeafRef } from "../tree/leaf.ts";

/** The longer, the more there is to refer back to, and the more to write anew for a change. */
const LEAST_BYTES = 10 * 1024 * 1024;
const MOST_BYTES = 16 * 1024 * 1024;
/** Behind the least, one leaf in so many begins a run. */
const BEGINNING = 4;
/** Packages for all stand behind those of each architecture: from there on, the runs of all those indexes should be the same. */
const LEAST_BEFORE_OTHERS_BYTES = 2 * 1024 * 1024;

/** A fragment, and the key that its leaf begins with. */
export type PlacedFragment = Fragment & { readonly first: string };

/** Fragments of an index, one behind the other, that are one block of it in xz. */
export type Run = {
  /** Names the fragments. */
  readonly name: Sha256;
  readonly fragments: readonly PlacedFragment[];
  readonly plainBytes: number;
};

export function placedFragment({ fragments, first }: LeafRef, kind: string): PlacedFragment | undefined {
  const fragment = fragments[kind];
  return fragment && { ...fragment, first };
}

/** Where runs begin depends on the keys and sizes since the last one alone: hardly any change of a leaf moves one. */
export function runsOf(fragments: readonly PlacedFragment[]): Run[] {
  const runs: Run[] = [];
  let taken: PlacedFragment[] = [];
  let plainBytes = 0;
  const end = () => {
    if (taken.length > 0) runs.push({ name: nameOf(taken), fragments: taken, plainBytes });
    taken = [];
    plainBytes = 0;
  };
  for (const fragment of fragments) {
    const isOfOthers = taken[0] !== undefined && groupOf(taken[0]) !== groupOf(fragment);
    if (
      plainBytes + fragment.plainBytes > MOST_BYTES ||
      (plainBytes >= LEAST_BYTES && begins(fragment)) ||
      (plainBytes >= LEAST_BEFORE_OTHERS_BYTES && isOfOthers)
    )
      end();
    taken.push(fragment);
    plainBytes += fragment.plainBytes;
  }
  end();
  return runs;
}

function begins({ first }: PlacedFragment): boolean {
  return Number.parseInt(sha256Of(first).slice(0, 8), 16) % BEGINNING === 0;
}

function groupOf({ first }: PlacedFragment): string {
  return first.slice(0, first.lastIndexOf("/"));
}

function nameOf(fragments: readonly PlacedFragment[]): Sha256 {
  return sha256Of(JSON.stringify(fragments.map(({ sha256 }) => sha256)));
}
