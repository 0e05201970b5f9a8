import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { UpstreamError, UpstreamFault } from "../upstream/fetch-error.ts";
import type { Offered } from "./take.ts";

const ADDRESS = /^s3:\/\/([^/]*)(?:\/(.*))?$/is;
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const TRIES = 4;

/** Whether the bytes of an upstream's file come out of a bucket. */
export function isForeign(url: string): boolean {
  return /^s3:/i.test(url);
}

/**
 * The bytes of an object, by its address as `foundInBucket` gives it. Where they break off, the rest is asked for, of the same
 * object.
 * @throws UpstreamError for another size, or more than `maxBytes`; UpstreamFault when tries were in vain
 */
export async function* openForeign(
  ctx: Context,
  { url, sizeBytes }: Pick<Offered, "url" | "sizeBytes">,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, void> {
  const { bucket, key } = bucketAt(url);
  const name = decodeURIComponent(key);
  const most = sizeBytes ?? maxBytes;
  let gotBytes = 0;
  let etag: string | undefined;
  for (let faults = 0; ; ) {
    try {
      const opened = await ctx.foreign.open(bucket, name, { from: gotBytes, etag });
      etag = opened.etag;
      for await (const chunk of opened.bytes) {
        gotBytes += chunk.length;
        if (gotBytes > most) throw wrongSize(url, sizeBytes, most, "more");
        yield chunk;
      }
      break;
    } catch (error) {
      faults += 1;
      // All came; only the connection ended badly.
      if (error instanceof UpstreamFault && gotBytes > 0 && gotBytes === sizeBytes) break;
      if (!(error instanceof UpstreamFault) || faults >= TRIES) throw error;
    }
  }
  if (sizeBytes !== undefined && gotBytes !== sizeBytes) throw wrongSize(url, sizeBytes, most, `${gotBytes}`);
}

function wrongSize(url: string, sizeBytes: number | undefined, most: number, got: string): UpstreamError {
  if (sizeBytes === undefined) return new UpstreamError("too_large", { url, expected: `at most ${most} bytes`, got });
  return new UpstreamError("size", { url, expected: `${sizeBytes} bytes`, got });
}

/** What `s3://BUCKET/KEY` names; the key as it stands there. */
export function bucketAt(url: string): { bucket: string; key: string } {
  const [, bucket = "", key = ""] = ADDRESS.exec(url) ?? [];
  if (!BUCKET.test(bucket))
    throw refused(url, `${JSON.stringify(bucket.slice(0, 80))} is no bucket: expected s3://BUCKET/PREFIX`);
  return { bucket, key };
}

export function refused(url: string, what: string): AppError {
  return new AppError("unprocessable", `${url.slice(0, 300)}: ${what}`, { url });
}
