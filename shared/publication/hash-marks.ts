import { createHash, type Hash } from "node:crypto";
import { type Sha256, sha256Of } from "../blob.ts";
import type { BlobStore, Fragment } from "../tree/leaf.ts";
import type { StoredFile } from "./manifest.ts";

/** Counts and hashes what is added. */
class Running {
  readonly #hash: Hash;
  #sizeBytes: number;

  constructor(hash: Hash = createHash("sha256"), sizeBytes = 0) {
    this.#hash = hash;
    this.#sizeBytes = sizeBytes;
  }

  add(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#sizeBytes += bytes.length;
  }

  copy(): Running {
    return new Running(this.#hash.copy(), this.#sizeBytes);
  }

  end(): StoredFile {
    return { sha256: this.#hash.digest("hex") as Sha256, sizeBytes: this.#sizeBytes };
  }
}

/** An index as it is stored, and its text. */
type Both = { readonly packing: Running; readonly plain: Running };

/**
 * An index on its way to be hashed, to which the fragments behind the first `from` are to be added; that all up to one are, is told by
 * their count. Those that are packed may be far ahead of the texts.
 */
export type Hashing = Both & {
  readonly from: number;
  reachedPacked(count: number): void;
  reached(count: number): void;
};

/** How many of one index are kept, and how many of all: one takes about a kilobyte. */
const MARKS_OF_ONE = 64;
const MOST_MARKS = 2048;

/** What a warm process remembers of the hashes of indexes on their way, by what they were hashed from. */
class Marks {
  readonly #kept = new Map<Sha256, Both>();

  has(name: Sha256): boolean {
    return this.#kept.has(name);
  }

  find(name: Sha256): Both | undefined {
    const found = this.#kept.get(name);
    return found && { packing: found.packing.copy(), plain: found.plain.copy() };
  }

  keep(name: Sha256, both: Both): void {
    this.#kept.delete(name);
    this.#kept.set(name, both);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MOST_MARKS) return;
      this.#kept.delete(oldest);
    }
  }
}

const marks = new WeakMap<BlobStore, Marks>();

export function hashAnew(): Hashing {
  return { packing: new Running(), plain: new Running(), from: 0, reachedPacked() {}, reached() {} };
}

/**
 * Where the hashing of an index can begin: where one package more is published, all that stands before its leaf need be neither
 * unpacked nor hashed again. What stands before the fragments, the head, is yet to be added where `from` is 0.
 */
export function hashFurther(store: BlobStore, fragments: readonly Fragment[], head = ""): Hashing {
  const kept = marks.get(store) ?? new Marks();
  marks.set(store, kept);
  const every = Math.ceil(fragments.length / MARKS_OF_ONE);
  const names = new Map<number, Sha256>();
  let name = sha256Of(head);
  for (const [index, fragment] of fragments.entries()) {
    name = sha256Of(name + fragment.sha256);
    if ((index + 1) % every === 0) names.set(index + 1, name);
  }
  const [from, last] = [...names].findLast(([, mark]) => kept.has(mark)) ?? [0, undefined];
  const both = (last && kept.find(last)) ?? { packing: new Running(), plain: new Running() };
  const packedAt = new Map<number, Running>();
  return {
    ...both,
    from,
    reachedPacked(count) {
      if (names.has(count)) packedAt.set(count, both.packing.copy());
    },
    reached(count) {
      const mark = names.get(count);
      const packing = packedAt.get(count);
      if (mark && packing) kept.keep(mark, { packing, plain: both.plain.copy() });
    },
  };
}
