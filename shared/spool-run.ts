import { type FileHandle, open } from "node:fs/promises";
import { endOfRecord, readRecord, type Written } from "./spool-record.ts";

/** Where a record was written in memory. */
export type Mark = { readonly key: string; readonly bytes: Buffer; readonly start: number; readonly end: number };

const WRITE_BYTES = 1024 * 1024;
const READ_BYTES = 128 * 1024;

/** Records in order, read one by one. */
export type Run<T> = {
  /** Of the record it stands at. */
  readonly key: string;
  readonly record: T;
  /** Goes on to the next record; false where that takes a `fill`, or there is none. */
  step(): boolean;
  /** Goes on to the next record, which may take a reading; false where there is none. */
  fill(): Promise<boolean>;
  close(): Promise<void>;
};

type Decode<T> = (written: Written) => T;

/** Writes records that are in memory to a new file, in the order given. A full disk fails this, and leaves nothing open. */
export async function writeRun(path: string, marks: Iterable<Mark>): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    const block = Buffer.allocUnsafeSlow(WRITE_BYTES);
    let length = 0;
    for (const { bytes, start, end } of marks) {
      if (length + end - start > block.length) {
        await file.writeFile(block.subarray(0, length));
        length = 0;
      }
      if (end - start > block.length) await file.writeFile(bytes.subarray(start, end));
      else length += bytes.copy(block, length, start, end);
    }
    await file.writeFile(block.subarray(0, length));
  } finally {
    await file.close();
  }
}

/** A run on disk. What is read of it is views of memory that is used for nothing else. */
export async function openRun<T>(path: string, decode: Decode<T>): Promise<Run<T>> {
  return new FileRun(await open(path), decode);
}

class FileRun<T> implements Run<T> {
  key = "";
  #record: T | undefined;
  #held: Buffer = Buffer.alloc(0);
  #at = 0;
  readonly #file: FileHandle;
  readonly #decode: Decode<T>;

  constructor(file: FileHandle, decode: Decode<T>) {
    this.#file = file;
    this.#decode = decode;
  }

  get record(): T {
    if (this.#record === undefined) throw new Error("a run stands at no record");
    return this.#record;
  }

  step(): boolean {
    const end = endOfRecord(this.#held, this.#at);
    if (end > this.#held.length || this.#at === this.#held.length) return false;
    const written = readRecord(this.#held, this.#at);
    this.#record = this.#decode(written);
    this.key = written.key;
    this.#at = end;
    return true;
  }

  async fill(): Promise<boolean> {
    while (!this.step()) {
      const rest = this.#held.subarray(this.#at);
      const block = Buffer.allocUnsafeSlow(Math.max(READ_BYTES, endOfRecord(rest, 0)));
      const kept = rest.copy(block);
      const { bytesRead } = await this.#file.read(block, kept, block.length - kept);
      if (bytesRead === 0) {
        if (kept > 0) throw new Error("a sorted run ends in the midst of a record");
        return false;
      }
      this.#held = block.subarray(0, kept + bytesRead);
      this.#at = 0;
    }
    return true;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** What is in memory, as a run. */
export class MemoryRun<T> implements Run<T> {
  #next = 0;
  readonly #marks: readonly Mark[];
  readonly #decode: Decode<T>;

  constructor(marks: readonly Mark[], decode: Decode<T>) {
    this.#marks = marks;
    this.#decode = decode;
  }

  get key(): string {
    return this.#mark.key;
  }

  get record(): T {
    return this.#decode(readRecord(this.#mark.bytes, this.#mark.start));
  }

  get #mark(): Mark {
    const mark = this.#marks[this.#next - 1];
    if (mark === undefined) throw new Error("a run stands at no record");
    return mark;
  }

  step(): boolean {
    this.#next += 1;
    return this.#next <= this.#marks.length;
  }

  async fill(): Promise<boolean> {
    return this.#next <= this.#marks.length && this.step();
  }

  async close(): Promise<void> {}
}
