import { type Finder, LONGEST_MATCH, matchLength } from "./matches.ts";
import { afterLiteral, afterMatch, afterRep, afterShortRep, IS_MATCH, IS_REP, type Model } from "./model.ts";
import { type Prices, priceOf } from "./prices.ts";

/** So far the cheapest way is looked for before the first step of it is taken. */
const MOST_AHEAD = 4096;
const SIZE = MOST_AHEAD + 1;
const DEAR = 0x3fffffff;

/** What a step is: a literal, one of the last four distances by its number, or a distance behind those numbers. */
export const LITERAL = -1;
export const REPS = 4;

/**
 * Finds the cheapest way to tell the next bytes: the shortest path over positions, whose edges are literals and matches of every
 * length, with the state and last distances that each way there leaves behind.
 */
export class Parser {
  /** The way found last: `count` steps of so many bytes, each a literal, a rep or a match (as `steps` has it). */
  readonly lengths: Int32Array = new Int32Array(SIZE);
  readonly steps: Int32Array = new Int32Array(SIZE);
  count = 0;

  readonly #bytes: Uint8Array;
  readonly #finder: Finder;
  readonly #model: Model;
  readonly #prices: Prices;
  readonly #price = new Int32Array(SIZE);
  readonly #from = new Int32Array(SIZE);
  readonly #step = new Int32Array(SIZE);
  readonly #state = new Int32Array(SIZE);
  readonly #reps = new Int32Array(SIZE * REPS);
  #reached = 0;
  #end = 0;

  constructor(bytes: Uint8Array, finder: Finder, model: Model, prices: Prices) {
    this.#bytes = bytes;
    this.#finder = finder;
    this.#model = model;
    this.#prices = prices;
  }

  /** Looks for the way on from `at` towards `end`; a last match may pass it. The finder has passed over nothing from `at` on. */
  parse(at: number, end: number): void {
    const { state, reps } = this.#model;
    this.#finder.skip(at - this.#finder.at);
    this.#prices.refresh();
    this.#state[0] = state;
    for (let index = 0; index < REPS; index += 1) this.#reps[index] = reps[index] as number;
    this.#price[0] = 0;
    this.#reached = 0;
    this.#end = Math.min(MOST_AHEAD, end - at);
    let node = 0;
    for (;;) {
      if (node > 0) this.#arrive(node);
      this.#finder.find();
      if (this.#takeLong(at + node, node)) return;
      this.#leave(at + node, node);
      node += 1;
      if (node === this.#reached) break;
    }
    this.#trace(node);
  }

  /** A match than which none is longer ends the search: it is taken behind the cheapest way to where it begins. */
  #takeLong(at: number, node: number): boolean {
    const { count, lengths, distances } = this.#finder;
    let length = count === 0 ? 0 : (lengths[count - 1] as number);
    let step = length === 0 ? 0 : (distances[count - 1] as number) + REPS;
    for (let index = 0; index < REPS; index += 1) {
      const rep = this.#repLength(at, node, index);
      if (rep < LONGEST_MATCH) continue;
      length = rep;
      step = index;
      break;
    }
    if (length < LONGEST_MATCH) return false;
    this.#trace(node);
    this.lengths[this.count] = length;
    this.steps[this.count] = step;
    this.count += 1;
    this.#finder.skip(at + length - this.#finder.at);
    return true;
  }

  #repLength(at: number, node: number, index: number): number {
    const distance = (this.#reps[node * REPS + index] as number) + 1;
    const bytes = this.#bytes;
    if (distance > at || bytes[at] !== bytes[at - distance] || bytes[at + 1] !== bytes[at + 1 - distance]) return 0;
    const length = matchLength(bytes, at, distance, 1);
    return length < 2 ? 0 : length;
  }

  /** State and last distances behind the cheapest step to a node. */
  #arrive(node: number): void {
    const from = this.#from[node] as number;
    const step = this.#step[node] as number;
    const before = this.#state[from] as number;
    const reps = this.#reps;
    const [old, now] = [from * REPS, node * REPS];
    if (step === LITERAL) {
      this.#state[node] = afterLiteral(before);
      for (let index = 0; index < REPS; index += 1) reps[now + index] = reps[old + index] as number;
      return;
    }
    if (step >= REPS) this.#state[node] = afterMatch(before);
    else this.#state[node] = step === 0 && node - from === 1 ? afterShortRep(before) : afterRep(before);
    reps[now] = step >= REPS ? step - REPS : (reps[old + step] as number);
    const kept = Math.min(step, REPS - 1);
    for (let index = 1; index <= kept; index += 1) reps[now + index] = reps[old + index - 1] as number;
    for (let index = kept + 1; index < REPS; index += 1) reps[now + index] = reps[old + index] as number;
  }

  /** All steps from a node. */
  #leave(at: number, node: number): void {
    const bytes = this.#bytes;
    const prices = this.#prices;
    const { probs } = this.#model;
    const price = this.#price[node] as number;
    const state = this.#state[node] as number;
    const isMatch = probs[IS_MATCH + state] as number;
    const matched = price + priceOf(isMatch, 1);
    const isRep = probs[IS_REP + state] as number;
    const repeated = matched + priceOf(isRep, 1);
    const newest = (this.#reps[node * REPS] as number) + 1;
    const byte = bytes[at] as number;
    const before = at === 0 ? 0 : (bytes[at - 1] as number);
    const expected = newest <= at ? (bytes[at - newest] as number) : -1;

    const literal = price + priceOf(isMatch, 0);
    if (state < 7) this.#offer(node, 1, literal + prices.literal(before, byte), LITERAL);
    else this.#offer(node, 1, literal + prices.literalAfterMatch(before, byte, expected), LITERAL);
    if (byte === expected) this.#offer(node, 1, repeated + prices.shortRep(state), 0);

    let longestRep = 1;
    for (let index = 0; index < REPS; index += 1) {
      const length = this.#repLength(at, node, index);
      if (length < 2) continue;
      if (index === 0) longestRep = length;
      this.#offerAll(node, 2, length, repeated + prices.rep(index, state), prices.repLengths, index);
    }
    this.#offerMatches(node, longestRep + 1, matched + priceOf(isRep, 0));
  }

  #offerMatches(node: number, shortest: number, base: number): void {
    const { count, lengths, distances } = this.#finder;
    const prices = this.#prices;
    let length = shortest;
    for (let match = 0; match < count; match += 1) {
      const distance = distances[match] as number;
      const longest = lengths[match] as number;
      for (; length <= longest && length < 5; length += 1) {
        const price = base + (prices.matchLengths[length] as number) + prices.distance(distance, length);
        this.#offer(node, length, price, distance + REPS);
      }
      if (length > longest) continue;
      this.#offerAll(
        node,
        length,
        longest,
        base + prices.distance(distance, length),
        prices.matchLengths,
        distance + REPS,
      );
      length = longest + 1;
    }
  }

  #offerAll(node: number, shortest: number, longest: number, base: number, lengths: Int32Array, step: number): void {
    for (let length = shortest; length <= longest; length += 1)
      this.#offer(node, length, base + (lengths[length] as number), step);
  }

  /** A way to the node `length` bytes on; kept where it is the cheapest so far. */
  #offer(node: number, length: number, price: number, step: number): void {
    const to = node + length;
    if (to > this.#end) return;
    while (this.#reached < to) {
      this.#reached += 1;
      this.#price[this.#reached] = DEAR;
    }
    if (price >= (this.#price[to] as number)) return;
    this.#price[to] = price;
    this.#from[to] = node;
    this.#step[to] = step;
  }

  /** The steps to a node, in their order. */
  #trace(node: number): void {
    let count = 0;
    for (let to = node; to > 0; to = this.#from[to] as number) count += 1;
    this.count = count;
    for (let to = node; to > 0; to = this.#from[to] as number) {
      count -= 1;
      this.lengths[count] = to - (this.#from[to] as number);
      this.steps[count] = this.#step[to] as number;
    }
  }
}
