import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterEach, expect, test } from "vitest";
import { inProcess } from "../../infra/local/s3/in-process.ts";
import { errorOf, type LocalObjects } from "../support/objects-endpoint.ts";
import { BUCKET as Bucket, FILES_ONLY, ownObjects } from "../support/objects-own.ts";

/** The SDK's clients of the endpoint's own process reach it over no socket. */
const { start, end } = ownObjects();
afterEach(end);

function within(local: LocalObjects, config = {}): S3Client {
  return local.client({ requestHandler: inProcess(local.store), ...config });
}

async function bytesAt(s3: S3Client, Key: string, more = {}): Promise<Buffer> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

test.each([
  ["in the database", {}],
  ["in files", { small: FILES_ONLY }],
])("what is put by one way is read by the other, bodies %s", async (_, options) => {
  const local = await start(options);
  const s3 = within(local);
  const bytes = randomBytes(70_000);
  for (const [to, from] of [
    [s3, local.s3],
    [local.s3, s3],
  ] as const) {
    const put = new PutObjectCommand({ Bucket, Key: "a b/+ü", Body: bytes, CacheControl: "c", Metadata: { m: "ü" } });
    await to.send(put);
    expect(bytes.equals(await bytesAt(from, "a b/+ü"))).toBe(true);
    expect(await bytesAt(from, "a b/+ü", { Range: "bytes=5-9" })).toEqual(bytes.subarray(5, 10));
    const { CacheControl, ContentLength } = await from.send(new HeadObjectCommand({ Bucket, Key: "a b/+ü" }));
    expect([CacheControl, ContentLength]).toEqual(["c", 70_000]);
    const { Contents } = await from.send(new ListObjectsV2Command({ Bucket, Prefix: "a b/+", StartAfter: "a" }));
    expect(Contents?.map(({ Key }) => Key)).toEqual(["a b/+ü"]);
    await from.send(new DeleteObjectCommand({ Bucket, Key: "a b/+ü" }));
  }
});

test("empty bodies, texts, streams and parts come through", async () => {
  const local = await start();
  const s3 = within(local);
  await s3.send(new PutObjectCommand({ Bucket, Key: "none", Body: "" }));
  await s3.send(new PutObjectCommand({ Bucket, Key: "text", Body: "äöü" }));
  const stream = Readable.from([new Uint8Array([1, 2]), Buffer.from([3])]);
  await s3.send(new PutObjectCommand({ Bucket, Key: "stream", Body: stream, ContentLength: 3 }));
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "parts" }));
  const part = { Bucket, Key: "parts", UploadId, PartNumber: 1 };
  const { ETag } = await s3.send(new UploadPartCommand({ ...part, Body: "part" }));
  const MultipartUpload = { Parts: [{ ETag, PartNumber: 1 }] };
  await s3.send(new CompleteMultipartUploadCommand({ Bucket, Key: "parts", UploadId, MultipartUpload }));
  const texts = await Promise.all(["none", "text", "parts"].map(async (key) => (await bytesAt(s3, key)).toString()));
  expect(texts).toEqual(["", "äöü", "part"]);
  expect([...(await bytesAt(s3, "stream"))]).toEqual([1, 2, 3]);
});

test("only over a socket has a request to prove whose it is", async () => {
  const local = await start();
  const credentials = { ...local.credentials, secretAccessKey: "another" };
  const put = new PutObjectCommand({ Bucket, Key: "a", Body: "1" });
  expect(await errorOf(local.client({ credentials }).send(put))).toEqual({
    code: "SignatureDoesNotMatch",
    status: 403,
  });
  await within(local, { credentials }).send(put);
  expect((await bytesAt(local.s3, "a")).toString()).toBe("1");
});

test("a stream with its checksum behind it is unframed as over a socket", async () => {
  const local = await start();
  const s3 = within(local, { requestChecksumCalculation: "WHEN_SUPPORTED" });
  const Body = Readable.from([Buffer.from("abc"), Buffer.from("def")]);
  await s3.send(new PutObjectCommand({ Bucket, Key: "framed", Body, ContentLength: 6, ChecksumAlgorithm: "CRC32" }));
  expect((await bytesAt(s3, "framed")).toString()).toBe("abcdef");
});

test("errors are the same", async () => {
  const local = await start();
  const s3 = within(local);
  await s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "1" }));
  const again = new PutObjectCommand({ Bucket, Key: "a", Body: "2", IfNoneMatch: "*" });
  expect(await errorOf(s3.send(again))).toEqual({ code: "PreconditionFailed", status: 412 });
  const none = { Bucket, Key: "none" };
  expect(await errorOf(s3.send(new GetObjectCommand(none)))).toEqual({ code: "NoSuchKey", status: 404 });
  expect(await errorOf(s3.send(new HeadObjectCommand(none)))).toEqual({ code: "NotFound", status: 404 });
  expect(local.faults).toEqual([]);
});

test("a request that is given up ends at once and leaves nothing", async () => {
  const local = await start({ small: FILES_ONLY });
  const s3 = within(local);
  const givenUp = new AbortController();
  const Body = Readable.from(
    (async function* () {
      yield Buffer.from("first");
      givenUp.abort();
      await new Promise(() => {});
    })(),
  );
  const put = new PutObjectCommand({ Bucket, Key: "a", Body, ContentLength: 100 });
  await expect(s3.send(put, { abortSignal: givenUp.signal })).rejects.toThrow(/abort/i);
  expect(await errorOf(s3.send(new GetObjectCommand({ Bucket, Key: "a" })))).toMatchObject({ code: "NoSuchKey" });
  expect([local.drafts(), local.faults]).toEqual([[], []]);
});

test("others have their turn while many requests are made in a row", async () => {
  const local = await start();
  const s3 = within(local);
  let turns = 0;
  const count = setInterval(() => {
    turns += 1;
  }, 1);
  await s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "1" }));
  for (let asked = 0; asked < 3000 && turns < 20; asked += 1)
    await s3.send(new HeadObjectCommand({ Bucket, Key: "a" }));
  clearInterval(count);
  expect(turns).toBeGreaterThanOrEqual(20);
}, 20_000);
