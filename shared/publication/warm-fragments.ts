import type { Sha256 } from "../blob.ts";
import { type BlobStore, type Fragment, unpackVerified } from "../tree/leaf.ts";

const MOST_PACKED_BYTES = 40 * 1024 * 1024;
/** Of one index: reading a larger one through once would push out all that is of use. */
const MOST_OF_ONE = MOST_PACKED_BYTES / 2;
/** The text of an index of 60,000 packages, once; of a longer one none is kept. */
const MOST_TEXT_BYTES = 48 * 1024 * 1024;

/** Bytes of fragments, by the hash that names these; what was not asked for the longest is the first to go. */
class Kept {
  readonly #kept = new Map<Sha256, Uint8Array>();
  readonly #mostBytes: number;
  #bytes = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  find(sha256: Sha256): Uint8Array | undefined {
    const found = this.#kept.get(sha256);
    if (!found) return undefined;
    this.#kept.delete(sha256);
    this.#kept.set(sha256, found);
    return found;
  }

  has(sha256: Sha256): boolean {
    return this.#kept.has(sha256);
  }

  keep(sha256: Sha256, bytes: Uint8Array): void {
    if (this.#kept.has(sha256)) return;
    this.#kept.set(sha256, bytes);
    this.#bytes += bytes.length;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#bytes <= this.#mostBytes) return;
      this.#kept.delete(oldest);
      this.#bytes -= length;
    }
  }
}

/**
 * What a warm process keeps of the fragments that it joined, as they are stored and as text: the next publication of the repository
 * differs in one or two of them. They are named by what they hold, so that nothing kept is ever out of date. To unpack a text again
 * takes little longer than to hash it, but has V8 look through its whole heap for what went with the last ones, once or twice a
 * publication.
 */
export type WarmFragments = { readonly packed: Kept; readonly texts: Kept };

const warm = new WeakMap<BlobStore, WarmFragments>();

export function warmFragments(store: BlobStore): WarmFragments {
  const kept = warm.get(store) ?? { packed: new Kept(MOST_PACKED_BYTES), texts: new Kept(MOST_TEXT_BYTES) };
  warm.set(store, kept);
  return kept;
}

/** Whether the fragments of an index are few enough to be kept as they are stored. */
export function arePackedKept(fragments: readonly Fragment[]): boolean {
  return fragments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) <= MOST_OF_ONE;
}

/** The text of each fragment of an index, unpacked where it is not kept. */
export function textsOf(
  store: BlobStore,
  fragments: readonly Fragment[],
): (member: { readonly fragment: Fragment; readonly packed: Uint8Array }) => Promise<Uint8Array> {
  const { texts } = warmFragments(store);
  const keeps = fragments.reduce((sum, { plainBytes }) => sum + plainBytes, 0) <= MOST_TEXT_BYTES;
  return async ({ fragment, packed }) => {
    const kept = texts.find(fragment.sha256);
    if (kept) return kept;
    const text = await unpackVerified(packed, fragment);
    if (keeps) texts.keep(fragment.sha256, text);
    return text;
  };
}
