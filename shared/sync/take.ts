import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseSha256, type Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { type Checksum, type Download, download, downloadWhole } from "../upstream/fetch-download.ts";
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

/** Up to this size a file is in memory whole before it is stored. */
export const SMALL_FILE_BYTES = 256 * 1024;

/** Has a file of an upstream in our store. What is known to be there by its SHA-256 is not fetched again. */
export async function takeFile(
  ctx: Context,
  address: string,
  file: Offered,
  maxBytes: number = MOST_FILE_BYTES,
): Promise<Taken> {
  const sha256 = sha256In(file);
  const held = sha256 && (await ctx.objects.blobSize(sha256));
  if (sha256 && held !== undefined) return { sha256, sizeBytes: held };
  return takeMissing(ctx, address, file, maxBytes);
}

/**
 * The same where nobody has to be asked whether it is there. Where its SHA-256 and size are known, the store itself refuses other
 * bytes; else it lies in memory or, where it may be large, on disk until both are known.
 */
export async function takeMissing(
  ctx: Context,
  address: string,
  file: Offered,
  maxBytes: number = MOST_FILE_BYTES,
): Promise<Taken> {
  const sha256 = sha256In(file);
  const { sizeBytes } = file;
  if (isSmall(file)) {
    const bytes = await fetchSmall(ctx, address, file);
    return { sha256: await ctx.objects.putBlob(bytes, sha256), sizeBytes: bytes.length };
  }
  const bytes = bytesAt(ctx, address, file, maxBytes);
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

export function isSmall({ sizeBytes }: Pick<Offered, "sizeBytes">): boolean {
  return sizeBytes !== undefined && sizeBytes <= SMALL_FILE_BYTES;
}

function sha256In({ checksum }: Offered): Sha256 | undefined {
  return checksum?.algorithm === "sha256" ? parseSha256(checksum.value) : undefined;
}

/** The whole of a small file, checked against all that is known of it. */
export async function fetchSmall(ctx: Context, address: string, file: Offered): Promise<Buffer> {
  if (!isInBucket(address, file)) {
    return downloadWhole(ctx.fetcher, withCredentialsOf(address, file.url), wantOf(file, SMALL_FILE_BYTES));
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytesAt(ctx, address, file, SMALL_FILE_BYTES)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The bytes of an upstream's file, checked against all that is known of it when they have ended. */
export function bytesAt(ctx: Context, address: string, file: Offered, maxBytes: number): AsyncIterable<Uint8Array> {
  if (isInBucket(address, file)) return openForeign(ctx, file, maxBytes);
  return download(ctx.fetcher, withCredentialsOf(address, file.url), wantOf(file, maxBytes));
}

/** An index of the web names no file in a bucket: nothing would check its bytes. */
function isInBucket(address: string, { url }: Offered): boolean {
  return isForeign(url) && isForeign(address);
}

function wantOf({ sizeBytes, checksum }: Offered, maxBytes: number): Download {
  return { maxBytes: sizeBytes ?? maxBytes, sizeBytes, checksum };
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
  if (!address.includes("@")) return url;
  const from = URL.parse(address);
  const to = URL.parse(url);
  if (!from || !to || from.origin !== to.origin) return url;
  to.username = from.username;
  to.password = from.password;
  return to.href;
}
