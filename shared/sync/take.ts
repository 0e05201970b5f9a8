import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseSha256, type Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { type Checksum, download } from "../upstream/fetch-download.ts";
import { isForeign, openForeign } from "./dir-open.ts";

/** A file of an upstream, with what is known of it; `url` without credentials. */
export type Offered = {
  readonly url: string;
  readonly sizeBytes?: number | undefined;
  readonly checksum?: Checksum | undefined;
};

export type Taken = { readonly sha256: Sha256; readonly sizeBytes: number };

/** The store takes single objects up to this size, and a function's disk not much more. */
export const MOST_FILE_BYTES = 5 * 1024 * 1024 * 1024;

/**
 * Has a file of an upstream in our store. Where its SHA-256 and size are known, the store itself refuses other bytes, and what is
 * there is not fetched again; else it lies on disk until both are known.
 */
export async function takeFile(
  ctx: Context,
  address: string,
  { url, sizeBytes, checksum }: Offered,
  maxBytes: number = MOST_FILE_BYTES,
): Promise<Taken> {
  const sha256 = checksum?.algorithm === "sha256" ? parseSha256(checksum.value) : undefined;
  const held = sha256 && (await ctx.objects.blobSize(sha256));
  if (sha256 && held !== undefined) return { sha256, sizeBytes: held };
  const bytes = bytesAt(ctx, address, { url, sizeBytes, checksum }, maxBytes);
  if (sha256 && sizeBytes !== undefined) {
    await ctx.objects.putBlobStream(sha256, sizeBytes, bytes);
    return { sha256, sizeBytes };
  }
  return onDisk(bytes, async (path, taken) => {
    if ((await ctx.objects.blobSize(taken.sha256)) === undefined) {
      await ctx.objects.putBlobStream(taken.sha256, taken.sizeBytes, createReadStream(path));
    }
    return taken;
  });
}

/** The bytes of an upstream's file, checked against all that is known of it when they have ended. */
export function bytesAt(
  ctx: Context,
  address: string,
  { url, sizeBytes, checksum }: Offered,
  maxBytes: number,
): AsyncIterable<Uint8Array> {
  // An index of the web names no file in a bucket: nothing would check its bytes.
  if (isForeign(url) && isForeign(address)) return openForeign(ctx, { url, sizeBytes }, maxBytes);
  return download(ctx.fetcher, withCredentialsOf(address, url), {
    maxBytes: sizeBytes ?? maxBytes,
    sizeBytes,
    checksum,
  });
}

async function onDisk<T>(
  bytes: AsyncIterable<Uint8Array>,
  use: (path: string, taken: Taken) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "packhouse-"));
  try {
    const path = join(folder, "file");
    const file = await open(path, "wx", 0o600);
    const hash = createHash("sha256");
    let sizeBytes = 0;
    try {
      for await (const chunk of bytes) {
        hash.update(chunk);
        sizeBytes += chunk.length;
        await file.writeFile(chunk);
      }
    } finally {
      await file.close();
    }
    return await use(path, { sha256: parseSha256(hash.digest("hex")), sizeBytes });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
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
