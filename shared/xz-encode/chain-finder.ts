import { Finder } from "./matches.ts";

const MOST_STEPS = 512;

/**
 * For a few stretches of a long text: the positions of each hash of four bytes, newest first. To pass over a position costs next to
 * nothing, to look at one more than in a tree.
 */
export class ChainFinder extends Finder {
  readonly #earlier: Int32Array;

  constructor(bytes: Uint8Array) {
    super(bytes);
    this.#earlier = new Int32Array(Math.min(this.mask + 1, bytes.length));
  }

  protected override add(at: number, last: number, limit: number, best: number, wanted: boolean): void {
    const bytes = this.bytes;
    const earlier = this.#earlier;
    const mask = this.mask;
    earlier[at & mask] = last;
    if (!wanted) return;
    let longest = best;
    let found = last;
    for (let steps = MOST_STEPS; steps > 0 && found >= 0 && at - found <= mask; steps -= 1) {
      if (longest < limit && bytes[found + longest] === bytes[at + longest]) {
        let length = 0;
        while (length < limit && bytes[found + length] === bytes[at + length]) length += 1;
        if (length > longest) {
          longest = length;
          this.note(length, at - found - 1);
        }
      }
      found = earlier[found & mask] as number;
    }
  }
}
