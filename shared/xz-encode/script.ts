const FIRST_CAPACITY = 1024;

/** That bytes are still to be looked for. */
export const UNKNOWN = 0;

/**
 * How a text is told. Entries in their order: from `starts[i]` on, `lengths[i]` bytes are those so far before as `distances[i]` says;
 * or how to tell them is UNKNOWN. What lies between entries is told byte by byte.
 */
export class Script {
  starts: Int32Array = new Int32Array(FIRST_CAPACITY);
  lengths: Int32Array = new Int32Array(FIRST_CAPACITY);
  distances: Int32Array = new Int32Array(FIRST_CAPACITY);
  count = 0;
  /** Bytes that are UNKNOWN here, or were in the scripts that this one is taken from, since all of a text was looked for. */
  patchedBytes = 0;

  /** Of a text that nothing is known of. */
  static unknown(sizeBytes: number): Script {
    const script = new Script();
    script.push(0, sizeBytes, UNKNOWN);
    return script;
  }

  push(start: number, length: number, distance: number): void {
    if (length === 0) return;
    if (distance === UNKNOWN) {
      this.patchedBytes += length;
      const last = this.count - 1;
      if (last >= 0 && this.distances[last] === UNKNOWN && this.endOf(last) === start) {
        this.lengths[last] = (this.lengths[last] as number) + length;
        return;
      }
    }
    if (this.count === this.starts.length) this.#grow();
    this.starts[this.count] = start;
    this.lengths[this.count] = length;
    this.distances[this.count] = distance;
    this.count += 1;
  }

  endOf(index: number): number {
    return (this.starts[index] as number) + (this.lengths[index] as number);
  }

  /** The first entry that ends behind a position. */
  firstBehind(position: number): number {
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.endOf(middle) > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #grow(): void {
    const larger = (old: Int32Array) => {
      const grown = new Int32Array(2 * old.length);
      grown.set(old);
      return grown;
    };
    this.starts = larger(this.starts);
    this.lengths = larger(this.lengths);
    this.distances = larger(this.distances);
  }
}
