import { createHash } from "node:crypto";
import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";

/** The hashes that others name a file by, in hex. */
export type Digests = { readonly sha512: string; readonly sha1: string; readonly md5: string };

/**
 * Reading a file whole costs its time twice over, on the way into the repos: of nearly every package that is well under a second.
 * What is larger has no digests but the SHA-256 that the store tells.
 */
const MOST_BYTES = 64 * 1024 ** 2;

/** One read of the whole blob; undefined where it is too large for that. */
export async function digestsOf(ctx: Context, sha256: Sha256, sizeBytes: number): Promise<Digests | undefined> {
  if (sizeBytes > MOST_BYTES) return undefined;
  const hashes = [createHash("sha512"), createHash("sha1"), createHash("md5")] as const;
  for await (const bytes of await ctx.objects.openBlob(sha256)) {
    for (const hash of hashes) hash.update(bytes);
  }
  const [sha512, sha1, md5] = hashes;
  return { sha512: sha512.digest("hex"), sha1: sha1.digest("hex"), md5: md5.digest("hex") };
}
