import type { Gunzip, ZstdDecompress } from "node:zlib";
import { FormatError } from "./error.ts";

/**
 * One of Node's decoders, driven step by step: what a piece of input gives is taken out before the next is put in, so that
 * nothing piles up and nothing runs when nobody asks.
 */
export class NativeDecoder {
  readonly #decoder: Gunzip | ZstdDecompress;
  readonly #start: () => number;
  #error: Error | undefined;
  #ended = false;
  #wake: () => void = () => undefined;

  /** `start` tells where in the file the decoder's input begins, for errors. */
  constructor(decoder: Gunzip | ZstdDecompress, start: () => number) {
    this.#decoder = decoder;
    this.#start = start;
    decoder.on("readable", () => this.#wake());
    decoder.on("end", () => {
      this.#ended = true;
      this.#wake();
    });
    decoder.on("error", (error) => {
      this.#error = error;
      this.#wake();
    });
  }

  /** How much of the input the decoder made use of. */
  get consumedBytes(): number {
    return this.#decoder.bytesWritten;
  }

  write(chunk: Buffer): AsyncGenerator<Buffer, void> {
    return this.#step((done) => this.#decoder.write(chunk, done));
  }

  /** No more will be written: gives what is left. @throws FormatError when the data is not at its end */
  end(): AsyncGenerator<Buffer, void> {
    return this.#step(() => this.#decoder.end(), true);
  }

  close(): void {
    this.#decoder.destroy();
  }

  async *#step(act: (done: () => void) => void, untilEnd = false): AsyncGenerator<Buffer, void> {
    if (this.#ended) return;
    let done = false;
    act(() => {
      done = true;
      this.#wake();
    });
    for (;;) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const finished = done && !untilEnd;
      const chunk: Buffer | null = this.#decoder.read();
      if (this.#error) throw this.#damage(this.#error);
      if (chunk) yield chunk;
      else if (this.#ended || finished) return;
      else await woken;
    }
  }

  #damage(error: Error): FormatError {
    return new FormatError(`compressed data is damaged: ${error.message}`, this.#start() + this.consumedBytes);
  }
}
