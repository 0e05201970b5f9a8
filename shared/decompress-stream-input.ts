import { FormatError } from "./error.ts";

const READ_AHEAD_BYTES = 64 * 1024;

/** A stream of bytes that is looked at before it is taken. It reads no further than it is asked to, up to the source's own chunks. */
export class ByteSource {
  /** What the source has given so far, read ahead or not. */
  receivedBytes = 0;
  readonly #iterator: AsyncIterator<Uint8Array>;
  #buffer = Buffer.allocUnsafeSlow(READ_AHEAD_BYTES);
  #start = 0;
  #end = 0;
  /** The part of the source's last chunk that is not yet in the buffer. */
  #rest: Uint8Array = new Uint8Array(0);
  #done = false;
  #offset = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** How many bytes were taken. */
  get offset(): number {
    return this.#offset;
  }

  /** What `fill` has made ready: valid until the next call of anything here. */
  get bytes(): Buffer {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** Makes `count` bytes ready, or fewer where the source ends. Answers how many there are; there may be more. */
  async fill(count: number): Promise<number> {
    while (this.#end - this.#start < count && (await this.#more())) {
      const missing = count - (this.#end - this.#start);
      const part = this.#rest.subarray(0, Math.max(missing, READ_AHEAD_BYTES));
      this.#rest = this.#rest.subarray(part.length);
      this.#reserve(part.length);
      this.#buffer.set(part, this.#end);
      this.#end += part.length;
    }
    return this.#end - this.#start;
  }

  /** @throws FormatError when the source ends before `count` bytes */
  async need(count: number, what: string): Promise<void> {
    const there = await this.fill(count);
    if (there < count) throw new FormatError(`${what} ends too early`, this.#offset + there);
  }

  /** Takes bytes that `fill` has made ready. */
  skip(count: number): number {
    this.#start += count;
    this.#offset += count;
    if (this.#start === this.#end) this.#start = this.#end = 0;
    return count;
  }

  /** Takes whatever comes next; undefined at the end. The bytes stay as they are until the source is asked for more. */
  async chunk(): Promise<Buffer | undefined> {
    if (this.#end > this.#start) {
      const ready = Buffer.from(this.bytes);
      this.skip(ready.length);
      return ready;
    }
    if (!(await this.#more())) return undefined;
    const { buffer, byteOffset, length } = this.#rest;
    this.#rest = new Uint8Array(0);
    this.#offset += length;
    return Buffer.from(buffer, byteOffset, length);
  }

  async close(): Promise<void> {
    if (this.#done) return;
    this.#done = true;
    await this.#iterator.return?.();
  }

  /** Whether there is anything in `rest`, having asked for it. */
  async #more(): Promise<boolean> {
    while (this.#rest.length === 0 && !this.#done) {
      const next = await this.#iterator.next();
      if (next.done) {
        this.#done = true;
      } else {
        this.#rest = next.value;
        this.receivedBytes += next.value.length;
      }
    }
    return this.#rest.length > 0;
  }

  #reserve(count: number): void {
    if (this.#end + count <= this.#buffer.length) return;
    const there = this.#end - this.#start;
    // At least half of it free after a move, so that moving costs no more than reading.
    if ((there + count) * 2 <= this.#buffer.length) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
    } else {
      const larger = Buffer.allocUnsafeSlow((there + count) * 2);
      this.#buffer.copy(larger, 0, this.#start, this.#end);
      this.#buffer = larger;
    }
    this.#start = 0;
    this.#end = there;
  }
}
