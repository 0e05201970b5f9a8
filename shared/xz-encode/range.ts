/** An LZMA2 chunk takes so many bytes. */
export const MOST_CHUNK_BYTES = 64 * 1024;

const BIT_MODEL_BITS = 11;
const MOVE_BITS = 5;
const HALF = 1 << (BIT_MODEL_BITS - 1);
const TOP = 1 << 24;

/** Probabilities of `count` bits, each as likely 0 as 1. */
export function evenOdds(count: number): Uint16Array {
  return new Uint16Array(count).fill(HALF);
}

/** The range coder of LZMA: every bit with the probability that stands for it, which learns from the bit. */
export class RangeEncoder {
  readonly #out = new Uint8Array(MOST_CHUNK_BYTES);
  #at = 1;
  #low = 0;
  #range = 0xffffffff;

  /** What `finish` would come to now. */
  get sizeBytes(): number {
    return this.#at + 4;
  }

  bit(probs: Uint16Array, index: number, bit: number): void {
    const prob = probs[index] as number;
    const bound = (this.#range >>> BIT_MODEL_BITS) * prob;
    if (bit === 0) {
      this.#range = bound;
      probs[index] = prob + (((1 << BIT_MODEL_BITS) - prob) >>> MOVE_BITS);
    } else {
      this.#add(bound);
      this.#range -= bound;
      probs[index] = prob - (prob >>> MOVE_BITS);
    }
    if (this.#range < TOP) this.#shift();
  }

  /** The highest of `bits` bits first. */
  tree(probs: Uint16Array, base: number, bits: number, value: number): void {
    let node = 1;
    for (let shift = bits - 1; shift >= 0; shift -= 1) {
      const bit = (value >>> shift) & 1;
      this.bit(probs, base + node, bit);
      node = (node << 1) | bit;
    }
  }

  /** The lowest first. */
  reverseTree(probs: Uint16Array, base: number, bits: number, value: number): void {
    let node = 1;
    for (let shift = 0; shift < bits; shift += 1) {
      const bit = (value >>> shift) & 1;
      this.bit(probs, base + node, bit);
      node = (node << 1) | bit;
    }
  }

  /** Bits that are as likely 0 as 1, the highest first. */
  direct(value: number, bits: number): void {
    for (let shift = bits - 1; shift >= 0; shift -= 1) {
      this.#range >>>= 1;
      if ((value >>> shift) & 1) this.#add(this.#range);
      if (this.#range < TOP) this.#shift();
    }
  }

  /** Ends a chunk: a copy of its bytes; the next begins. */
  finish(): Uint8Array {
    for (let byte = 0; byte < 4; byte += 1) this.#shift();
    const bytes = this.#out.slice(0, this.#at);
    // The first byte is always 0.
    this.#at = 1;
    this.#out[0] = 0;
    this.#low = 0;
    this.#range = 0xffffffff;
    return bytes;
  }

  #add(amount: number): void {
    const sum = this.#low + amount;
    this.#low = sum >>> 0;
    if (sum <= 0xffffffff) return;
    let carried = this.#at - 1;
    while (this.#out[carried] === 0xff) {
      this.#out[carried] = 0;
      carried -= 1;
    }
    this.#out[carried] = (this.#out[carried] as number) + 1;
  }

  #shift(): void {
    this.#out[this.#at] = this.#low >>> 24;
    this.#at += 1;
    this.#low = (this.#low << 8) >>> 0;
    this.#range = (this.#range << 8) >>> 0;
  }
}
