import { evenOdds, type RangeEncoder } from "./range.ts";

// The LZMA specification, 9.20, with lc = 4, lp = 0, pb = 0: the context of a literal is the upper half of the byte before
// it, and no position counts. In texts that saves some 0.5 % over the usual lc = 3, pb = 2.
export const LITERAL_CONTEXT_BITS = 4;
/** (pb * 5 + lp) * 9 + lc */
export const PROPERTIES = LITERAL_CONTEXT_BITS;

const STATES = 12;
export const IS_MATCH = 0;
export const IS_REP = IS_MATCH + STATES;
export const IS_REP_G0 = IS_REP + STATES;
export const IS_REP_G1 = IS_REP_G0 + STATES;
export const IS_REP_G2 = IS_REP_G1 + STATES;
export const IS_REP0_LONG = IS_REP_G2 + STATES;
export const SLOT = IS_REP0_LONG + STATES;
export const SPECIAL = SLOT + 4 * 64;
export const ALIGN = SPECIAL + 115;
export const MATCH_LENGTH = ALIGN + 16;
/** Within a set of lengths: two choices, then three trees. */
export const LOW = 2;
export const MIDDLE = LOW + 8;
export const HIGH = MIDDLE + 8;
export const REP_LENGTH = MATCH_LENGTH + HIGH + 256;
export const LITERAL = REP_LENGTH + HIGH + 256;
const COUNT = LITERAL + (0x300 << LITERAL_CONTEXT_BITS);

export const afterLiteral = (state: number): number => (state < 4 ? 0 : state < 10 ? state - 3 : state - 6);
export const afterMatch = (state: number): number => (state < 7 ? 7 : 10);
export const afterRep = (state: number): number => (state < 7 ? 8 : 11);
export const afterShortRep = (state: number): number => (state < 7 ? 9 : 11);

/** Distances are told by a slot, which is the two highest bits and how many follow. */
export function slotOf(distance: number): number {
  if (distance < 4) return distance;
  const highest = 31 - Math.clz32(distance);
  return (highest << 1) | ((distance >>> (highest - 1)) & 1);
}

/** Writes literals and matches, and keeps the state that they change. */
export class Model {
  readonly probs: Uint16Array = evenOdds(COUNT);
  state = 0;
  /** The last four distances, newest first. */
  readonly reps: Int32Array = new Int32Array(4);
  readonly #range: RangeEncoder;

  constructor(range: RangeEncoder) {
    this.#range = range;
  }

  /** The byte at `at`. */
  literal(bytes: Uint8Array, at: number): void {
    const { probs } = this;
    const range = this.#range;
    range.bit(probs, IS_MATCH + this.state, 0);
    const byte = bytes[at] as number;
    const base = literalBase(at === 0 ? 0 : (bytes[at - 1] as number));
    let node = 1;
    let shift = 7;
    if (this.state >= 7) {
      // Behind a match the byte that the match would go on with is likely another one: it is part of the context.
      const expected = bytes[at - (this.reps[0] as number) - 1] as number;
      let same = true;
      while (same && shift >= 0) {
        const bit = (byte >>> shift) & 1;
        const other = (expected >>> shift) & 1;
        range.bit(probs, base + ((1 + other) << 8) + node, bit);
        node = (node << 1) | bit;
        same = bit === other;
        shift -= 1;
      }
    }
    for (; shift >= 0; shift -= 1) {
      const bit = (byte >>> shift) & 1;
      range.bit(probs, base + node, bit);
      node = (node << 1) | bit;
    }
    this.state = afterLiteral(this.state);
  }

  match(distance: number, length: number): void {
    const { probs, reps, state } = this;
    const range = this.#range;
    range.bit(probs, IS_MATCH + state, 1);
    range.bit(probs, IS_REP + state, 0);
    this.#length(MATCH_LENGTH, length);
    const slot = slotOf(distance);
    range.tree(probs, SLOT + (Math.min(length - 2, 3) << 6), 6, slot);
    if (slot >= 4) {
      const bits = (slot >>> 1) - 1;
      const high = (2 | (slot & 1)) << bits;
      if (slot < 14) {
        range.reverseTree(probs, SPECIAL + high - slot, bits, distance - high);
      } else {
        range.direct((distance - high) >>> 4, bits - 4);
        range.reverseTree(probs, ALIGN, 4, distance & 15);
      }
    }
    reps.copyWithin(1, 0, 3);
    reps[0] = distance;
    this.state = afterMatch(state);
  }

  /** A match at one of the last four distances; of the newest it may be one byte long. */
  rep(index: number, length: number): void {
    const { probs, reps, state } = this;
    const range = this.#range;
    range.bit(probs, IS_MATCH + state, 1);
    range.bit(probs, IS_REP + state, 1);
    range.bit(probs, IS_REP_G0 + state, index === 0 ? 0 : 1);
    if (index === 0) {
      range.bit(probs, IS_REP0_LONG + state, length === 1 ? 0 : 1);
    } else {
      range.bit(probs, IS_REP_G1 + state, index === 1 ? 0 : 1);
      if (index > 1) range.bit(probs, IS_REP_G2 + state, index - 2);
      const distance = reps[index] as number;
      reps.copyWithin(1, 0, index);
      reps[0] = distance;
    }
    if (length > 1) this.#length(REP_LENGTH, length);
    this.state = length === 1 ? afterShortRep(state) : afterRep(state);
  }

  #length(base: number, length: number): void {
    const { probs } = this;
    const range = this.#range;
    range.bit(probs, base, length < 10 ? 0 : 1);
    if (length >= 10) range.bit(probs, base + 1, length < 18 ? 0 : 1);
    if (length < 10) range.tree(probs, base + LOW, 3, length - 2);
    else if (length < 18) range.tree(probs, base + MIDDLE, 3, length - 10);
    else range.tree(probs, base + HIGH, 8, length - 18);
  }
}

export function literalBase(before: number): number {
  return LITERAL + 0x300 * (before >>> (8 - LITERAL_CONTEXT_BITS));
}
