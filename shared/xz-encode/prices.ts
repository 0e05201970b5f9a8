import { LONGEST_MATCH } from "./matches.ts";
import {
  ALIGN,
  HIGH,
  IS_REP_G0,
  IS_REP_G1,
  IS_REP_G2,
  IS_REP0_LONG,
  LOW,
  literalBase,
  MATCH_LENGTH,
  MIDDLE,
  REP_LENGTH,
  SLOT,
  SPECIAL,
  slotOf,
} from "./model.ts";

/** Prices are in sixteenths of a bit. */
const UNIT = 16;
const STEP_BITS = 4;
const NEAR = 128;
const SLOTS = 64;
/** Of matches, between two looks at what they cost now. */
const REFRESH_AFTER = 128;

const OF_ODDS = Uint16Array.from({ length: 2048 >> STEP_BITS }, (_, step) =>
  Math.round(-Math.log2(((step + 0.5) * (1 << STEP_BITS)) / 2048) * UNIT),
);

/** What a bit costs. */
export function priceOf(prob: number, bit: number): number {
  return OF_ODDS[(bit === 0 ? prob : 2047 - prob) >>> STEP_BITS] as number;
}

/** What each way of telling the next bytes costs, by the probabilities as they are; of matches as they were lately. */
export class Prices {
  readonly matchLengths: Int32Array = new Int32Array(LONGEST_MATCH + 1);
  readonly repLengths: Int32Array = new Int32Array(LONGEST_MATCH + 1);
  readonly #near = new Int32Array(4 * NEAR);
  readonly #slots = new Int32Array(4 * SLOTS);
  readonly #aligned = new Int32Array(16);
  readonly #probs: Uint16Array;
  #left = 0;

  constructor(probs: Uint16Array) {
    this.#probs = probs;
  }

  /** To be told of each match. */
  matched(): void {
    this.#left -= 1;
  }

  refresh(): void {
    if (this.#left > 0) return;
    this.#left = REFRESH_AFTER;
    this.#refreshLengths(MATCH_LENGTH, this.matchLengths);
    this.#refreshLengths(REP_LENGTH, this.repLengths);
    this.#refreshDistances();
  }

  literal(before: number, byte: number): number {
    const probs = this.#probs;
    const base = literalBase(before);
    let price = 0;
    for (let node = byte | 0x100; node > 1; node >>>= 1)
      price += priceOf(probs[base + (node >>> 1)] as number, node & 1);
    return price;
  }

  /** Behind a match that would have gone on with `expected`. */
  literalAfterMatch(before: number, byte: number, expected: number): number {
    const probs = this.#probs;
    const base = literalBase(before);
    let price = 0;
    let offset = 0x100;
    let node = byte | 0x100;
    let other = expected;
    for (; node < 0x10000; node <<= 1) {
      other <<= 1;
      price += priceOf(probs[base + offset + (other & offset) + (node >>> 8)] as number, (node >>> 7) & 1);
      offset &= ~(other ^ (node << 1));
    }
    return price;
  }

  distance(distance: number, length: number): number {
    const set = length < 5 ? length - 2 : 3;
    if (distance < NEAR) return this.#near[set * NEAR + distance] as number;
    return (this.#slots[set * SLOTS + slotOf(distance)] as number) + (this.#aligned[distance & 15] as number);
  }

  /** Which of the last four distances, for more than one byte. */
  rep(index: number, state: number): number {
    const probs = this.#probs;
    const first = probs[IS_REP_G0 + state] as number;
    if (index === 0) return priceOf(first, 0) + priceOf(probs[IS_REP0_LONG + state] as number, 1);
    const second = probs[IS_REP_G1 + state] as number;
    if (index === 1) return priceOf(first, 1) + priceOf(second, 0);
    return priceOf(first, 1) + priceOf(second, 1) + priceOf(probs[IS_REP_G2 + state] as number, index - 2);
  }

  shortRep(state: number): number {
    const probs = this.#probs;
    return priceOf(probs[IS_REP_G0 + state] as number, 0) + priceOf(probs[IS_REP0_LONG + state] as number, 0);
  }

  #refreshLengths(base: number, prices: Int32Array): void {
    const probs = this.#probs;
    const [first, second] = [probs[base] as number, probs[base + 1] as number];
    const [low, more] = [priceOf(first, 0), priceOf(first, 1)];
    const [middle, high] = [more + priceOf(second, 0), more + priceOf(second, 1)];
    for (let length = 2; length <= LONGEST_MATCH; length += 1) {
      if (length < 10) prices[length] = low + this.#tree(base + LOW, 3, length - 2);
      else if (length < 18) prices[length] = middle + this.#tree(base + MIDDLE, 3, length - 10);
      else prices[length] = high + this.#tree(base + HIGH, 8, length - 18);
    }
  }

  #refreshDistances(): void {
    for (let set = 0; set < 4; set += 1) {
      for (let slot = 0; slot < SLOTS; slot += 1) {
        const direct = slot < 14 ? 0 : ((slot >>> 1) - 1 - 4) * UNIT;
        this.#slots[set * SLOTS + slot] = this.#tree(SLOT + (set << 6), 6, slot) + direct;
      }
    }
    for (let distance = 0; distance < NEAR; distance += 1) {
      const slot = slotOf(distance);
      let rest = 0;
      if (slot >= 4) {
        const bits = (slot >>> 1) - 1;
        const high = (2 | (slot & 1)) << bits;
        rest = this.#reverseTree(SPECIAL + high - slot, bits, distance - high);
      }
      for (let set = 0; set < 4; set += 1)
        this.#near[set * NEAR + distance] = (this.#slots[set * SLOTS + slot] as number) + rest;
    }
    for (let low = 0; low < 16; low += 1) this.#aligned[low] = this.#reverseTree(ALIGN, 4, low);
  }

  #tree(base: number, bits: number, value: number): number {
    let price = 0;
    for (let node = value | (1 << bits); node > 1; node >>>= 1)
      price += priceOf(this.#probs[base + (node >>> 1)] as number, node & 1);
    return price;
  }

  #reverseTree(base: number, bits: number, value: number): number {
    let price = 0;
    let node = 1;
    for (let shift = 0; shift < bits; shift += 1) {
      const bit = (value >>> shift) & 1;
      price += priceOf(this.#probs[base + node] as number, bit);
      node = (node << 1) | bit;
    }
    return price;
  }
}
