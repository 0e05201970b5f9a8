import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { afterEach, expect, test } from "vitest";
import { SMALL_LIMITS } from "../../infra/local/s3/small.ts";
import { textAt } from "../support/objects-answers.ts";
import { errorOf, type LocalObjects } from "../support/objects-endpoint.ts";
import { BUCKET as Bucket, FILES_ONLY, ownObjects } from "../support/objects-own.ts";

/** Small bodies lie in our database, without a file. */
const { start, stop, newFolder, end } = ownObjects();
afterEach(end);

const textOf = (s3: S3Client, Key: string) => textAt(s3, { Bucket, Key });
const put = (s3: S3Client, Key: string, Body: string | Buffer) => s3.send(new PutObjectCommand({ Bucket, Key, Body }));
const remove = (s3: S3Client, Key: string) => s3.send(new DeleteObjectCommand({ Bucket, Key }));
const inDatabase = ({ db }: LocalObjects) => Number(db.statement("SELECT count(*) AS n FROM object_bytes").get()?.n);
const garbage = ({ db }: LocalObjects) => db.statement("SELECT data_id FROM object_garbage").all().length;

async function bytesOf(s3: S3Client, Key: string, more: { Range?: string; PartNumber?: number } = {}): Promise<Buffer> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

test("a small body needs no file, and is read whole, in ranges, by HEAD, through copies and after a restart", async () => {
  const folder = newFolder();
  const one = await start({ folder, keepFolder: true });
  const body = randomBytes(SMALL_LIMITS.withRoomBytes);
  await put(one.s3, "a", body);
  await put(one.s3, "empty", "");
  await one.s3.send(new CopyObjectCommand({ Bucket, Key: "b", CopySource: `${Bucket}/a`, ChecksumAlgorithm: "SHA1" }));
  const { UploadId } = await one.s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "c" }));
  const { CopyPartResult } = await one.s3.send(
    new UploadPartCopyCommand({
      ...{ Bucket, Key: "c", UploadId, PartNumber: 1 },
      ...{ CopySource: `${Bucket}/a`, CopySourceRange: "bytes=10-99" },
    }),
  );
  const Parts = [{ PartNumber: 1, ETag: CopyPartResult?.ETag }];
  await one.s3.send(new CompleteMultipartUploadCommand({ Bucket, Key: "c", UploadId, MultipartUpload: { Parts } }));
  expect([one.dataFiles(), inDatabase(one)]).toEqual([[], 3]);
  await stop(one);
  const { s3, store } = await start({ folder, keepFolder: true });
  expect(body.equals(await bytesOf(s3, "a"))).toBe(true);
  expect(body.equals(await bytesOf(s3, "b"))).toBe(true);
  expect(body.subarray(10, 100).equals(await bytesOf(s3, "c"))).toBe(true);
  expect(body.subarray(5, 8).equals(await bytesOf(s3, "a", { Range: "bytes=5-7" }))).toBe(true);
  expect(body.subarray(-3).equals(await bytesOf(s3, "b", { Range: "bytes=-3" }))).toBe(true);
  expect(body.equals(await bytesOf(s3, "a", { PartNumber: 1 }))).toBe(true);
  expect((await bytesOf(s3, "empty")).length).toBe(0);
  const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "b", ChecksumMode: "ENABLED" }));
  expect([head.ContentLength, head.ChecksumSHA1?.length]).toEqual([body.length, 28]);
  const streamed = await store.open(Bucket, "a")?.stream({ start: 1, end: 4 }).toArray();
  expect(Buffer.concat(streamed ?? []).equals(body.subarray(1, 5))).toBe(true);
  expect(store.missingData()).toBeUndefined();
});

test("a longer body lies in a file; so does one of middle length once those in the database come to enough", async () => {
  const small = { alwaysBytes: 10, withRoomBytes: 100, roomBytes: 250 };
  const local = await start({ small });
  const add = async (Key: string, bytes: number) => {
    await put(local.s3, Key, "x".repeat(bytes));
    return [inDatabase(local), local.dataFiles().length];
  };
  expect(await add("long", 101)).toEqual([0, 1]);
  expect(await add("middle1", 100)).toEqual([1, 1]);
  expect(await add("middle2", 100)).toEqual([2, 1]);
  expect(await add("middle3", 100)).toEqual([2, 2]);
  expect(await add("short", 10)).toEqual([3, 2]);
  // What is deleted makes room.
  await remove(local.s3, "middle1");
  expect(await add("middle4", 100)).toEqual([3, 2]);
  for (const [Key, size] of Object.entries({ long: 101, middle3: 100, short: 10, middle4: 100 }))
    expect(await textOf(local.s3, Key)).toBe("x".repeat(size));
});

test("how much lies in the database is known after a restart", async () => {
  const folder = newFolder();
  const small = { alwaysBytes: 10, withRoomBytes: 100, roomBytes: 150 };
  const one = await start({ folder, keepFolder: true, small });
  await put(one.s3, "a", "x".repeat(100));
  await stop(one);
  const two = await start({ folder, keepFolder: true, small });
  await put(two.s3, "b", "x".repeat(100));
  expect([inDatabase(two), two.dataFiles().length]).toEqual([1, 1]);
});

test("a small body goes with its last key, at once, without a trace", async () => {
  const local = await start();
  await put(local.s3, "a", "shared");
  await local.s3.send(new CopyObjectCommand({ Bucket, Key: "b", CopySource: `${Bucket}/a` }));
  await remove(local.s3, "a");
  expect(await textOf(local.s3, "b")).toBe("shared");
  await put(local.s3, "b", "other");
  expect(inDatabase(local)).toBe(1);
  await remove(local.s3, "b");
  expect([inDatabase(local), garbage(local)]).toEqual([0, 0]);
});

test("small parts that are replaced, not needed or aborted go, too; one that is needed stays", async () => {
  const local = await start();
  const begin = async (Key: string) => {
    const { UploadId } = await local.s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const part = (PartNumber: number) =>
      local.s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body: `part ${PartNumber}` }));
    return { UploadId, parts: [await part(1), await part(1), await part(2)] };
  };
  const { UploadId } = await begin("aborted");
  expect(inDatabase(local)).toBe(2);
  await local.s3.send(new AbortMultipartUploadCommand({ Bucket, Key: "aborted", UploadId }));
  expect(inDatabase(local)).toBe(0);
  const done = await begin("done");
  const Parts = [{ PartNumber: 2, ETag: done.parts[2]?.ETag }];
  const MultipartUpload = { Parts };
  await local.s3.send(
    new CompleteMultipartUploadCommand({ Bucket, Key: "done", UploadId: done.UploadId, MultipartUpload }),
  );
  expect([inDatabase(local), await textOf(local.s3, "done"), local.dataFiles()]).toEqual([1, "part 2", []]);
});

test("a download of a file and a small last part ends with the old bytes when the object is replaced under it", async () => {
  const local = await start();
  const first = randomBytes(8_000_000);
  const { UploadId } = await local.s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "a" }));
  const part = async (PartNumber: number, Body: Buffer) => ({
    PartNumber,
    ETag: (await local.s3.send(new UploadPartCommand({ Bucket, Key: "a", UploadId, PartNumber, Body }))).ETag,
  });
  const Parts = [await part(1, first), await part(2, Buffer.from("the end"))];
  await local.s3.send(new CompleteMultipartUploadCommand({ Bucket, Key: "a", UploadId, MultipartUpload: { Parts } }));
  expect([inDatabase(local), local.dataFiles().length]).toEqual([1, 1]);
  expect((await bytesOf(local.s3, "a", { Range: "bytes=7999998-8000002" })).subarray(2).toString()).toBe("the");
  const got = await local.s3.send(new GetObjectCommand({ Bucket, Key: "a" }));
  await put(local.s3, "a", "new");
  const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
  expect(bytes.equals(Buffer.concat([first, Buffer.from("the end")]))).toBe(true);
});

test("uploads that fail leave no body", async () => {
  let refuse = false;
  const local = await start({
    onCreated: () => {
      if (refuse) throw new Error("no room for the event");
    },
  });
  const wrong = local.s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "x", ChecksumCRC32: "AAAAAA==" }));
  expect(await errorOf(wrong)).toMatchObject({ code: "BadDigest" });
  const races = await Promise.allSettled(
    Array.from({ length: 10 }, (_, i) =>
      local.s3.send(new PutObjectCommand({ Bucket, Key: "race", Body: `${i}`, IfNoneMatch: "*" })),
    ),
  );
  expect(races.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  refuse = true;
  expect(await errorOf(put(local.s3, "b", "x"))).toMatchObject({ code: "InternalError" });
  expect([inDatabase(local), local.dataFiles()]).toEqual([1, []]);
});

test("a folder of before, with files only, goes on: its files are read and go, new small bodies lie in the database", async () => {
  const folder = newFolder();
  const one = await start({ folder, keepFolder: true, small: FILES_ONLY });
  await put(one.s3, "old", "from a file");
  await put(one.s3, "older", "goes");
  one.db.statement("DROP TABLE object_bytes").run();
  await stop(one);
  const two = await start({ folder, keepFolder: true });
  expect(await textOf(two.s3, "old")).toBe("from a file");
  await put(two.s3, "new", "a row");
  await put(two.s3, "older", "a row");
  two.store.sweepGarbage(0);
  expect([inDatabase(two), two.dataFiles().length, garbage(two)]).toEqual([2, 1, 0]);
  expect(two.store.missingData()).toBeUndefined();
});

test("a file that bears the number of a small body, left of another instant of a copied folder, is not read for it", async () => {
  const local = await start();
  await put(local.s3, "a", "right");
  const id = Number(local.db.statement("SELECT data_id FROM object_bytes").get()?.data_id);
  const shelf = join(local.folder, "data", (id % 256).toString(16).padStart(2, "0"));
  mkdirSync(shelf, { recursive: true });
  writeFileSync(join(shelf, String(id)), "wrong");
  await local.s3.send(
    new CopyObjectCommand({ Bucket, Key: "b", CopySource: `${Bucket}/a`, ChecksumAlgorithm: "SHA1" }),
  );
  const sha1 = createHash("sha1").update("right").digest("base64");
  const head = await local.s3.send(new HeadObjectCommand({ Bucket, Key: "b", ChecksumMode: "ENABLED" }));
  expect([head.ChecksumSHA1, await textOf(local.s3, "b")]).toEqual([sha1, "right"]);
});
