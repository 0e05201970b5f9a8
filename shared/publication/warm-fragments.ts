import type { Sha256 } from "../blob.ts";
import { type BlobStore, type Fragment, unpackFragment } from "../tree/leaf.ts";

/** A fragment as it is stored, and its text. */
export type Unpacked = { readonly packed: Uint8Array; readonly text: Uint8Array };

const MOST_BYTES = 80 * 1024 * 1024;

/**
 * What a warm process keeps of the fragments that it joined: the next publication of the repository differs in one or two of them.
 * They are named by what they hold, so that nothing kept is ever out of date.
 */
class WarmFragments {
  readonly #kept = new Map<Sha256, { packed: Uint8Array; text: Uint8Array | undefined }>();
  #bytes = 0;

  find(sha256: Sha256): { packed: Uint8Array; text: Uint8Array | undefined } | undefined {
    const found = this.#kept.get(sha256);
    if (!found) return undefined;
    this.#kept.delete(sha256);
    this.#kept.set(sha256, found);
    return found;
  }

  keep(sha256: Sha256, packed: Uint8Array, text: Uint8Array | undefined): void {
    this.#drop(sha256);
    this.#kept.set(sha256, { packed, text });
    this.#bytes += packed.length + (text?.length ?? 0);
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= MOST_BYTES) return;
      this.#drop(oldest);
    }
  }

  #drop(sha256: Sha256): void {
    const found = this.#kept.get(sha256);
    if (!found) return;
    this.#kept.delete(sha256);
    this.#bytes -= found.packed.length + (found.text?.length ?? 0);
  }
}

const warm = new WeakMap<BlobStore, WarmFragments>();

/**
 * How the fragments of one index are read. Of an index that is too large to be kept only what is stored is, and of one that is larger
 * still nothing: reading it through once would push out all that is of use.
 */
export function fragmentReader(
  store: BlobStore,
  fragments: readonly Fragment[],
): (fragment: Fragment) => Promise<Unpacked> {
  const kept = warm.get(store) ?? new WarmFragments();
  warm.set(store, kept);
  const packedBytes = fragments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const plainBytes = fragments.reduce((sum, fragment) => sum + fragment.plainBytes, 0);
  const keepsPacked = packedBytes <= MOST_BYTES / 3;
  const keepsText = packedBytes + plainBytes <= MOST_BYTES;
  return async (fragment) => {
    const found = kept.find(fragment.sha256);
    const packed = found?.packed ?? (await store.getBlob(fragment.sha256));
    const text = found?.text ?? (await unpackFragment(packed, fragment));
    if (keepsPacked && (found === undefined || (keepsText && found.text === undefined))) {
      kept.keep(fragment.sha256, packed, keepsText ? text : undefined);
    }
    return { packed, text };
  };
}
