/** Writes on their way that nothing refers to yet: what is to name them is made meanwhile, and written when they are stored. */
export class Underway {
  readonly #writes: Promise<unknown>[] = [];

  add(write: Promise<unknown>): void {
    // What fails is told to who waits for it.
    write.catch(() => {});
    this.#writes.push(write);
  }

  /** All that were added before. */
  async stored(): Promise<void> {
    await Promise.all(this.#writes);
  }
}
