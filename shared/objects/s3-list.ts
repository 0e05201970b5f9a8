import { ListObjectsV2Command, type S3Client } from "@aws-sdk/client-s3";
import { isSha256, type Sha256 } from "../blob.ts";
import { pathOf } from "./keys.ts";

/** `upTo`: behind that hash there may be more; undefined where nothing is left out. */
export type BlobPage = {
  readonly blobs: readonly { readonly sha256: Sha256; readonly sizeBytes: number }[];
  readonly upTo: Sha256 | undefined;
};

export type BlobLists = {
  /** Our blobs from `first` on, in the order of their hashes: at least those up to `last`, or a page of 1,000. */
  listBlobs(first: Sha256, last: Sha256): Promise<BlobPage>;
};

export function blobListsOf(client: S3Client, bucket: string): BlobLists {
  return {
    async listBlobs(first, last) {
      const from = pathOf({ kind: "blob", sha256: first });
      const page = await client.send(
        new ListObjectsV2Command({
          Bucket: bucket,
          Prefix: commonStart(from, pathOf({ kind: "blob", sha256: last })),
          // Behind it comes what it is the beginning of.
          StartAfter: from.slice(0, -1),
        }),
      );
      const blobs = (page.Contents ?? []).flatMap(({ Key = "", Size = 0 }) => {
        const sha256 = Key.slice(Key.lastIndexOf("/") + 1);
        return isSha256(sha256) ? [{ sha256, sizeBytes: Size }] : [];
      });
      return { blobs, upTo: page.IsTruncated ? blobs.at(-1)?.sha256 : undefined };
    },
  };
}

function commonStart(one: string, other: string): string {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length += 1;
  return one.slice(0, length);
}
