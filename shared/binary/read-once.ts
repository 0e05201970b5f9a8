import { createHash } from "node:crypto";
import type { RangeSource, Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";

/** The hashes that others name a file by, in hex. */
export type Digests = { readonly sha512: string; readonly sha1: string; readonly md5: string };

/**
 * Reading a file whole costs its time twice over, on the way into the repos: of nearly every package that is well under a second.
 * What is larger has no digests but the SHA-256 that the store tells.
 */
const MOST_BYTES = 64 * 1024 ** 2;
/** The head of nearly every package lies within so much of its front. */
const FRONT_BYTES = 512 * 1024;

export type ReadOnce = {
  readonly source: RangeSource;
  /** Undefined where the blob is too large to be read whole. */
  readonly digests: Digests | undefined;
};

/**
 * Reads a blob of a known size for its digests, keeping its front, so that its head costs no request more. What lies behind the
 * front is asked for by ranges, and so is all of a blob that is too large to be read whole.
 */
export async function readOnce(ctx: Context, sha256: Sha256, sizeBytes: number): Promise<ReadOnce> {
  let ranges: Promise<RangeSource> | undefined;
  const readRange = async (offset: number, length: number) => {
    ranges ??= ctx.objects.blobSource(sha256);
    return (await ranges).read(offset, length);
  };
  if (sizeBytes > MOST_BYTES) return { source: { sizeBytes, read: readRange }, digests: undefined };

  const hashes = [createHash("sha512"), createHash("sha1"), createHash("md5")] as const;
  const parts: Uint8Array[] = [];
  let bytesRead = 0;
  for await (const bytes of await ctx.objects.openBlob(sha256)) {
    for (const hash of hashes) hash.update(bytes);
    if (bytesRead < FRONT_BYTES) parts.push(bytes.subarray(0, FRONT_BYTES - bytesRead));
    bytesRead += bytes.length;
  }
  if (bytesRead !== sizeBytes) throw new Error(`blob ${sha256} has ${bytesRead} bytes, not ${sizeBytes}`);
  const front = Buffer.concat(parts);
  const [sha512, sha1, md5] = hashes;
  return {
    source: {
      sizeBytes,
      read: async (offset, length) =>
        Math.min(offset + length, sizeBytes) <= front.length
          ? front.subarray(offset, offset + length)
          : readRange(offset, length),
    },
    digests: { sha512: sha512.digest("hex"), sha1: sha1.digest("hex"), md5: md5.digest("hex") },
  };
}
