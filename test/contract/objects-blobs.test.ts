import { randomBytes } from "node:crypto";
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { base64Of, type Sha256, sha256Of } from "../../shared/blob.ts";
import { cacheControlOf, pathOf } from "../../shared/objects/keys.ts";
import { type Objects, objectsOf } from "../../shared/objects/s3.ts";
import { bucketName, type ObjectsEndpoint, objectsEndpoint } from "../support/objects-endpoint.ts";

/** How blobs are put and listed, on the endpoint that is under test. */
let endpoint: ObjectsEndpoint;
let s3: S3Client;
let objects: Objects;
const Bucket = bucketName();
const LIKE_OURS = { requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED" } as const;

beforeAll(async () => {
  endpoint = await objectsEndpoint();
  s3 = endpoint.client(LIKE_OURS);
  await s3.send(new CreateBucketCommand({ Bucket }));
  objects = objectsOf(s3, s3, Bucket);
});
afterAll(() => endpoint.close());

const keyOf = (sha256: Sha256) => pathOf({ kind: "blob", sha256 });
const headOf = (client: S3Client, Key: string) =>
  client.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }));

/** A client that notes what is sent past the SDK's middleware, and may answer in the store's place. */
function watched(answer?: () => number) {
  const sent: string[] = [];
  const client = endpoint.client({ ...LIKE_OURS, maxAttempts: 3 });
  const { requestHandler } = client.config;
  const handle = requestHandler.handle.bind(requestHandler);
  requestHandler.handle = async (request, options) => {
    const isPlain = request.headers["amz-sdk-invocation-id"] === undefined;
    sent.push(`${isPlain ? "plain" : "sdk"} ${request.method}`);
    if (isPlain && answer) return { response: { statusCode: answer(), headers: {}, body: undefined } };
    return handle(request, options);
  };
  return { client, sent };
}

describe("a blob in memory", () => {
  test("is put in one plain request, and is then the same object as the SDK would put", async () => {
    const { client, sent } = watched();
    const bytes = randomBytes(1000);
    const sha256 = await objectsOf(client, client, Bucket).putBlob(bytes);
    expect(sent).toEqual(["plain PUT"]);
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: keyOf(sha256) }));
    expect(Buffer.from((await Body?.transformToByteArray()) ?? [])).toEqual(bytes);
    const put = {
      Bucket,
      Key: "as-the-sdk-puts-it",
      Body: bytes,
      ContentType: "application/octet-stream",
      CacheControl: cacheControlOf({ kind: "blob", sha256 }),
      ChecksumSHA256: base64Of(sha256),
    };
    await s3.send(new PutObjectCommand(put));
    const told = async (key: string) => {
      const { $metadata: _, LastModified: __, ...rest } = await headOf(s3, key);
      return rest;
    };
    expect(await told(keyOf(sha256))).toEqual(await told(put.Key));
  });

  test("that is there already is not written again", async () => {
    const bytes = randomBytes(10);
    const sha256 = await objects.putBlob(bytes);
    const { client, sent } = watched();
    expect(await objectsOf(client, client, Bucket).putBlob(bytes)).toBe(sha256);
    expect(sent).toEqual(["plain PUT"]);
  });

  test("is empty, or of any length up to some megabytes", async () => {
    for (const length of [0, 1, 65_536, 5_000_001]) {
      const bytes = randomBytes(length);
      const sha256 = await objects.putBlob(bytes);
      expect(sha256).toBe(sha256Of(bytes));
      expect(bytes.equals(await objects.getBlob(sha256))).toBe(true);
    }
  });

  test("is refused by the store where it is another than its name says", async () => {
    const claimed = sha256Of("something else");
    await expect(objects.putBlob(Buffer.from("bytes"), claimed)).rejects.toThrow();
    expect(await objects.blobSize(claimed)).toBeUndefined();
  });

  test.each([503, 403, 307, 409])("goes the SDK's way where a plain request is answered %i", async (status) => {
    const { client, sent } = watched(() => status);
    const sha256 = await objectsOf(client, client, Bucket).putBlob(randomBytes(10));
    expect(sent).toEqual(["plain PUT", "sdk PUT"]);
    expect(await objects.blobSize(sha256)).toBe(10);
  });

  test("goes the SDK's way where the connection ends, and is there once", async () => {
    const { client, sent } = watched(() => {
      throw Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
    });
    const store = objectsOf(client, client, Bucket);
    const sha256 = await store.putBlob(randomBytes(11));
    await store.putBlob(randomBytes(11));
    expect(sent).toEqual(["plain PUT", "sdk PUT", "plain PUT", "sdk PUT"]);
    expect(await objects.blobSize(sha256)).toBe(11);
  });
});

test("blobs are listed from one hash to another, with what lies between them", async () => {
  const there = (await Promise.all(Array.from({ length: 40 }, (_, nth) => objects.putBlob(randomBytes(nth))))).sort();
  const first = there[10] as Sha256;
  const last = there[30] as Sha256;
  const { blobs, upTo } = await objects.listBlobs(first, last);
  expect(upTo).toBeUndefined();
  const within = blobs.filter(({ sha256 }) => sha256 <= last);
  expect(within.map(({ sha256 }) => sha256)).toEqual(expect.arrayContaining(there.slice(10, 31)));
  expect(within[0]?.sha256).toBe(first);
  expect(within.map(({ sha256 }) => sha256)).toEqual(within.map(({ sha256 }) => sha256).sort());
  for (const { sha256, sizeBytes } of within) expect(await objects.blobSize(sha256)).toBe(sizeBytes);
  expect((await objects.listBlobs(first, first)).blobs.map(({ sha256 }) => sha256)).toEqual([first]);
});

test("a page that is cut short says up to where it tells", async () => {
  const bytes = (nth: number) => Buffer.from(`page ${nth}`);
  const all = Array.from({ length: 1100 }, (_, nth) => sha256Of(bytes(nth))).sort();
  for (let at = 0; at < 1100; at += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, nth) => objects.putBlob(bytes(at + nth))));
  }
  const { blobs, upTo } = await objects.listBlobs(all[0] as Sha256, all.at(-1) as Sha256);
  expect(blobs.length).toBe(1000);
  expect(upTo).toBe(blobs.at(-1)?.sha256);
}, 60_000);
