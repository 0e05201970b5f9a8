import { createHash } from "node:crypto";
import {
  CopyObjectCommand,
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bucketName, errorOf, type ObjectsEndpoint, objectsEndpoint } from "../support/objects-endpoint.ts";

let endpoint: ObjectsEndpoint;
const Bucket = bucketName();
beforeAll(async () => {
  endpoint = await objectsEndpoint();
  await endpoint.client().send(new CreateBucketCommand({ Bucket }));
});
afterAll(() => endpoint.close());

const sha = (text: string) => createHash("sha256").update(text).digest("base64");

test("what is put is what is got", async () => {
  const s3 = endpoint.client();
  const put = await s3.send(
    new PutObjectCommand({
      Bucket,
      Key: "a/b",
      Body: "hello",
      ContentType: "text/x",
      CacheControl: "no-store",
      Metadata: { one: "1" },
    }),
  );
  expect(put.ETag).toBe('"5d41402abc4b2a76b9719d911017c592"');
  expect(put.ChecksumCRC32).toBe("NhCmhg==");
  const got = await s3.send(new GetObjectCommand({ Bucket, Key: "a/b" }));
  expect(await got.Body?.transformToString()).toBe("hello");
  expect(got).toMatchObject({
    ContentType: "text/x",
    CacheControl: "no-store",
    Metadata: { one: "1" },
    ContentLength: 5,
  });
  const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "a/b", ChecksumMode: "ENABLED" }));
  expect(head).toMatchObject({ ChecksumCRC32: "NhCmhg==", ChecksumType: "FULL_OBJECT", ContentLength: 5 });
});

test("a copy with ChecksumAlgorithm SHA256 tells the hash", async () => {
  const s3 = endpoint.client();
  const { ETag } = await s3.send(new PutObjectCommand({ Bucket, Key: "from", Body: "bytes" }));
  const copy = await s3.send(
    new CopyObjectCommand({
      Bucket,
      Key: "to",
      CopySource: `${Bucket}/from`,
      CopySourceIfMatch: ETag,
      ChecksumAlgorithm: "SHA256",
      MetadataDirective: "REPLACE",
      ContentType: "x/y",
    }),
  );
  expect(copy.CopyObjectResult?.ChecksumSHA256).toBe(sha("bytes"));
  const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "to", ChecksumMode: "ENABLED" }));
  expect(head).toMatchObject({ ChecksumSHA256: sha("bytes"), ContentType: "x/y" });
});

test("a presigned put takes the signed bytes only", async () => {
  const s3 = endpoint.client({ requestChecksumCalculation: "WHEN_REQUIRED" });
  const command = new PutObjectCommand({
    Bucket,
    Key: "up",
    ChecksumSHA256: sha("right"),
    ContentLength: 5,
    ContentType: "a/b",
  });
  const unhoistableHeaders = new Set(["x-amz-checksum-sha256"]);
  const url = await getSignedUrl(s3, command, {
    unhoistableHeaders,
    signableHeaders: new Set(["host", "content-length", "content-type", "x-amz-checksum-sha256"]),
  });
  const put = (body: string) =>
    fetch(url, { method: "PUT", body, headers: { "x-amz-checksum-sha256": sha("right"), "content-type": "a/b" } });
  expect((await put("wrong")).status).toBe(400);
  expect((await put("longer")).status).toBe(403);
  expect(await errorOf(s3.send(new HeadObjectCommand({ Bucket, Key: "up" })))).toMatchObject({ status: 404 });
  expect((await put("right")).status).toBe(200);
  expect((await put("right")).status).toBe(200);
});
