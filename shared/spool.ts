import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mostBytesOf, readKey, type Written, writeRecord } from "./spool-record.ts";
import { type Mark, MemoryRun, openRun, type Run, writeRun } from "./spool-run.ts";

/** How records of one kind are written down. */
export type Spooling<T> = {
  readonly encode: (record: T) => Written;
  /** The chunks are views of memory that is used for nothing else while the spool is open. */
  readonly decode: (written: Written) => T;
};

const MOST_BYTES = 12 * 1024 * 1024;
const SLAB_BYTES = 1024 * 1024;
/** What a record in memory costs beside its bytes and its key. */
const MARK_BYTES = 100;
/** So many records are read at a time, at most. */
const BATCH_RECORDS = 256;

/**
 * Sorts more records than fit into memory: beyond `maxBytes` what was added is written to a temporary folder as a sorted run, and
 * all runs are merged when they are read. What fits never touches a disk. Records are written down as soon as they are added: a
 * few large pieces of memory instead of many small objects, which would be moved about by each collection. To be closed, whatever
 * happened.
 */
export class Spool<T> {
  /** Records added. */
  count = 0;
  #marks: Mark[] = [];
  #slab: Buffer = Buffer.alloc(0);
  #slabAt = 0;
  /** Those that are full, and those that can be used again. */
  #full: Buffer[] = [];
  #free: Buffer[] = [];
  #bytes = 0;
  #runs: string[] = [];
  #folder: string | undefined;
  readonly #spooling: Spooling<T>;
  readonly #maxBytes: number;

  constructor(spooling: Spooling<T>, maxBytes: number = MOST_BYTES) {
    this.#spooling = spooling;
    this.#maxBytes = maxBytes;
  }

  /** To be waited for only where it answers something: then memory is full. */
  add(record: T): Promise<void> | undefined {
    const written = this.#spooling.encode(record);
    const bytes = this.#reserve(mostBytesOf(written));
    const start = this.#slabAt;
    const end = writeRecord(written, bytes, start);
    // Not the record's own: that may be a part of a longer text, which would stay in memory with it.
    const key = readKey(bytes, start);
    this.#marks.push({ key, bytes, start, end });
    this.#slabAt = end;
    this.#bytes += end - start + key.length + MARK_BYTES;
    this.count += 1;
    return this.#bytes >= this.#maxBytes ? this.#spill() : undefined;
  }

  /**
   * Every record, in order, some at a time; of equal keys in no particular one. May be read more than once, when nothing is added
   * any more.
   */
  async *sorted(): AsyncGenerator<readonly T[]> {
    const runs: Run<T>[] = [new MemoryRun(this.#inOrder(), this.#spooling.decode)];
    try {
      for (const path of this.#runs) runs.push(await openRun(path, this.#spooling.decode));
      yield* merged(runs);
    } finally {
      for (const run of runs) await run.close();
    }
  }

  async close(): Promise<void> {
    this.#marks = [];
    this.#slab = Buffer.alloc(0);
    this.#full = [];
    this.#free = [];
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }

  #inOrder(): Mark[] {
    return this.#marks.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  }

  #reserve(count: number): Buffer {
    if (this.#slabAt + count > this.#slab.length) {
      this.#full.push(this.#slab);
      this.#slab = count > SLAB_BYTES ? Buffer.allocUnsafeSlow(count) : this.#anySlab();
      this.#slabAt = 0;
    }
    return this.#slab;
  }

  #anySlab(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
  }

  async #spill(): Promise<void> {
    this.#folder ??= await mkdtemp(join(tmpdir(), "packhouse-"));
    const path = join(this.#folder, `run-${this.#runs.length}`);
    await writeRun(path, this.#inOrder());
    this.#runs.push(path);
    this.#free.push(...this.#full.filter((slab) => slab.length === SLAB_BYTES));
    this.#full = [];
    this.#slabAt = 0;
    this.#marks = [];
    this.#bytes = 0;
  }
}

/** Nothing more is read while the records of a batch are in use: they and what the runs hold of them are all that is in memory. */
async function* merged<T>(runs: readonly Run<T>[]): AsyncGenerator<readonly T[]> {
  const others: Run<T>[] = [];
  for (const run of runs) if (await run.fill()) putInOrder(others, run);
  let batch: T[] = [];
  for (let least = others.shift(); least !== undefined; ) {
    batch.push(least.record);
    let isGoing = least.step();
    if (!isGoing || batch.length === BATCH_RECORDS) {
      yield batch;
      batch = [];
      isGoing ||= await least.fill();
    }
    const next: Run<T> | undefined = others[0];
    if (isGoing && (next === undefined || least.key <= next.key)) continue;
    if (isGoing) putInOrder(others, least);
    least = others.shift();
  }
}

/** Among runs in the order of the records they stand at. */
function putInOrder<T>(runs: Run<T>[], run: Run<T>): void {
  let low = 0;
  for (let high = runs.length; low < high; ) {
    const middle = (low + high) >> 1;
    if ((runs[middle]?.key ?? "") < run.key) low = middle + 1;
    else high = middle;
  }
  runs.splice(low, 0, run);
}
