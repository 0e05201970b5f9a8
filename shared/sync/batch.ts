import { z } from "zod";
import { jsonIn, type Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";

const hex = z.custom<Sha256>((value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value));

const Known = z.object({ sha256: hex, sizeBytes: z.number().int(), url: z.string() });
const Unknown = z.object({
  name: z.string(),
  url: z.string(),
  sizeBytes: z.number().int().optional(),
  checksum: z
    .object({ algorithm: z.enum(["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]), value: z.string() })
    .optional(),
  version: z.string().optional(),
});
const Batch = z.array(z.union([Known, Unknown]));

/** A file of an upstream that is to be ours; `url` without credentials. Without SHA-256 it is read to learn what it is. */
export type WantedFile = z.infer<typeof Batch>[number];

/** A batch is what one call of the worker copies within its time. */
const BATCH_FILES = 500;
const BATCH_BYTES = 256 * 1024 * 1024;
/** Who ends a batch counts all: so many at most, but for their bytes. */
const MOST_BATCHES = 400;
/** Lists files in batches, each a blob; one batch is in memory at a time. */
export class BatchWriter {
  readonly lists: Sha256[] = [];
  files = 0;
  bytes = 0;
  #batch: WantedFile[] = [];
  #batchBytes = 0;
  readonly #ctx: Context;
  readonly #batchFiles: number;

  /** `expected`: how many files there may be. */
  constructor(ctx: Context, expected: number) {
    this.#ctx = ctx;
    this.#batchFiles = Math.max(BATCH_FILES, Math.ceil(expected / MOST_BATCHES));
  }

  async add(file: WantedFile): Promise<void> {
    const sizeBytes = file.sizeBytes ?? 0;
    if (this.#batch.length >= this.#batchFiles || this.#batchBytes + sizeBytes > BATCH_BYTES) await this.end();
    this.#batch.push(file);
    this.#batchBytes += sizeBytes;
    this.files += 1;
    this.bytes += sizeBytes;
  }

  async end(): Promise<void> {
    if (this.#batch.length === 0) return;
    this.lists.push(await this.#ctx.objects.putBlob(Buffer.from(JSON.stringify(this.#batch))));
    this.#batch = [];
    this.#batchBytes = 0;
  }
}

export async function readBatch(ctx: Context, sha256: Sha256): Promise<WantedFile[]> {
  return Batch.parse(jsonIn(await ctx.objects.getBlob(sha256)));
}
