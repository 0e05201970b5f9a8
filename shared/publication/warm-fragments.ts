import type { Sha256 } from "../blob.ts";
import type { BlobStore, Fragment } from "../tree/leaf.ts";

const MOST_BYTES = 40 * 1024 * 1024;
/** Of one index: reading a larger one through once would push out all that is of use. */
const MOST_OF_ONE = MOST_BYTES / 2;

/**
 * What a warm process keeps of the fragments that it joined, as they are stored: the next publication of the repository differs in
 * one or two of them. They are named by what they hold, so that nothing kept is ever out of date. Their text is not kept: to unpack
 * it again takes no longer than to hash it, which has to be done anyway, and is done beside that.
 */
export class WarmFragments {
  readonly #kept = new Map<Sha256, Uint8Array>();
  #bytes = 0;

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

  keep(sha256: Sha256, packed: Uint8Array): void {
    if (this.#kept.has(sha256)) return;
    this.#kept.set(sha256, packed);
    this.#bytes += packed.length;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#bytes <= MOST_BYTES) return;
      this.#kept.delete(oldest);
      this.#bytes -= length;
    }
  }
}

const warm = new WeakMap<BlobStore, WarmFragments>();

export function warmFragments(store: BlobStore): WarmFragments {
  const kept = warm.get(store) ?? new WarmFragments();
  warm.set(store, kept);
  return kept;
}

/** Whether the fragments of an index are few enough to be kept. */
export function areKept(fragments: readonly Fragment[]): boolean {
  return fragments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) <= MOST_OF_ONE;
}
