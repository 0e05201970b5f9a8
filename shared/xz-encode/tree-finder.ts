import { Finder } from "./matches.ts";

const MOST_STEPS = 48;

/**
 * For whole texts: a binary tree for each hash of four bytes, sorted by what follows each position, newest at the root. A position takes
 * as long to pass over as to look at, and eight bytes.
 */
export class TreeFinder extends Finder {
  readonly #sons: Int32Array;

  constructor(bytes: Uint8Array) {
    super(bytes);
    this.#sons = new Int32Array(2 * Math.min(this.mask + 1, bytes.length));
  }

  /** Makes `at` the root of its tree. */
  protected override add(at: number, root: number, limit: number, best: number, wanted: boolean): void {
    const bytes = this.bytes;
    const sons = this.#sons;
    const mask = this.mask;
    let longest = wanted ? best : limit;
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
        this.note(length, at - found - 1);
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
}
