import pMap from "p-map";
import { z } from "zod";
import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { download } from "../upstream/fetch-download.ts";
import { addressOf, type Upstream } from "./upstream.ts";

const hex = z.custom<Sha256>((value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value));
const Batch = z.array(z.object({ sha256: hex, sizeBytes: z.number().int(), url: z.string() }));

/** A file of an upstream that is to be ours; `url` without credentials. */
export type WantedFile = z.infer<typeof Batch>[number];

/** A batch is what one call of the worker copies within its time. */
const BATCH_FILES = 200;
const BATCH_BYTES = 256 * 1024 * 1024;
const PARALLEL = 4;

/** Lists files in batches, each a blob. */
export async function writeBatches(ctx: Context, files: readonly WantedFile[]): Promise<Sha256[]> {
  const batches: WantedFile[][] = [];
  let bytes = 0;
  for (const file of files) {
    const last = batches.at(-1);
    if (!last || last.length >= BATCH_FILES || bytes + file.sizeBytes > BATCH_BYTES) {
      batches.push([file]);
      bytes = file.sizeBytes;
    } else {
      last.push(file);
      bytes += file.sizeBytes;
    }
  }
  return pMap(batches, (batch) => ctx.objects.putBlob(Buffer.from(JSON.stringify(batch))), { concurrency: PARALLEL });
}

export async function readBatch(ctx: Context, sha256: Sha256): Promise<WantedFile[]> {
  return Batch.parse(JSON.parse(Buffer.from(await ctx.objects.getBlob(sha256)).toString("utf8")));
}

/**
 * Copies what is not ours yet. The store itself refuses bytes that are not those of the hash, so that nothing wrong ever lies at a
 * blob's address; a file that is there is not fetched again.
 */
export async function copyFiles(
  ctx: Context,
  upstream: Upstream,
  files: readonly WantedFile[],
): Promise<{ packages: number; bytes: number }> {
  const address = await addressOf(ctx, upstream);
  await pMap(files, (file) => copyFile(ctx, address, file), { concurrency: PARALLEL });
  return { packages: files.length, bytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}

async function copyFile(ctx: Context, address: string, { sha256, sizeBytes, url }: WantedFile): Promise<void> {
  if ((await ctx.objects.blobSize(sha256)) !== undefined) return;
  const bytes = download(ctx.fetcher, withCredentialsOf(address, url), {
    maxBytes: sizeBytes,
    sizeBytes,
    checksum: { algorithm: "sha256", value: sha256 },
  });
  await ctx.objects.putBlobStream(sha256, sizeBytes, bytes);
}

/** Credentials go to the host they were given for, and to no other. */
export function withCredentialsOf(address: string, url: string): string {
  if (!URL.canParse(address) || !URL.canParse(url)) return url;
  const from = new URL(address);
  const to = new URL(url);
  if (from.origin !== to.origin) return url;
  to.username = from.username;
  to.password = from.password;
  return to.href;
}
