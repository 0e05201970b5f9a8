import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  type S3Client,
  S3ServiceException,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import pMap from "p-map";
import type { Sha256 } from "../blob.ts";
import { cacheControlOf, pathOf } from "./keys.ts";
import type { Incoming } from "./s3.ts";
import { absentIf404, unless412 } from "./s3-answers.ts";
import { type Span, spansOf } from "./spans.ts";

export type CopyTerms = {
  /** At least what leaves a file in 1,000 parts, so that one page lists them. */
  readonly partBytes: number;
  /** Asked before each part but the first: when it is so, the rest is left for another call. */
  isOver(): boolean;
};

export type PartCopies = {
  /**
   * Has the store copy an upload of known hash to the address of it, part by part; for what is over one copy's limit. The
   * checksum that the store has of the whole must be the copy's too. False when the time was over before all was copied: a
   * later call goes on. Safe to repeat, and for two at once: they work on the same copy.
   */
  takeInParts(uploadId: string, incoming: Incoming, sha256: Sha256, terms: CopyTerms): Promise<boolean>;
};

const COPIES_AT_ONCE = 4;

type Destination = { readonly Bucket: string; readonly Key: string };
type Copy = Destination & { readonly UploadId: string };

export function partCopiesOf(client: S3Client, bucket: string): PartCopies {
  /** What a call before this one began; there is nothing to remember but the blob's own address. */
  const findCopies = async (to: Destination): Promise<Copy[]> => {
    const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: to.Bucket, Prefix: to.Key }));
    return (Uploads ?? []).flatMap(({ UploadId }) => (UploadId === undefined ? [] : { ...to, UploadId }));
  };

  const beginCopy = async (to: Destination, sha256: Sha256): Promise<Copy> => {
    const { UploadId } = await client.send(
      new CreateMultipartUploadCommand({
        ...to,
        ContentType: "application/octet-stream",
        CacheControl: cacheControlOf({ kind: "blob", sha256 }),
        ChecksumAlgorithm: "CRC64NVME",
        ChecksumType: "FULL_OBJECT",
      }),
    );
    if (UploadId === undefined) throw new Error("the store began a copy without naming it");
    return { ...to, UploadId };
  };

  const abort = (copy: Copy) => absentIf404(() => client.send(new AbortMultipartUploadCommand(copy)));

  const sizeOf = async (to: Destination): Promise<number | undefined> =>
    (await absentIf404(() => client.send(new HeadObjectCommand(to))))?.ContentLength;

  /** Undefined where it was completed by another, or was cut otherwise than ours would be. */
  const partsThere = async (copy: Copy, spans: readonly Span[]): Promise<Map<number, string> | undefined> => {
    const page = await absentIf404(() => client.send(new ListPartsCommand(copy)));
    if (!page) return undefined;
    const there = new Map<number, string>();
    for (const { PartNumber = 0, Size, ETag = "" } of page.Parts ?? []) {
      if (spans[PartNumber - 1]?.sizeBytes !== Size) {
        await abort(copy);
        return undefined;
      }
      there.set(PartNumber, ETag);
    }
    return there;
  };

  return {
    async takeInParts(uploadId, incoming, sha256, { partBytes, isOver }) {
      const to = { Bucket: bucket, Key: pathOf({ kind: "blob", sha256 }) };
      if ((await sizeOf(to)) === incoming.sizeBytes) {
        for (const left of await findCopies(to)) await abort(left);
        return true;
      }
      const [begunBefore] = await findCopies(to);
      const copy = begunBefore ?? (await beginCopy(to, sha256));
      const spans = spansOf(incoming.sizeBytes, partBytes);
      const there = await partsThere(copy, spans);
      if (!there) throw new Error(`the copy to ${to.Key} was ended by another; it is begun anew`);

      const source = `${bucket}/${pathOf({ kind: "incoming", uploadId })}`;
      let begun = false;
      await pMap(
        spans.filter(({ number }) => !there.has(number)),
        async ({ number, offset, sizeBytes }) => {
          // Every call does something, so that calls come to an end.
          if (begun && isOver()) return;
          begun = true;
          const { CopyPartResult } = await client.send(
            new UploadPartCopyCommand({
              ...copy,
              PartNumber: number,
              CopySource: source,
              CopySourceIfMatch: incoming.eTag,
              CopySourceRange: `bytes=${offset}-${offset + sizeBytes - 1}`,
            }),
          );
          there.set(number, CopyPartResult?.ETag ?? "");
        },
        { concurrency: COPIES_AT_ONCE },
      );
      if (there.size < spans.length) return false;

      const completed = await unless412(() =>
        client.send(
          new CompleteMultipartUploadCommand({
            ...copy,
            MultipartUpload: { Parts: spans.map(({ number }) => ({ PartNumber: number, ETag: there.get(number) })) },
            MpuObjectSize: incoming.sizeBytes,
            ChecksumType: "FULL_OBJECT",
            // The store refuses the whole where its own sum of the copy is another.
            ...(incoming.crc64 === undefined ? {} : { ChecksumCRC64NVME: incoming.crc64 }),
            IfNoneMatch: "*",
          }),
        ),
      ).catch(async (error: unknown) => {
        // Parts that make no whole would be refused at every further try.
        if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 400) await abort(copy);
        throw error;
      });
      if (completed === undefined && (await sizeOf(to)) !== incoming.sizeBytes) {
        throw new Error(`${to.Key} is there with another size`);
      }
      if (completed === undefined) await abort(copy);
      return true;
    },
  };
}
