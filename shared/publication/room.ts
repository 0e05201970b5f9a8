import type { BlobStore } from "../tree/leaf.ts";

/** More than was asked for, so that the next index, which is a little longer, finds room as well: a part of so many. */
const SPARE = 16;

/**
 * Memory that a process joins one index after the other in. Fresh memory of ten megabytes for each would be most of what V8 collects
 * garbage for, and the kernel would make all its pages anew.
 */
export class Room {
  #free: Buffer | undefined;

  /**
   * Lends bytes that hold anything to `use`, which must not keep them. After a failure someone may be reading them still: they are left
   * alone.
   */
  async lend<T>(sizeBytes: number, use: (bytes: Buffer) => Promise<T>): Promise<T> {
    const lent = this.#take(sizeBytes);
    const result = await use(lent.subarray(0, sizeBytes));
    this.#giveBack(lent);
    return result;
  }

  #take(sizeBytes: number): Buffer {
    const free = this.#free;
    this.#free = undefined;
    return free && free.length >= sizeBytes ? free : Buffer.allocUnsafeSlow(sizeBytes + Math.ceil(sizeBytes / SPARE));
  }

  /** Of those that several had at once, the largest stays. */
  #giveBack(lent: Buffer): void {
    if ((this.#free?.length ?? 0) < lent.length) this.#free = lent;
  }
}

const rooms = new WeakMap<BlobStore, Room>();

export function roomOf(store: BlobStore): Room {
  const room = rooms.get(store) ?? new Room();
  rooms.set(store, room);
  return room;
}
