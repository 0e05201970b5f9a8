/** LZMA writes no longer match. */
export const LONGEST_MATCH = 273;

const MOST_WINDOW_BITS = 24;
const LEAST_WINDOW_BITS = 12;

/** How far back matches of so many bytes reach, as a power of two. */
export function windowBits(sizeBytes: number): number {
  const bits = 32 - Math.clz32(Math.max(1, sizeBytes) - 1);
  return Math.min(MOST_WINDOW_BITS, Math.max(LEAST_WINDOW_BITS, bits));
}

/** How long the bytes at `at` are those so far before; `known` of them are. */
export function matchLength(bytes: Uint8Array, at: number, distance: number, known = 0): number {
  const limit = Math.min(LONGEST_MATCH, bytes.length - at);
  let length = known;
  while (length < limit && bytes[at + length] === bytes[at - distance + length]) length += 1;
  return length;
}

const HASH2_BITS = 16;
const HASH3_BITS = 16;
const HASH4_BITS = 20;

/** Behind so many hexadecimal digits it is a hash: nothing but its beginning is ever looked for. */
const MOST_DIGITS = 8;
const IS_DIGIT = Uint8Array.from({ length: 256 }, (_, byte) => (/[0-9a-f]/.test(String.fromCharCode(byte)) ? 1 : 0));

/** Finds what came before: the last place of each two and three bytes; those of four are the business of each kind of finder. */
export abstract class Finder {
  /** What was found last: `count` matches, each longer and farther than the one before. Distances begin at 0. */
  readonly lengths: Int32Array = new Int32Array(LONGEST_MATCH);
  readonly distances: Int32Array = new Int32Array(LONGEST_MATCH);
  count = 0;
  /** The next position to look at. */
  at = 0;
  protected readonly bytes: Uint8Array;
  protected readonly mask: number;
  #digits = 0;
  readonly #last2 = new Int32Array(1 << HASH2_BITS).fill(-1);
  readonly #last3 = new Int32Array(1 << HASH3_BITS).fill(-1);
  readonly #last4 = new Int32Array(1 << HASH4_BITS).fill(-1);

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.mask = (1 << windowBits(bytes.length)) - 1;
  }

  /** Looks at the next position. */
  find(): void {
    this.#look(true);
  }

  /** Passes over positions, which later ones will find. */
  skip(count: number): void {
    for (let left = count; left > 0; left -= 1) this.#look(false);
  }

  /** Puts `at` before `last`, the newest of its hash; where it is `wanted`, notes what matches longer than `best`. */
  protected abstract add(at: number, last: number, limit: number, best: number, wanted: boolean): void;

  protected note(length: number, distance: number): void {
    this.lengths[this.count] = length;
    this.distances[this.count] = distance;
    this.count += 1;
  }

  #look(wanted: boolean): void {
    const bytes = this.bytes;
    const at = this.at;
    this.at += 1;
    this.count = 0;
    const limit = Math.min(LONGEST_MATCH, bytes.length - at);
    this.#digits = IS_DIGIT[bytes[at] as number] === 0 ? 0 : this.#digits + 1;
    if (limit < 4 || this.#digits > MOST_DIGITS) return;
    const two = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
    const three = two | ((bytes[at + 2] as number) << 16);
    const hash3 = Math.imul(three, 0x9e3779b1) >>> (32 - HASH3_BITS);
    const hash4 = Math.imul(three | ((bytes[at + 3] as number) << 24), 0x85ebca6b) >>> (32 - HASH4_BITS);
    let best = 1;
    if (wanted) {
      best = this.#tryRecent(this.#last2[two] as number, at, limit, best);
      best = Math.max(3, this.#tryRecent(this.#last3[hash3] as number, at, limit, best));
    }
    this.#last2[two] = at;
    this.#last3[hash3] = at;
    const last = this.#last4[hash4] as number;
    this.#last4[hash4] = at;
    this.add(at, last, limit, best, wanted);
  }

  #tryRecent(found: number, at: number, limit: number, best: number): number {
    if (found < 0 || at - found > this.mask) return best;
    const bytes = this.bytes;
    let length = 0;
    while (length < limit && bytes[found + length] === bytes[at + length]) length += 1;
    if (length <= best) return best;
    this.note(length, at - found - 1);
    return length;
  }
}
