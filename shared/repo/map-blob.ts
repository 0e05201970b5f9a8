import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { findPackage } from "../package.ts";
import { keys } from "../store/keys.ts";
import type { WantedPackage } from "./wanted.ts";
import { MOST_MAP_BYTES, readWantedMap } from "./wanted-map.ts";

/** Stores a map that no response holds, and remembers that it is one: so it may be given back. */
export async function putMapBlob(ctx: Context, bytes: Uint8Array): Promise<Sha256> {
  const sha256 = await ctx.objects.putBlob(bytes);
  await ctx.table.put({ ...keys.packageMap(sha256), at: ctx.now().toISOString() });
  return sha256;
}

/**
 * Whether a blob may be read as a map: a plain file that somebody uploaded, or a map of ours. Any other blob is unknown to who
 * asks, though we hold it: it may be one that they may not read.
 * @throws AppError `unprocessable`; `too_large`
 */
export async function checkMapBlob(ctx: Context, sha256: Sha256): Promise<void> {
  const [pkg, map] = await Promise.all([findPackage(ctx, sha256), ctx.table.get(keys.packageMap(sha256))]);
  if (pkg?.format !== "file" && !map) {
    throw new AppError("unprocessable", `packages_blob ${sha256} is no file that is known here; upload it first`, {
      unknown: [sha256],
    });
  }
  const sizeBytes = await ctx.objects.blobSize(sha256);
  if (sizeBytes !== undefined && sizeBytes > MOST_MAP_BYTES) {
    throw new AppError(
      "too_large",
      `packages_blob ${sha256} has ${sizeBytes} bytes; ${MOST_MAP_BYTES} are read at most`,
    );
  }
}

/** What a map blob asks for. @throws AppError `unprocessable` where it is none */
export async function readMapBlob(ctx: Context, sha256: Sha256): Promise<WantedPackage[]> {
  await checkMapBlob(ctx, sha256);
  return readWantedMap(await ctx.objects.openBlob(sha256));
}
