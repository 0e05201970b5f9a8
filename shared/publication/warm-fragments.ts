import type { Sha256 } from "../blob.ts";
import { Kept } from "../kept.ts";
import { letGo } from "../let-go.ts";
import { type BlobStore, type Fragment, unpackVerified } from "../tree/leaf.ts";

const MOST_PACKED_BYTES = 24 * 1024 * 1024;
/** Of one index: reading a larger one through once would push out all that is of use. */
const MOST_OF_ONE = 20 * 1024 * 1024;
/** The text of an index of 60,000 packages; of a longer one none is kept. */
const MOST_TEXT_BYTES = 48 * 1024 * 1024;
/** Part of the fragments. */
const MOST_NEWS = 1 / 8;

/** The text of a fragment: its memory goes back when it is kept no longer and nobody reads it. */
export class Text {
  readonly bytes: Uint8Array;
  #uses = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  use(): this {
    this.#uses += 1;
    return this;
  }

  /** Of who used it. */
  done(): void {
    this.#uses -= 1;
    if (this.#uses === 0) letGo(this.bytes);
  }
}

/**
 * What a warm process keeps of the fragments that it joined, as they are stored and as text: the next publication of the repository
 * differs in one or two of them. They are named by what they hold, so that nothing kept is ever out of date.
 */
export type WarmFragments = { readonly packed: Kept<Sha256, Uint8Array>; readonly texts: Kept<Sha256, Text> };

const warm = new WeakMap<BlobStore, WarmFragments>();

export function warmFragments(store: BlobStore): WarmFragments {
  const kept = warm.get(store) ?? {
    packed: new Kept<Sha256, Uint8Array>(MOST_PACKED_BYTES),
    texts: new Kept<Sha256, Text>(MOST_TEXT_BYTES, (text) => text.done()),
  };
  warm.set(store, kept);
  return kept;
}

/** Whether the fragments of an index are few enough to be kept as they are stored. */
export function arePackedKept(fragments: readonly Fragment[]): boolean {
  return fragments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) <= MOST_OF_ONE;
}

export type TextOf = (member: {
  readonly fragment: Fragment;
  readonly packed: Uint8Array;
}) => Promise<Pick<Text, "bytes" | "done">>;

/**
 * The text of each fragment of an index, unpacked where it is not kept; to be told when it is `done` with. To be asked for before the
 * index is joined: texts are kept where most of it was joined before. Of one that is new, or changes all over each time, they would be
 * memory for nothing.
 */
export function textsOf(
  store: BlobStore,
  fragments: readonly Fragment[],
  { mayKeep }: { readonly mayKeep: boolean },
): TextOf {
  const { packed: known, texts } = warmFragments(store);
  const news = fragments.filter(({ sha256 }) => !known.has(sha256)).length;
  const plainBytes = fragments.reduce((sum, fragment) => sum + fragment.plainBytes, 0);
  const areKept = mayKeep && news <= fragments.length * MOST_NEWS && plainBytes <= MOST_TEXT_BYTES;
  return async ({ fragment, packed }) => {
    const kept = texts.find(fragment.sha256);
    if (kept) return kept.use();
    const text = new Text(await unpackVerified(packed, fragment)).use();
    if (areKept && texts.keep(fragment.sha256, text, text.bytes.length)) text.use();
    return text;
  };
}
