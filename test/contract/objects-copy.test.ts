import { createHash } from "node:crypto";
import {
  CopyObjectCommand,
  type CopyObjectCommandInput,
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bucketName, errorOf, type ObjectsEndpoint, objectsEndpoint } from "../support/objects-endpoint.ts";

let endpoint: ObjectsEndpoint;
let s3: S3Client;
const Bucket = bucketName();
beforeAll(async () => {
  endpoint = await objectsEndpoint();
  s3 = endpoint.client();
  await s3.send(new CreateBucketCommand({ Bucket }));
});
afterAll(() => endpoint.close());

const sha256 = (text: string) => createHash("sha256").update(text).digest("base64");
const source = async (Key: string, Body = `bytes of ${Key}`) =>
  await s3.send(
    new PutObjectCommand({
      Bucket,
      Key,
      Body,
      ContentType: "text/x",
      Metadata: { from: Key },
      CacheControl: "private",
    }),
  );
const copy = (Key: string, from: string, options: Partial<CopyObjectCommandInput> = {}) =>
  s3.send(new CopyObjectCommand({ Bucket, Key, CopySource: `${Bucket}/${encodeURIComponent(from)}`, ...options }));
const head = (Key: string) => s3.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }));

test("a copy has the bytes, headers, metadata and checksum of its source", async () => {
  const { ETag } = await source("a+b c/ü%");
  const { CopyObjectResult: result } = await copy("copy", "a+b c/ü%");
  expect(result).toMatchObject({ ETag });
  expect(result?.LastModified).toBeInstanceOf(Date);
  const there = await head("copy");
  expect(there).toMatchObject({ ETag, ContentType: "text/x", Metadata: { from: "a+b c/ü%" }, CacheControl: "private" });
  expect(there.ChecksumCRC32).toBe(result?.ChecksumCRC32);
  const got = await s3.send(new GetObjectCommand({ Bucket, Key: "copy" }));
  expect(await got.Body?.transformToString()).toBe("bytes of a+b c/ü%");
});

test("REPLACE puts ours in the place of all that was said about the source", async () => {
  await source("replace");
  await copy("replaced", "replace", { MetadataDirective: "REPLACE", ContentType: "a/b", Metadata: { mine: "1" } });
  const there = await head("replaced");
  expect(there).toMatchObject({ ContentType: "a/b", Metadata: { mine: "1" } });
  expect(there.CacheControl).toBeUndefined();
});

test("ChecksumAlgorithm SHA256 gives the copy a SHA-256, that of its bytes", async () => {
  await source("plain", "plain bytes");
  const { CopyObjectResult: result } = await copy("hashed", "plain", { ChecksumAlgorithm: "SHA256" });
  expect(result).toMatchObject({ ChecksumSHA256: sha256("plain bytes"), ChecksumType: "FULL_OBJECT" });
  expect(result?.ChecksumCRC32).toBeUndefined();
  const there = await head("hashed");
  expect(there.ChecksumSHA256).toBe(sha256("plain bytes"));
  expect(there.ChecksumCRC32).toBeUndefined();
  expect((await head("plain")).ChecksumSHA256).toBeUndefined();
});

test("an object is copied onto itself only to change something", async () => {
  await source("self", "me");
  expect(await errorOf(copy("self", "self"))).toEqual({ code: "InvalidRequest", status: 400 });
  await copy("self", "self", { ChecksumAlgorithm: "SHA256" });
  expect(await head("self")).toMatchObject({ ChecksumSHA256: sha256("me"), Metadata: { from: "self" } });
  await copy("self", "self", { MetadataDirective: "REPLACE", Metadata: { now: "other" } });
  expect(await head("self")).toMatchObject({ Metadata: { now: "other" }, ContentLength: 2 });
});

test("the conditions on the source hold or it is 412", async () => {
  const { ETag = "" } = await source("cond");
  const past = new Date(Date.now() - 3_600_000);
  const future = new Date(Date.now() + 3_600_000);
  await copy("c1", "cond", { CopySourceIfMatch: ETag, CopySourceIfUnmodifiedSince: past });
  await copy("c2", "cond", { CopySourceIfNoneMatch: '"x"' });
  const refused = [
    { CopySourceIfMatch: '"x"' },
    { CopySourceIfNoneMatch: ETag },
    { CopySourceIfModifiedSince: future },
    { CopySourceIfUnmodifiedSince: past },
  ];
  for (const options of refused)
    expect(await errorOf(copy("c3", "cond", options))).toEqual({ code: "PreconditionFailed", status: 412 });
  expect(await errorOf(head("c3"))).toMatchObject({ status: 404 });
});

test("the conditions on the destination hold, and of 20 who create at once one wins", async () => {
  await source("dest-1");
  const { ETag = "" } = await source("dest-2");
  expect(await errorOf(copy("new", "dest-1", { IfMatch: ETag }))).toEqual({ code: "NoSuchKey", status: 404 });
  // SHA-1 makes each of them read the source first, so that all are under way before one is done.
  const racers = await Promise.all(
    Array.from({ length: 20 }, () =>
      copy("new", "dest-1", { IfNoneMatch: "*", ChecksumAlgorithm: "SHA1" }).then(
        () => true,
        () => false,
      ),
    ),
  );
  expect(racers.filter(Boolean)).toHaveLength(1);
  expect(await errorOf(copy("new", "dest-2", { IfMatch: ETag }))).toEqual({ code: "PreconditionFailed", status: 412 });
});

test("a copy outlives its source, and the source its copy", async () => {
  await source("old", "first");
  await copy("kept", "old");
  await source("old", "second");
  const text = async (Key: string) =>
    await (await s3.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToString();
  expect([await text("kept"), await text("old")]).toEqual(["first", "second"]);
});

test("a source that is not there, or is no source, is refused", async () => {
  expect(await errorOf(copy("x", "not there"))).toEqual({ code: "NoSuchKey", status: 404 });
  const from = (CopySource: string) => errorOf(s3.send(new CopyObjectCommand({ Bucket, Key: "x", CopySource })));
  expect(await from("no-such-bucket-here/x")).toEqual({ code: "NoSuchBucket", status: 404 });
  expect(await from("nonsense")).toEqual({ code: "InvalidArgument", status: 400 });
  expect(await from(`${Bucket}/%zz`)).toEqual({ code: "InvalidArgument", status: 400 });
  const directive = s3.send(
    new CopyObjectCommand({ Bucket, Key: "x", CopySource: `/${Bucket}/old`, MetadataDirective: "KEEP" as "COPY" }),
  );
  expect(await errorOf(directive)).toEqual({ code: "InvalidArgument", status: 400 });
});
