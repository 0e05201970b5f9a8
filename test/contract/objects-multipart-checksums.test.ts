import {
  CopyObjectCommand,
  CreateBucketCommand,
  type CreateMultipartUploadCommandInput,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { crc } from "../support/objects-answers.ts";
import { bucketName, errorOf, type ObjectsEndpoint, objectsEndpoint } from "../support/objects-endpoint.ts";
import { beginUpload, big, hash, MIB, md5, small } from "../support/objects-upload.ts";

let endpoint: ObjectsEndpoint;
let s3: S3Client;
const Bucket = bucketName();
beforeAll(async () => {
  endpoint = await objectsEndpoint();
  s3 = endpoint.client();
  await s3.send(new CreateBucketCommand({ Bucket }));
});
afterAll(() => endpoint.close());

const begin = (Key: string, options: Partial<CreateMultipartUploadCommandInput> = {}) =>
  beginUpload(s3, { Bucket, Key }, options);

describe("checksums of an upload in parts", () => {
  test("SHA-256 is composite: of the parts' checksums, with their number", async () => {
    const upload = await begin("sha", { ChecksumAlgorithm: "SHA256" });
    const parts = [
      await upload.part(1, big, { ChecksumAlgorithm: "SHA256" }),
      await upload.part(2, small, { ChecksumAlgorithm: "SHA256" }),
    ];
    expect(parts.map((part) => part.ChecksumSHA256)).toEqual([
      hash(big).toString("base64"),
      hash(small).toString("base64"),
    ]);
    const bare = parts.map(({ PartNumber, ETag }) => ({ PartNumber, ETag }));
    expect(await errorOf(upload.complete(bare))).toEqual({ code: "InvalidRequest", status: 400 });
    const wrong = parts.map((part) => ({ ...part, ChecksumSHA256: hash(big).toString("base64") }));
    expect(await errorOf(upload.complete(wrong))).toEqual({ code: "InvalidPart", status: 400 });
    const done = await upload.complete(parts);
    const expected = `${hash(Buffer.concat([hash(big), hash(small)])).toString("base64")}-2`;
    expect(done).toMatchObject({ ChecksumSHA256: expected, ChecksumType: "COMPOSITE" });
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "sha", ChecksumMode: "ENABLED" }));
    expect(head).toMatchObject({ ChecksumSHA256: expected, ChecksumType: "COMPOSITE" });
    const attributes = await s3.send(
      new GetObjectAttributesCommand({
        Bucket,
        Key: "sha",
        ObjectAttributes: ["ETag", "Checksum", "ObjectParts", "ObjectSize", "StorageClass"],
      }),
    );
    expect(attributes).toMatchObject({
      ETag: done.ETag?.replaceAll('"', ""),
      ObjectSize: 5 * MIB + 1_000,
      StorageClass: "STANDARD",
      ObjectParts: { TotalPartsCount: 2 },
      Checksum: { ChecksumSHA256: expected.slice(0, -2), ChecksumType: "COMPOSITE" },
    });
  });

  test("a copy of it has the SHA-256 of its bytes, and their MD5 as its ETag", async () => {
    const copied = await s3.send(
      new CopyObjectCommand({ Bucket, Key: "sha-copy", CopySource: `${Bucket}/sha`, ChecksumAlgorithm: "SHA256" }),
    );
    const whole = Buffer.concat([big, small]);
    expect(copied.CopyObjectResult).toMatchObject({
      ChecksumSHA256: hash(whole).toString("base64"),
      ChecksumType: "FULL_OBJECT",
      ETag: `"${md5(whole).toString("hex")}"`,
    });
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "sha-copy" }));
    expect(Buffer.from((await got.Body?.transformToByteArray()) ?? []).equals(whole)).toBe(true);
  });

  test("CRC32 may be of the whole object, and is verified when it is completed", async () => {
    const upload = await begin("full", { ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT" });
    const parts = [await upload.part(1, big), await upload.part(2, small)];
    const whole = crc(Buffer.concat([big, small]));
    expect(await errorOf(upload.complete(parts, { ChecksumCRC32: "AAAAAA==", ChecksumType: "FULL_OBJECT" }))).toEqual({
      code: "BadDigest",
      status: 400,
    });
    expect(await errorOf(upload.complete(parts, { MpuObjectSize: 7 }))).toEqual({
      code: "InvalidRequest",
      status: 400,
    });
    const done = await upload.complete(parts, {
      ChecksumCRC32: whole,
      ChecksumType: "FULL_OBJECT",
      MpuObjectSize: 5 * MIB + 1_000,
    });
    expect(done).toMatchObject({ ChecksumCRC32: whole, ChecksumType: "FULL_OBJECT" });
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "full", ChecksumMode: "ENABLED" }));
    expect(got.ChecksumCRC32).toBe(whole);
    expect((await got.Body?.transformToByteArray())?.length).toBe(5 * MIB + 1_000);
  });

  test("CRC32 without a type is composite", async () => {
    const upload = await begin("crc", { ChecksumAlgorithm: "CRC32" });
    const done = await upload.complete([await upload.part(1, small, { ChecksumAlgorithm: "CRC32" })]);
    expect(done).toMatchObject({ ChecksumType: "COMPOSITE", ChecksumCRC32: expect.stringMatching(/-1$/) });
  });

  test("none asked for: CRC64NVME of the whole object, the same as when it is put at once", async () => {
    const upload = await begin("default");
    await upload.complete([await upload.part(1, big), await upload.part(2, small)]);
    await s3.send(
      new PutObjectCommand({
        Bucket,
        Key: "at-once",
        Body: Buffer.concat([big, small]),
        ChecksumAlgorithm: "CRC64NVME",
      }),
    );
    const [parts, once] = await Promise.all(
      ["default", "at-once"].map((Key) => s3.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }))),
    );
    expect(parts).toMatchObject({ ChecksumCRC64NVME: once?.ChecksumCRC64NVME, ChecksumType: "FULL_OBJECT" });
  });

  test("a part of another algorithm, and a type that an algorithm has not, are refused", async () => {
    const upload = await begin("mixed", { ChecksumAlgorithm: "SHA256" });
    expect(await errorOf(upload.part(1, small))).toEqual({ code: "InvalidRequest", status: 400 });
    expect(await errorOf(begin("x", { ChecksumAlgorithm: "SHA256", ChecksumType: "FULL_OBJECT" }))).toEqual({
      code: "InvalidRequest",
      status: 400,
    });
    expect(await errorOf(begin("x", { ChecksumAlgorithm: "CRC64NVME", ChecksumType: "COMPOSITE" }))).toEqual({
      code: "InvalidRequest",
      status: 400,
    });
  });

  test("a part with other bytes than its checksum is refused", async () => {
    const upload = await begin("bad");
    const part = s3.send(
      new UploadPartCommand({ ...upload.at, PartNumber: 1, Body: small, ChecksumSHA256: hash(big).toString("base64") }),
    );
    expect(await errorOf(part)).toEqual({ code: "BadDigest", status: 400 });
    expect((await s3.send(new ListPartsCommand(upload.at))).Parts).toBeUndefined();
  });
});
