import { CreateBucketCommand, DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { S3_DEFAULTS } from "../../functions/context.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { again, ended, made, pathsOf } from "../support/upstream-dir-follow.ts";

let packhouse: TestPackhouse;
let s3: S3Client;
const Bucket = "files-1";

beforeAll(async () => {
  packhouse = await startPackhouse(undefined, { upstreamBuckets: "files-1, absent,packhouse" });
  const { region, ...credentials } = packhouse.folder.aws;
  s3 = new S3Client({
    ...S3_DEFAULTS,
    region,
    credentials,
    forcePathStyle: true,
    endpoint: `${packhouse.url}/_s3`,
  });
  await s3.send(new CreateBucketCommand({ Bucket }));
});
afterAll(() => packhouse.remove());

async function put(Key: string, Body = `bytes of ${Key}`): Promise<void> {
  await s3.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.from(Body) }));
}

test("a prefix of a listed bucket comes whole, and again with what came, changed and went", async () => {
  const names = ["a b+c.iso", "ünï/100% &.txt", "ünï/deep/x"];
  for (const name of names) await put(`pub/${name}`);
  await put("pub/folder/", "");
  await put("pub/SHA256SUMS", "anything");
  await put("pub2/not-below", "x");
  const name = await made(packhouse, `s3://${Bucket}/pub`);
  expect(await ended(packhouse, name)).toMatchObject({ state: "done", commit: 1, errors: [] });
  expect(await pathsOf(packhouse, name)).toEqual([...names].sort());
  const opened = vi.spyOn(packhouse.context.foreign, "open");
  expect(await again(packhouse, name)).toMatchObject({ state: "done", commit: 1 });
  expect(opened).not.toHaveBeenCalled();
  await put("pub/new", "1");
  await put("pub/a b+c.iso", "others");
  await s3.send(new DeleteObjectCommand({ Bucket, Key: "pub/ünï/deep/x" }));
  expect(await again(packhouse, name)).toMatchObject({ state: "done", commit: 2, errors: [] });
  expect(await pathsOf(packhouse, name)).toEqual(["a b+c.iso", "new", "ünï/100% &.txt"].sort());
  expect(opened.mock.calls.map(([, key]) => key).sort()).toEqual(["pub/a b+c.iso", "pub/new"]);
});

test("our own bucket is none that can be followed, though it be listed", async () => {
  const name = await made(packhouse, "s3://packhouse/blobs");
  expect(await ended(packhouse, name)).toMatchObject({
    state: "failed",
    errors: [{ message: expect.stringContaining("expected a bucket that PACKHOUSE_UPSTREAM_BUCKETS lists") }],
  });
});

test.each([
  ["a bucket that is not there", "s3://absent/x", {}, /NoSuchBucket/],
  ["credentials", "s3://me:secret@absent/x", {}, /own credentials alone/],
  ["a key", "s3://absent/x", { key: "any" }, /a key was given, and nothing in a bucket is read as signed/],
])("%s is the job's error", async (_, path, settings, message) => {
  const name = await made(packhouse, path, settings);
  const job = await ended(packhouse, name);
  expect(job).toMatchObject({ state: "failed", errors: [{ message: expect.stringMatching(message) }] });
  expect(JSON.stringify(job)).not.toContain("secret");
});
