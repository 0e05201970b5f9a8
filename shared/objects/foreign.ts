import { GetObjectCommand, ListObjectsV2Command, type S3Client, S3ServiceException } from "@aws-sdk/client-s3";
import { SETTINGS } from "../settings.ts";
import { UpstreamError, UpstreamFault } from "../upstream/fetch-error.ts";

export type ForeignObject = { readonly key: string; readonly sizeBytes: number; readonly etag: string };

/** `next` is what to ask for the page that follows; undefined behind the last. */
export type ForeignPage = { readonly objects: readonly ForeignObject[]; readonly next: string | undefined };

/**
 * Buckets of others, of which only those that the configuration names may be read. Methods throw UpstreamError for what stays
 * wrong (a bucket that may not be read, an object that is gone) and UpstreamFault for what may pass.
 */
export type ForeignBuckets = {
  /** A page of at most 1,000 objects in the order of their keys. */
  list(bucket: string, prefix: string, after?: string): Promise<ForeignPage>;
  /** The bytes from `from` on, of the object as `etag` tells it where one is given. */
  open(bucket: string, key: string, part?: { from: number; etag: string | undefined }): Promise<ForeignBytes>;
};

export type ForeignBytes = { readonly etag: string | undefined; readonly bytes: AsyncIterable<Uint8Array> };

export function foreignBucketsOf(client: S3Client, allowed: readonly string[]): ForeignBuckets {
  const ask = async <T>(bucket: string, url: string, send: () => Promise<T>): Promise<T> => {
    if (!allowed.includes(bucket)) {
      throw new UpstreamError("address", {
        url,
        expected: `a bucket that ${SETTINGS.upstreamBuckets} lists`,
        got: bucket,
      });
    }
    try {
      return await send();
    } catch (error) {
      throw failureOf(error, url);
    }
  };
  return {
    async list(bucket, prefix, after) {
      const page = await ask(bucket, `s3://${bucket}/${prefix}`, () =>
        client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: prefix,
            // XML holds no control characters; keys do.
            EncodingType: "url",
            ...(after === undefined ? {} : { ContinuationToken: after }),
          }),
        ),
      );
      const objects = (page.Contents ?? []).map(({ Key = "", Size = 0, ETag = "" }) => ({
        key: decodeURIComponent(Key.replaceAll("+", " ")),
        sizeBytes: Size,
        etag: ETag,
      }));
      return { objects, next: page.IsTruncated ? page.NextContinuationToken : undefined };
    },

    async open(bucket, key, part) {
      const url = `s3://${bucket}/${key}`;
      const { Body, ETag } = await ask(bucket, url, () =>
        client.send(
          new GetObjectCommand({
            Bucket: bucket,
            Key: key,
            ...(part?.from ? { Range: `bytes=${part.from}-` } : {}),
            ...(part?.etag ? { IfMatch: part.etag } : {}),
          }),
        ),
      );
      if (!Body) throw new Error(`${url} came without a body`);
      return { etag: ETag, bytes: told(url, Body.transformToWebStream()) };
    },
  };
}

async function* told(url: string, bytes: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch (error) {
    throw failureOf(error, url);
  }
}

function failureOf(error: unknown, url: string): Error {
  const got = error instanceof Error ? `${error.name}: ${error.message}`.slice(0, 300) : "no answer";
  const failure = { url, expected: "its bytes or its list", got };
  const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
  if (status === undefined || status >= 500 || status === 429 || status === 408)
    return new UpstreamFault(failure, { cause: error });
  return new UpstreamError(status === 412 ? "changed" : "status", { ...failure, status });
}
