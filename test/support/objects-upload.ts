import { createHash, randomBytes } from "node:crypto";
import {
  type CompletedPart,
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandInput,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";

export const MIB = 1_024 ** 2;
/** The smallest part that another may follow, and one that has to be the last. */
export const big = randomBytes(5 * MIB);
export const small = randomBytes(1_000);
export const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest();
export const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();

export async function beginUpload(
  s3: S3Client,
  to: { Bucket: string; Key: string },
  options: Partial<CreateMultipartUploadCommandInput> = {},
) {
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ ...to, ...options }));
  const at = { ...to, UploadId };
  return {
    at,
    part: async (
      PartNumber: number,
      Body: Uint8Array,
      options: { ChecksumAlgorithm?: "SHA256" | "CRC32" } = {},
    ): Promise<CompletedPart> => {
      const { ETag, ChecksumSHA256, ChecksumCRC32 } = await s3.send(
        new UploadPartCommand({ ...at, PartNumber, Body, ...options }),
      );
      return {
        PartNumber,
        ETag,
        ...(ChecksumSHA256 ? { ChecksumSHA256 } : {}),
        ...(options.ChecksumAlgorithm && ChecksumCRC32 ? { ChecksumCRC32 } : {}),
      };
    },
    complete: (Parts: CompletedPart[], options: Partial<CompleteMultipartUploadCommandInput> = {}) =>
      s3.send(new CompleteMultipartUploadCommand({ ...at, MultipartUpload: { Parts }, ...options })),
  };
}
