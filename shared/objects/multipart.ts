import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  type S3Client,
  S3ServiceException,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import pMap from "p-map";
import type { RangeSource } from "../blob.ts";
import { pathOf } from "./keys.ts";
import { lifeOf, signing } from "./presign.ts";
import { absentIf404 } from "./s3-answers.ts";
import type { Span } from "./spans.ts";

/** An upload in parts: the object it will be, and the store's own name for it. */
export type PartsAt = { readonly uploadId: string; readonly multipartId: string };

export type Part = {
  readonly number: number;
  readonly sizeBytes: number;
  /** As the store tells it, with quotes. */
  readonly eTag: string;
};

export type SignedPart = Span & { readonly url: string; readonly headers: Readonly<Record<string, string>> };
export type SignedParts = { readonly parts: readonly SignedPart[]; readonly expiresAt: string };

/** What the bucket does for uploads in parts. */
export type MultipartObjects = {
  /** Begins an upload in parts to `incoming/ID`, whose object will name its binary as that of one PUT does. */
  beginParts(uploadId: string, binary: string): Promise<string>;
  /** An address for each part; the store takes no other length there. No request. */
  presignParts(at: PartsAt, spans: readonly Span[], ttlSeconds: number): Promise<SignedParts>;
  /** What is there, in order; undefined where the upload was completed or aborted. A request for each 1,000. */
  listParts(at: PartsAt): Promise<readonly Part[] | undefined>;
  /** `changed`: a part is not there as it is named; `gone`: completed or aborted before. */
  completeParts(at: PartsAt, parts: readonly Part[], sizeBytes: number): Promise<"completed" | "changed" | "gone">;
  /** Safe to repeat. */
  abortParts(at: PartsAt): Promise<void>;
  /** Aborts all that is under way to `incoming/ID`, known to us or not. */
  abortAllParts(uploadId: string): Promise<void>;
  /** The bytes of an upload, as long as it is the one that was looked at. No request; one for each read. */
  incomingSource(uploadId: string, incoming: { readonly eTag: string; readonly sizeBytes: number }): RangeSource;
};

const SIGN_AT_ONCE = 10;

export function multipartObjectsOf(client: S3Client, presigner: S3Client, bucket: string): MultipartObjects {
  const object = (uploadId: string) => ({ Bucket: bucket, Key: pathOf({ kind: "incoming", uploadId }) });
  const upload = ({ uploadId, multipartId }: PartsAt) => ({ ...object(uploadId), UploadId: multipartId });

  const abortParts = async (at: PartsAt): Promise<void> => {
    await absentIf404(() => client.send(new AbortMultipartUploadCommand(upload(at))));
  };

  return {
    abortParts,

    async beginParts(uploadId, binary) {
      const { UploadId } = await client.send(
        new CreateMultipartUploadCommand({
          ...object(uploadId),
          ContentType: "application/octet-stream",
          Metadata: { binary },
        }),
      );
      if (UploadId === undefined) throw new Error("the store began an upload without naming it");
      return UploadId;
    },

    async presignParts(at, spans, ttlSeconds) {
      const life = await lifeOf(presigner, ttlSeconds);
      const sign = async (span: Span): Promise<SignedPart> => {
        const headers = { "content-length": String(span.sizeBytes) };
        const command = new UploadPartCommand({
          ...upload(at),
          PartNumber: span.number,
          ContentLength: span.sizeBytes,
        });
        return { ...span, url: await getSignedUrl(presigner, command, signing(headers, life)), headers };
      };
      return { parts: await pMap(spans, sign, { concurrency: SIGN_AT_ONCE }), expiresAt: life.expiresAt };
    },

    async listParts(at) {
      const parts: Part[] = [];
      let after: string | undefined;
      do {
        const marker = after === undefined ? {} : { PartNumberMarker: after };
        const page = await absentIf404(() => client.send(new ListPartsCommand({ ...upload(at), ...marker })));
        if (!page) return undefined;
        for (const { PartNumber = 0, Size = 0, ETag = "" } of page.Parts ?? []) {
          parts.push({ number: PartNumber, sizeBytes: Size, eTag: ETag });
        }
        after = page.IsTruncated ? page.NextPartNumberMarker : undefined;
      } while (after !== undefined);
      return parts;
    },

    async completeParts(at, parts, sizeBytes) {
      const Parts = parts.map(({ number, eTag }) => ({ PartNumber: number, ETag: eTag }));
      try {
        await client.send(
          new CompleteMultipartUploadCommand({
            ...upload(at),
            MultipartUpload: { Parts },
            MpuObjectSize: sizeBytes,
          }),
        );
        return "completed";
      } catch (error) {
        if (!(error instanceof S3ServiceException)) throw error;
        if (error.name === "NoSuchUpload") return "gone";
        // A part that was put again meanwhile has another tag, or another size.
        if (error.name === "InvalidPart" || error.name === "EntityTooSmall") return "changed";
        throw error;
      }
    },

    async abortAllParts(uploadId) {
      const { Bucket, Key } = object(uploadId);
      // One page: an id is 128 random bits, and begins one upload a request that asks for it.
      const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: Key }));
      for (const { UploadId } of Uploads ?? []) {
        if (UploadId !== undefined) await abortParts({ uploadId, multipartId: UploadId });
      }
    },

    incomingSource(uploadId, { eTag, sizeBytes }) {
      return {
        sizeBytes,
        async read(offset, length) {
          const last = Math.min(offset + length, sizeBytes) - 1;
          if (last < offset) return new Uint8Array();
          const Range = `bytes=${offset}-${last}`;
          const { Body } = await client.send(new GetObjectCommand({ ...object(uploadId), Range, IfMatch: eTag }));
          if (!Body) throw new Error(`upload ${uploadId} came without a body`);
          return Body.transformToByteArray();
        },
      };
    },
  };
}
