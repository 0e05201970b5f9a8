import { Readable } from "node:stream";
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { base64Of, type RangeSource, type Sha256, sha256FromBase64, sha256Of } from "../blob.ts";
import { AppError } from "../error.ts";
import { cacheControlOf, contentTypeOf, type ObjectKey, pathOf } from "./keys.ts";
import { type MultipartObjects, multipartObjectsOf } from "./multipart.ts";
import { type PartCopies, partCopiesOf } from "./multipart-copy.ts";
import { lifeOf, signing } from "./presign.ts";
import { absentIf404, fullObject, unless412, withSource } from "./s3-answers.ts";
import { type BlobLists, blobListsOf } from "./s3-list.ts";
import { plainPutsOf } from "./s3-put.ts";

export type Upload = {
  readonly method: "PUT";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly expires_at: string;
};

export type UploadTerms = {
  readonly uploadId: string;
  /** The path of the binary that awaits the bytes; it travels with the object, so an event alone tells whose it is. */
  readonly binary: string;
  readonly ttlSeconds: number;
  readonly sha256?: Sha256;
  readonly sizeBytes?: number;
};

export type Incoming = {
  readonly eTag: string;
  readonly sizeBytes: number;
  readonly binary: string | undefined;
  /** Undefined when the store has not computed it. */
  readonly sha256: Sha256 | undefined;
  /** The store's own checksum of an upload in parts, in base64. */
  readonly crc64?: string | undefined;
};

export type PointerKey = Extract<ObjectKey, { kind: "pointer" }>;

/** `etag` guards the next write of it; undefined where there is none yet. */
export type PointerState = { readonly etag: string | undefined; readonly metadata: Readonly<Record<string, string>> };

/** The bucket. Each method is one request unless it says otherwise. */
export type Objects = MultipartObjects &
  PartCopies &
  BlobLists & {
    /** Stores bytes under their hash, unless they are there already; `sha256` where the caller knows it, as the store checks. */
    putBlob(bytes: Uint8Array, sha256?: Sha256): Promise<Sha256>;
    /**
     * Stores a stream under the hash and size that are known of it; the store refuses other bytes. False when it was there.
     */
    putBlobStream(sha256: Sha256, sizeBytes: number, bytes: AsyncIterable<Uint8Array>): Promise<boolean>;
    /** All bytes of a blob of ours; for index leaves and metadata, never for packages. */
    getBlob(sha256: Sha256): Promise<Uint8Array>;
    /** The same as they come; for indexes that are larger than memory. Of a range, `end` is behind its last byte. */
    openBlob(
      sha256: Sha256,
      range?: { readonly start: number; readonly end: number },
    ): Promise<AsyncIterable<Uint8Array>>;
    /** Two requests or more: one for the size, one a read. */
    blobSource(sha256: Sha256): Promise<RangeSource>;
    blobSize(sha256: Sha256): Promise<number | undefined>;

    presignUpload(terms: UploadTerms): Promise<Upload>;
    headIncoming(uploadId: string): Promise<Incoming | undefined>;
    /** Has the store learn the SHA-256 of an upload by copying it onto itself. */
    hashIncoming(uploadId: string, incoming: Incoming): Promise<Sha256>;
    /**
     * Has the store copy an upload to the address of its hash, and compares the hash that the store computed on the way.
     * One request, or two when the blob is there already.
     */
    takeIn(uploadId: string, incoming: Incoming, sha256: Sha256): Promise<void>;
    /** One request for up to 1,000. */
    deleteIncoming(...uploadIds: readonly string[]): Promise<void>;

    headPointer(key: PointerKey): Promise<PointerState>;
    getPointer(key: PointerKey): Promise<Uint8Array | undefined>;
    /** False when another writer was first. */
    putPointer(
      key: PointerKey,
      bytes: Uint8Array,
      before: PointerState,
      metadata: Record<string, string>,
    ): Promise<boolean>;

    deletePointer(key: PointerKey): Promise<void>;

    /** Throws where the store does not answer. */
    check(): Promise<void>;
  };

/** `presigner` signs for the address that uploaders reach; it may differ from the one the functions use. */
export function objectsOf(client: S3Client, presigner: S3Client, bucket: string): Objects {
  const at = (key: ObjectKey) => ({ Bucket: bucket, Key: pathOf(key) });
  const blob = (sha256: Sha256) => ({ kind: "blob", sha256 }) as const;
  const blobPut = (sha256: Sha256) => ({
    ...at(blob(sha256)),
    ContentType: "application/octet-stream",
    CacheControl: cacheControlOf(blob(sha256)),
    ChecksumSHA256: base64Of(sha256),
    IfNoneMatch: "*",
  });
  const plainPut = plainPutsOf(client, bucket);
  const incomingKey = (uploadId: string): ObjectKey => ({ kind: "incoming", uploadId });

  const blobSize = async (sha256: Sha256): Promise<number | undefined> => {
    const head = await absentIf404(() => client.send(new HeadObjectCommand(at(blob(sha256)))));
    return head?.ContentLength;
  };

  return {
    ...multipartObjectsOf(client, presigner, bucket),
    ...partCopiesOf(client, bucket),
    ...blobListsOf(client, bucket),
    blobSize,

    async putBlob(bytes, sha256 = sha256Of(bytes)) {
      if (await plainPut(blob(sha256), bytes, sha256)) return sha256;
      await unless412(() => client.send(new PutObjectCommand({ ...blobPut(sha256), Body: bytes })));
      return sha256;
    },

    async putBlobStream(sha256, sizeBytes, bytes) {
      const put = { ...blobPut(sha256), ContentLength: sizeBytes };
      const written = await unless412(() =>
        withSource(bytes, (Body, abortSignal) => client.send(new PutObjectCommand({ ...put, Body }), { abortSignal })),
      );
      return written !== undefined;
    },

    async getBlob(sha256) {
      const got = await absentIf404(() => client.send(new GetObjectCommand(at(blob(sha256)))));
      if (!got?.Body) throw new Error(`blob ${sha256} is not stored`);
      return got.Body.transformToByteArray();
    },

    async openBlob(sha256, range) {
      const part = range && { Range: `bytes=${range.start}-${range.end - 1}` };
      const { Body } = await client.send(new GetObjectCommand({ ...at(blob(sha256)), ...part }));
      if (!(Body instanceof Readable)) throw new Error(`blob ${sha256} came without a stream`);
      return Body;
    },

    async blobSource(sha256) {
      const sizeBytes = await blobSize(sha256);
      if (sizeBytes === undefined) throw new Error(`blob ${sha256} is not stored`);
      return {
        sizeBytes,
        async read(offset, length) {
          const last = Math.min(offset + length, sizeBytes) - 1;
          if (last < offset) return new Uint8Array();
          const { Body } = await client.send(
            new GetObjectCommand({ ...at(blob(sha256)), Range: `bytes=${offset}-${last}` }),
          );
          if (!Body) throw new Error(`blob ${sha256} came without a body`);
          return Body.transformToByteArray();
        },
      };
    },

    async presignUpload({ uploadId, binary, ttlSeconds, sha256, sizeBytes }) {
      const headers: Record<string, string> = {
        "content-type": "application/octet-stream",
        "x-amz-meta-binary": binary,
        ...(sha256 === undefined ? {} : { "x-amz-checksum-sha256": base64Of(sha256) }),
        ...(sizeBytes === undefined ? {} : { "content-length": String(sizeBytes) }),
      };
      const life = await lifeOf(presigner, ttlSeconds);
      const command = new PutObjectCommand({
        ...at(incomingKey(uploadId)),
        ContentType: "application/octet-stream",
        Metadata: { binary },
        ...(sha256 === undefined ? {} : { ChecksumSHA256: base64Of(sha256) }),
        ...(sizeBytes === undefined ? {} : { ContentLength: sizeBytes }),
      });
      const url = await getSignedUrl(presigner, command, signing(headers, life));
      return { method: "PUT", url, headers, expires_at: life.expiresAt };
    },

    async headIncoming(uploadId) {
      const head = await absentIf404(() =>
        client.send(new HeadObjectCommand({ ...at(incomingKey(uploadId)), ChecksumMode: "ENABLED" })),
      );
      if (!head) return undefined;
      return {
        eTag: head.ETag ?? "",
        sizeBytes: head.ContentLength ?? 0,
        binary: head.Metadata?.binary,
        sha256: fullObject(head.ChecksumSHA256, head.ChecksumType),
        crc64: head.ChecksumCRC64NVME,
      };
    },

    async hashIncoming(uploadId, incoming) {
      const key = incomingKey(uploadId);
      const { CopyObjectResult } = await client.send(
        new CopyObjectCommand({
          ...at(key),
          CopySource: `${bucket}/${pathOf(key)}`,
          CopySourceIfMatch: incoming.eTag,
          ChecksumAlgorithm: "SHA256",
          MetadataDirective: "REPLACE",
          Metadata: { binary: incoming.binary ?? "" },
        }),
      );
      const told = fullObject(CopyObjectResult?.ChecksumSHA256, CopyObjectResult?.ChecksumType);
      if (told === undefined) throw new Error("the store told no SHA-256 for a copy");
      return told;
    },

    async takeIn(uploadId, incoming, sha256) {
      const key = blob(sha256);
      const copied = await unless412(() =>
        client.send(
          new CopyObjectCommand({
            ...at(key),
            CopySource: `${bucket}/${pathOf(incomingKey(uploadId))}`,
            CopySourceIfMatch: incoming.eTag,
            ChecksumAlgorithm: "SHA256",
            MetadataDirective: "REPLACE",
            Metadata: {},
            ContentType: "application/octet-stream",
            CacheControl: cacheControlOf(key),
            IfNoneMatch: "*",
          }),
        ),
      );
      if (copied === undefined) {
        // 412: the blob is there, or the upload was overwritten under us; only the first is success.
        if ((await blobSize(sha256)) === incoming.sizeBytes) return;
        throw new Error("the upload changed while it was taken in");
      }
      const told = copied.CopyObjectResult?.ChecksumSHA256;
      if (told === undefined || sha256FromBase64(told) !== sha256) {
        await client.send(new DeleteObjectCommand(at(key)));
        throw new AppError("unprocessable", `the uploaded bytes are not those of SHA-256 ${sha256}`);
      }
    },

    async deleteIncoming(...uploadIds) {
      const [first, ...more] = uploadIds.map(incomingKey);
      if (!first) return;
      if (more.length === 0) {
        await client.send(new DeleteObjectCommand(at(first)));
        return;
      }
      const Objects = [first, ...more].map((key) => ({ Key: pathOf(key) }));
      const { Errors = [] } = await client.send(
        new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } }),
      );
      const [error] = Errors;
      if (error) throw new Error(`${Errors.length} uploads are not deleted: ${error.Code} ${error.Message}`);
    },

    async headPointer(key) {
      const head = await absentIf404(() => client.send(new HeadObjectCommand(at(key))));
      return { etag: head?.ETag, metadata: head?.Metadata ?? {} };
    },

    async getPointer(key) {
      const got = await absentIf404(() => client.send(new GetObjectCommand(at(key))));
      return got?.Body?.transformToByteArray();
    },

    async putPointer(key, bytes, before, metadata) {
      const put = new PutObjectCommand({
        ...at(key),
        Body: bytes,
        ContentType: contentTypeOf(key.path),
        CacheControl: cacheControlOf(key),
        Metadata: metadata,
        ...(before.etag === undefined ? { IfNoneMatch: "*" } : { IfMatch: before.etag }),
      });
      // 412: another wrote it; 404: it was removed, with its repo.
      return (await absentIf404(() => unless412(() => client.send(put)))) !== undefined;
    },

    async deletePointer(key) {
      await client.send(new DeleteObjectCommand(at(key)));
    },

    async check() {
      await client.send(new HeadBucketCommand({ Bucket: bucket }));
    },
  };
}
