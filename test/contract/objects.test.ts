import { createHash, randomBytes } from "node:crypto";
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandInput,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { textAt } from "../support/objects-answers.ts";
import { bucketName, errorOf, type ObjectsEndpoint, objectsEndpoint } from "../support/objects-endpoint.ts";

let endpoint: ObjectsEndpoint;
let s3: S3Client;
const Bucket = bucketName();
// The check value that catalogues of CRCs give for "123456789".
const CRC64 = Buffer.from("ae8b14860a799888", "hex").toString("base64");

beforeAll(async () => {
  endpoint = await objectsEndpoint();
  s3 = endpoint.client();
  await s3.send(new CreateBucketCommand({ Bucket }));
});
afterAll(() => endpoint.close());

const textOf = (Key: string, options: Partial<GetObjectCommandInput> = {}) => textAt(s3, { Bucket, Key, ...options });

describe("put and get", () => {
  test("what is put is what is got, with all that was said about it", async () => {
    const said = {
      ContentType: "text/x",
      CacheControl: "no-store",
      ContentDisposition: 'attachment; filename="a b"',
      ContentEncoding: "gzip",
      ContentLanguage: "eo",
      Metadata: { one: "1", "two-words": "zwei  Wörter" },
    };
    const Expires = new Date("2030-01-02T03:04:05Z");
    const put = await s3.send(new PutObjectCommand({ Bucket, Key: "a/b", Body: "hello", Expires, ...said }));
    expect(put.ETag).toBe('"5d41402abc4b2a76b9719d911017c592"');
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "a/b" }));
    expect(await got.Body?.transformToString()).toBe("hello");
    expect(got).toMatchObject({ ...said, ContentLength: 5, ETag: put.ETag, AcceptRanges: "bytes" });
    expect(got.ExpiresString).toBe(Expires.toUTCString());
    expect(Math.abs(Date.now() - (got.LastModified?.getTime() ?? 0))).toBeLessThan(5_000);
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "a/b" }));
    expect(head).toMatchObject({ ...said, ContentLength: 5, ETag: put.ETag });
  });

  test("an object without a type is binary/octet-stream, and may be empty", async () => {
    await s3.send(new PutObjectCommand({ Bucket, Key: "empty" }));
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "empty" }));
    expect(head.ContentLength).toBe(0);
    expect(head.ETag).toBe('"d41d8cd98f00b204e9800998ecf8427e"');
    expect(await textOf("empty")).toBe("");
  });

  test("a second put replaces the first, headers and metadata too", async () => {
    await s3.send(new PutObjectCommand({ Bucket, Key: "twice", Body: "1", Metadata: { a: "1" }, CacheControl: "x" }));
    await s3.send(new PutObjectCommand({ Bucket, Key: "twice", Body: "22" }));
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "twice" }));
    expect(got).toMatchObject({ ContentLength: 2, Metadata: {} });
    expect(got.CacheControl).toBeUndefined();
  });

  test("a key is any text up to 1,024 bytes", async () => {
    const keys = [
      "../../etc/passwd",
      "/leading",
      "a//b",
      "a/./b/../c",
      "a+b c%20d%",
      "ä/ø/漢字/😀",
      "a?b=c&d#e",
      "~'()*!",
      "x".repeat(1_024),
      "-",
    ];
    for (const Key of keys) await s3.send(new PutObjectCommand({ Bucket, Key, Body: `at ${Key}` }));
    for (const Key of keys) expect(await textOf(Key)).toBe(`at ${Key}`);
    const long = s3.send(new PutObjectCommand({ Bucket, Key: "ä".repeat(513), Body: "x" }));
    expect(await errorOf(long)).toEqual({ code: "KeyTooLongError", status: 400 });
  });

  test("what is not there is NoSuchKey or NoSuchBucket, for HEAD a bare 404", async () => {
    const at = (key: { Bucket: string; Key: string }) => s3.send(new GetObjectCommand(key));
    expect(await errorOf(at({ Bucket, Key: "no" }))).toEqual({ code: "NoSuchKey", status: 404 });
    expect(await errorOf(at({ Bucket: "no-such-bucket-here", Key: "no" }))).toEqual({
      code: "NoSuchBucket",
      status: 404,
    });
    expect(await errorOf(s3.send(new HeadObjectCommand({ Bucket, Key: "no" })))).toEqual({
      code: "NotFound",
      status: 404,
    });
    const put = s3.send(new PutObjectCommand({ Bucket: "no-such-bucket-here", Key: "no", Body: "x" }));
    expect(await errorOf(put)).toEqual({ code: "NoSuchBucket", status: 404 });
  });

  test("delete is 204 for what is there and for what is not", async () => {
    await s3.send(new PutObjectCommand({ Bucket, Key: "gone", Body: "x" }));
    for (let i = 0; i < 2; i++) {
      const { $metadata } = await s3.send(new DeleteObjectCommand({ Bucket, Key: "gone" }));
      expect($metadata.httpStatusCode).toBe(204);
    }
    expect(await errorOf(s3.send(new GetObjectCommand({ Bucket, Key: "gone" })))).toMatchObject({ code: "NoSuchKey" });
  });

  test("metadata over 2 KB is refused", async () => {
    const put = s3.send(new PutObjectCommand({ Bucket, Key: "meta", Body: "x", Metadata: { a: "x".repeat(2_100) } }));
    expect(await errorOf(put)).toEqual({ code: "MetadataTooLarge", status: 400 });
  });

  test("what is not implemented says so", async () => {
    const acl = s3.send(new PutObjectCommand({ Bucket, Key: "x", Body: "x", ACL: "public-read" }));
    expect(await errorOf(acl)).toEqual({ code: "NotImplemented", status: 501 });
    const tagged = s3.send(new PutObjectCommand({ Bucket, Key: "x", Body: "x", Tagging: "a=b" }));
    expect(await errorOf(tagged)).toEqual({ code: "NotImplemented", status: 501 });
  });
});

describe("checksums", () => {
  const bytes = randomBytes(100_003);
  const of = (name: string) => createHash(name).update(bytes).digest("base64");

  test("CRC32 is what the SDK sends, and what is stored", async () => {
    const put = await s3.send(new PutObjectCommand({ Bucket, Key: "crc", Body: "hello" }));
    expect(put).toMatchObject({ ChecksumCRC32: "NhCmhg==", ChecksumType: "FULL_OBJECT" });
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "crc", ChecksumMode: "ENABLED" }));
    expect(head).toMatchObject({ ChecksumCRC32: "NhCmhg==", ChecksumType: "FULL_OBJECT" });
    expect(head.ChecksumSHA256).toBeUndefined();
  });

  test("no checksum sent: CRC64NVME is stored", async () => {
    const plain = endpoint.client({ requestChecksumCalculation: "WHEN_REQUIRED" });
    await plain.send(new PutObjectCommand({ Bucket, Key: "crc64", Body: "123456789" }));
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "crc64", ChecksumMode: "ENABLED" }));
    expect(head).toMatchObject({ ChecksumCRC64NVME: CRC64, ChecksumType: "FULL_OBJECT" });
  });

  test("without ChecksumMode none is told", async () => {
    const plain = endpoint.client({ responseChecksumValidation: "WHEN_REQUIRED" });
    const head = await plain.send(new HeadObjectCommand({ Bucket, Key: "crc" }));
    expect(head.ChecksumCRC32).toBeUndefined();
  });

  test.each(["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const)(
    "%s is computed by the client, verified and told",
    async (ChecksumAlgorithm) => {
      const name = `Checksum${ChecksumAlgorithm}` as const;
      const put = await s3.send(new PutObjectCommand({ Bucket, Key: name, Body: bytes, ChecksumAlgorithm }));
      const got = await s3.send(new GetObjectCommand({ Bucket, Key: name, ChecksumMode: "ENABLED" }));
      expect(got[name]).toBe(put[name]);
      expect(Buffer.from((await got.Body?.transformToByteArray()) ?? []).equals(bytes)).toBe(true);
      if (ChecksumAlgorithm.startsWith("SHA")) expect(got[name]).toBe(of(ChecksumAlgorithm.toLowerCase()));
    },
  );

  test.each([
    ["ChecksumCRC32", "AAAAAA=="],
    ["ChecksumCRC32C", "AAAAAA=="],
    ["ChecksumCRC64NVME", "AAAAAAAAAAA="],
    ["ChecksumSHA1", createHash("sha1").digest("base64")],
    ["ChecksumSHA256", createHash("sha256").digest("base64")],
    ["ContentMD5", createHash("md5").digest("base64")],
  ])("a wrong %s is BadDigest, and nothing is stored", async (name, value) => {
    const put = s3.send(new PutObjectCommand({ Bucket, Key: `bad-${name}`, Body: bytes, [name]: value }));
    expect(await errorOf(put)).toEqual({ code: "BadDigest", status: 400 });
    const head = s3.send(new HeadObjectCommand({ Bucket, Key: `bad-${name}` }));
    expect(await errorOf(head)).toMatchObject({ status: 404 });
  });

  test("a checksum that is none is InvalidRequest, an MD5 that is none InvalidDigest", async () => {
    const sha = s3.send(new PutObjectCommand({ Bucket, Key: "x", Body: "x", ChecksumSHA256: "abc" }));
    expect(await errorOf(sha)).toEqual({ code: "InvalidRequest", status: 400 });
    const md5 = s3.send(new PutObjectCommand({ Bucket, Key: "x", Body: "x", ContentMD5: "abc" }));
    expect(await errorOf(md5)).toEqual({ code: "InvalidDigest", status: 400 });
  });
});

describe("ranges", () => {
  const bytes = "0123456789";
  beforeAll(() => s3.send(new PutObjectCommand({ Bucket, Key: "digits", Body: bytes })));

  test.each([
    ["bytes=0-0", "0", "bytes 0-0/10"],
    ["bytes=2-5", "2345", "bytes 2-5/10"],
    ["bytes=7-", "789", "bytes 7-9/10"],
    ["bytes=-3", "789", "bytes 7-9/10"],
    ["bytes=-100", bytes, "bytes 0-9/10"],
    ["bytes=8-100", "89", "bytes 8-9/10"],
  ])("%s is 206", async (Range, text, ContentRange) => {
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "digits", Range }));
    expect(got).toMatchObject({ ContentRange, ContentLength: text.length });
    expect(got.$metadata.httpStatusCode).toBe(206);
    expect(await got.Body?.transformToString()).toBe(text);
  });

  test.each(["bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4"])("%s is ignored", async (Range) => {
    expect(await textOf("digits", { Range })).toBe(bytes);
  });

  test.each(["bytes=10-", "bytes=10-20", "bytes=-0"])("%s is InvalidRange", async (Range) => {
    const get = s3.send(new GetObjectCommand({ Bucket, Key: "digits", Range }));
    expect(await errorOf(get)).toEqual({ code: "InvalidRange", status: 416 });
  });

  test("HEAD has ranges too, and a part of an object comes without its checksum", async () => {
    const head = await s3.send(
      new HeadObjectCommand({ Bucket, Key: "digits", Range: "bytes=1-2", ChecksumMode: "ENABLED" }),
    );
    expect(head).toMatchObject({ ContentLength: 2 });
    expect(head.ChecksumCRC32).toBeUndefined();
  });
});
