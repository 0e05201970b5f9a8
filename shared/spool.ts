import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

/** How records of one kind are ordered, weighed and written down. */
export type Spooling<T> = {
  /** By which they are sorted, in the order of code units. */
  readonly keyOf: (record: T) => string;
  readonly weightOf: (record: T) => number;
  readonly encode: (record: T) => Buffer;
  readonly decode: (bytes: Buffer) => T;
};

const MOST_BYTES = 24 * 1024 * 1024;
const HEAD_BYTES = 4;

/**
 * Sorts more records than fit into memory: beyond `maxBytes` what was added is written to a temporary folder as a sorted run, and
 * all runs are merged when they are read. What fits never touches a disk. To be closed, whatever happened.
 */
export class Spool<T> {
  /** Records added. */
  count = 0;
  #records: T[] = [];
  #bytes = 0;
  #runs: string[] = [];
  #folder: string | undefined;
  readonly #spooling: Spooling<T>;
  readonly #maxBytes: number;

  constructor(spooling: Spooling<T>, maxBytes: number = MOST_BYTES) {
    this.#spooling = spooling;
    this.#maxBytes = maxBytes;
  }

  async add(record: T): Promise<void> {
    this.#records.push(record);
    this.#bytes += this.#spooling.weightOf(record);
    this.count += 1;
    if (this.#bytes >= this.#maxBytes) await this.#spill();
  }

  /** Every record, in order; of equal keys in no particular one. May be read more than once, when nothing is added any more. */
  async *sorted(): AsyncGenerator<T> {
    if (this.#runs.length === 0) {
      yield* this.#inOrder();
      return;
    }
    if (this.#records.length > 0) await this.#spill();
    yield* this.#merged();
  }

  async close(): Promise<void> {
    this.#records = [];
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }

  #inOrder(): T[] {
    const { keyOf } = this.#spooling;
    return this.#records.sort((a, b) => compare(keyOf(a), keyOf(b)));
  }

  async #spill(): Promise<void> {
    this.#folder ??= await mkdtemp(join(tmpdir(), "packhouse-"));
    const path = join(this.#folder, `run-${this.#runs.length}`);
    // A full disk fails this, and nothing else: both ends are closed then.
    await pipeline(this.#encoded(), createWriteStream(path, { mode: 0o600, highWaterMark: 1024 * 1024 }));
    this.#runs.push(path);
    this.#records = [];
    this.#bytes = 0;
  }

  *#encoded(): Generator<Buffer> {
    for (const record of this.#inOrder()) {
      const bytes = this.#spooling.encode(record);
      const head = Buffer.alloc(HEAD_BYTES);
      head.writeUInt32LE(bytes.length);
      yield head;
      yield bytes;
    }
  }

  async *#merged(): AsyncGenerator<T> {
    const { keyOf } = this.#spooling;
    const open = this.#runs.map((path) => ({
      records: this.#recordsOf(path),
      record: undefined as T | undefined,
      key: "",
    }));
    try {
      for (const run of open) await advance(run, keyOf);
      let going = open.filter(({ record }) => record !== undefined);
      while (going.length > 0) {
        const least = going.reduce((a, b) => (compare(b.key, a.key) < 0 ? b : a));
        if (least.record !== undefined) yield least.record;
        await advance(least, keyOf);
        if (least.record === undefined) going = going.filter((run) => run !== least);
      }
    } finally {
      for (const { records } of open) await records.return(undefined);
    }
  }

  async *#recordsOf(path: string): AsyncGenerator<T> {
    let held: Buffer = Buffer.alloc(0);
    for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      let at = 0;
      while (held.length - at >= HEAD_BYTES) {
        const end = at + HEAD_BYTES + held.readUInt32LE(at);
        if (end > held.length) break;
        yield this.#spooling.decode(held.subarray(at + HEAD_BYTES, end));
        at = end;
      }
      held = held.subarray(at);
    }
    if (held.length > 0) throw new Error("a sorted run ends in the midst of a record");
  }
}

async function advance<T>(
  run: { records: AsyncGenerator<T>; record: T | undefined; key: string },
  keyOf: (record: T) => string,
): Promise<void> {
  const next = await run.records.next();
  run.record = next.done ? undefined : next.value;
  if (run.record !== undefined) run.key = keyOf(run.record);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
