/** LZMA writes no longer match. */
export const LONGEST_MATCH = 273;
/** A match of this length is taken without a look at others. */
export const NICE_LENGTH = 64;

const MOST_STEPS = 48;
const HASH_BITS = 16;
const MOST_WINDOW_BITS = 22;
const LEAST_WINDOW_BITS = 12;

/** How far back matches of so many bytes reach, as a power of two. */
export function windowBits(sizeBytes: number): number {
  const bits = 32 - Math.clz32(Math.max(1, sizeBytes) - 1);
  return Math.min(MOST_WINDOW_BITS, Math.max(LEAST_WINDOW_BITS, bits));
}

/**
 * Finds what came before: a binary tree for each hash of four bytes, sorted by what follows each position, newest at the
 * root; and the last place of each two and three bytes.
 */
export class MatchFinder {
  /** What was found last: `count` matches, each longer and farther than the one before. Distances begin at 0. */
  readonly lengths: Int32Array = new Int32Array(LONGEST_MATCH);
  readonly distances: Int32Array = new Int32Array(LONGEST_MATCH);
  count = 0;
  /** The next position to look at. */
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #mask: number;
  readonly #sons: Int32Array;
  readonly #last2 = new Int32Array(1 << HASH_BITS).fill(-1);
  readonly #last3 = new Int32Array(1 << HASH_BITS).fill(-1);
  readonly #roots = new Int32Array(1 << HASH_BITS).fill(-1);

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    const window = 1 << windowBits(bytes.length);
    this.#mask = window - 1;
    this.#sons = new Int32Array(2 * Math.min(window, bytes.length));
  }

  /** Looks at the next position. */
  find(): void {
    this.#look(true);
  }

  /** Passes over positions, which later ones will find. */
  skip(count: number): void {
    for (let left = count; left > 0; left -= 1) this.#look(false);
  }

  #look(wanted: boolean): void {
    const bytes = this.#bytes;
    const at = this.at;
    this.at += 1;
    this.count = 0;
    const limit = Math.min(NICE_LENGTH, bytes.length - at);
    if (limit < 4) return;
    const two = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
    const three = two | ((bytes[at + 2] as number) << 16);
    const hash3 = Math.imul(three, 0x9e3779b1) >>> (32 - HASH_BITS);
    const hash4 = Math.imul(three | ((bytes[at + 3] as number) << 24), 0x85ebca6b) >>> (32 - HASH_BITS);
    let best = 1;
    if (wanted) {
      best = this.#tryRecent(this.#last2[two] as number, at, limit, best);
      best = Math.max(3, this.#tryRecent(this.#last3[hash3] as number, at, limit, best));
    }
    this.#last2[two] = at;
    this.#last3[hash3] = at;
    const root = this.#roots[hash4] as number;
    this.#roots[hash4] = at;
    this.#descend(root, at, limit, wanted ? best : limit);
    if (wanted) this.#lengthen(at);
  }

  #tryRecent(found: number, at: number, limit: number, best: number): number {
    if (found < 0 || at - found > this.#mask) return best;
    const bytes = this.#bytes;
    let length = 0;
    while (length < limit && bytes[found + length] === bytes[at + length]) length += 1;
    if (length <= best) return best;
    this.#note(length, at - found - 1);
    return length;
  }

  /** Makes `at` the root of its tree; notes what matches longer than `best` on the way. */
  #descend(root: number, at: number, limit: number, best: number): void {
    const bytes = this.#bytes;
    const sons = this.#sons;
    const mask = this.#mask;
    let longest = best;
    let found = root;
    let smaller = 2 * (at & mask);
    let greater = smaller + 1;
    let smallerLength = 0;
    let greaterLength = 0;
    for (let steps = MOST_STEPS; ; steps -= 1) {
      if (steps === 0 || found < 0 || at - found > mask) {
        sons[smaller] = -1;
        sons[greater] = -1;
        return;
      }
      const pair = 2 * (found & mask);
      let length = smallerLength < greaterLength ? smallerLength : greaterLength;
      while (length < limit && bytes[found + length] === bytes[at + length]) length += 1;
      if (length > longest) {
        longest = length;
        this.#note(length, at - found - 1);
      }
      if (length === limit) {
        sons[smaller] = sons[pair] as number;
        sons[greater] = sons[pair + 1] as number;
        return;
      }
      if ((bytes[found + length] as number) < (bytes[at + length] as number)) {
        sons[smaller] = found;
        smaller = pair + 1;
        found = sons[smaller] as number;
        smallerLength = length;
      } else {
        sons[greater] = found;
        greater = pair;
        found = sons[greater] as number;
        greaterLength = length;
      }
    }
  }

  #note(length: number, distance: number): void {
    this.lengths[this.count] = length;
    this.distances[this.count] = distance;
    this.count += 1;
  }

  /** The tree is compared up to the nice length; what is as long may be longer. */
  #lengthen(at: number): void {
    const last = this.count - 1;
    if (last < 0 || (this.lengths[last] as number) < NICE_LENGTH) return;
    const distance = (this.distances[last] as number) + 1;
    this.lengths[last] = matchLength(this.#bytes, at, distance, NICE_LENGTH);
  }
}

/** How long the bytes at `at` are those so far before; `known` of them are. */
export function matchLength(bytes: Uint8Array, at: number, distance: number, known = 0): number {
  const limit = Math.min(LONGEST_MATCH, bytes.length - at);
  let length = known;
  while (length < limit && bytes[at + length] === bytes[at - distance + length]) length += 1;
  return length;
}
