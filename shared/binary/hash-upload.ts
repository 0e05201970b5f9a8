import { createSHA256 } from "hash-wasm";
import { z } from "zod";
import { parseSha256, type RangeSource, type Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import type { Incoming } from "../objects/s3.ts";
import { keys } from "../store/keys.ts";

const READ_BYTES = 4 * 1024 ** 2;
/** One connection to a store is slower than its hash; so much lies in memory at once. */
const READS_AT_ONCE = 4;
/** What is read again at most after a process died. */
const SAVE_MS = 15_000;

const Progress = z.object({
  /** Grows with each write: who writes last goes on, and any other stops. */
  revision: z.number().int(),
  /** Of the object that is read. */
  eTag: z.string(),
  offset: z.number().int(),
  /** Of the hash, in base64. */
  state: z.string().optional(),
  sha256: z.string().optional(),
});
type Progress = z.infer<typeof Progress>;

/** `over`: the time was, and another call goes on from here; `taken`: another one has gone on already. */
export type Hashed = Sha256 | "over" | "taken";

/**
 * Reads an upload to learn the SHA-256 that no store tells of so large an object. Where it got to is written down every few
 * seconds, so that whoever comes next goes on from there.
 */
export async function hashUpload(
  ctx: Context,
  uploadId: string,
  incoming: Incoming,
  isOver: () => boolean,
): Promise<Hashed> {
  const key = keys.uploadHash(uploadId);
  const item = await ctx.table.get(key);
  const stored = item && Progress.parse(item);
  let progress: Progress = stored?.eTag === incoming.eTag ? stored : startOf(incoming, stored?.revision ?? 0);
  if (progress.sha256 !== undefined) return parseSha256(progress.sha256);

  const write = async (change: Partial<Progress>): Promise<boolean> => {
    const { revision } = progress;
    progress = { ...progress, ...change, revision: revision + 1 };
    return ctx.table.put({ ...key, ...progress }, revision === 0 ? { absent: true } : { equals: { revision } });
  };
  // Whoever works on it already stops at its next write.
  if (!(await write({}))) return "taken";

  const { hash, offset: from } = await resume(progress);
  let savedAt = ctx.now().getTime();
  let offset = from;
  for await (const bytes of readsOf(ctx.objects.incomingSource(uploadId, incoming), from)) {
    hash.update(bytes);
    offset += bytes.length;
    const over = isOver();
    if (!over && ctx.now().getTime() - savedAt < SAVE_MS) continue;
    if (!(await write({ offset, state: Buffer.from(hash.save()).toString("base64") }))) return "taken";
    if (over && offset < incoming.sizeBytes) return "over";
    savedAt = ctx.now().getTime();
  }
  if (offset !== incoming.sizeBytes) throw new Error(`an upload of ${incoming.sizeBytes} bytes ended at ${offset}`);
  const sha256 = parseSha256(hash.digest("hex"));
  return (await write({ offset, sha256 })) ? sha256 : "taken";
}

export async function forgetHash(ctx: Context, uploadId: string): Promise<void> {
  await ctx.table.delete(keys.uploadHash(uploadId));
}

function startOf({ eTag }: Incoming, revision: number): Progress {
  return { revision, eTag, offset: 0 };
}

async function resume({ state, offset }: Progress) {
  const hash = (await createSHA256()).init();
  if (state === undefined) return { hash, offset: 0 };
  try {
    hash.load(Buffer.from(state, "base64"));
    return { hash, offset };
  } catch {
    // Another build of the hash wrote it: begin anew.
    return { hash: hash.init(), offset: 0 };
  }
}

/** The bytes from `offset` on, in order; a few reads are under way while one is worked on. */
async function* readsOf(source: RangeSource, offset: number): AsyncGenerator<Uint8Array> {
  const reads: Promise<Uint8Array>[] = [];
  let next = offset;
  for (;;) {
    while (next < source.sizeBytes && reads.length < READS_AT_ONCE) {
      const read = source.read(next, READ_BYTES);
      // Whoever stops early leaves some behind; what became of those is nobody's concern.
      read.catch(() => undefined);
      reads.push(read);
      next += READ_BYTES;
    }
    const first = reads.shift();
    if (!first) return;
    yield await first;
  }
}
