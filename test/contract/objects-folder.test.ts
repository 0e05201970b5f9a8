import { createHash, randomBytes } from "node:crypto";
import { cpSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
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
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { afterEach, describe, expect, test } from "vitest";
import { textAt } from "../support/objects-answers.ts";
import { errorOf } from "../support/objects-endpoint.ts";
import { BUCKET as Bucket, FILES_ONLY, ownObjects } from "../support/objects-own.ts";
import { open, sign } from "../support/objects-raw.ts";

/** What only our own endpoint has: its folder, its clock. */
const { start: startAny, stop, newFolder, end } = ownObjects();
afterEach(end);
/** Here bodies lie in files, however small. */
const start: typeof startAny = (options = {}) => startAny({ small: FILES_ONLY, ...options });

const textOf = (s3: S3Client, Key: string) => textAt(s3, { Bucket, Key });
const dataPath = (folder: string, id: number) =>
  join(folder, "data", (id % 256).toString(16).padStart(2, "0"), String(id));

describe("on the disk", () => {
  test("everything is there after a restart, uploads under way too", async () => {
    const folder = newFolder();
    const one = await start({ folder, keepFolder: true });
    await one.s3.send(
      new PutObjectCommand({ Bucket, Key: "a", Body: "1", Metadata: { m: "x" }, ChecksumAlgorithm: "SHA256" }),
    );
    const { UploadId } = await one.s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "b", ContentType: "t/t" }));
    const part = await one.s3.send(new UploadPartCommand({ Bucket, Key: "b", UploadId, PartNumber: 1, Body: "part" }));
    const before = await one.s3.send(new HeadObjectCommand({ Bucket, Key: "a", ChecksumMode: "ENABLED" }));
    await stop(one);
    const two = await start({ folder, keepFolder: true });
    const after = await two.s3.send(new HeadObjectCommand({ Bucket, Key: "a", ChecksumMode: "ENABLED" }));
    expect({ ...after, $metadata: null }).toEqual({ ...before, $metadata: null });
    const Parts = [{ PartNumber: 1, ETag: part.ETag }];
    await two.s3.send(new CompleteMultipartUploadCommand({ Bucket, Key: "b", UploadId, MultipartUpload: { Parts } }));
    expect(await textOf(two.s3, "b")).toBe("part");
    expect(two.dataFiles()).toHaveLength(2);
  });

  test("no key becomes a path, and nobody else may read the folders", async () => {
    const local = await start();
    for (const Key of ["../../../../tmp/packhouse-escaped", "/etc/passwd", "data/../x"])
      await local.s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
    expect(local.dataFiles()).toHaveLength(3);
    expect(() => statSync("/tmp/packhouse-escaped")).toThrow();
    expect(statSync(join(local.folder, "data")).mode & 0o077).toBe(0);
    expect(statSync(dataPath(local.folder, local.dataFiles()[0] ?? 0)).mode & 0o077).toBe(0);
  });

  test("a copy shares its source's file, which goes when both keys are gone", async () => {
    let now = new Date();
    const local = await start({ now: () => now });
    await local.s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "shared" }));
    await local.s3.send(
      new CopyObjectCommand({ Bucket, Key: "b", CopySource: `${Bucket}/a`, ChecksumAlgorithm: "SHA256" }),
    );
    expect(local.dataFiles()).toHaveLength(1);
    await local.s3.send(new DeleteObjectCommand({ Bucket, Key: "a" }));
    local.store.sweepGarbage(0);
    expect(await textOf(local.s3, "b")).toBe("shared");
    await local.s3.send(new PutObjectCommand({ Bucket, Key: "b", Body: "other" }));
    local.store.sweepGarbage(60_000);
    expect(local.dataFiles()).toHaveLength(2);
    now = new Date(now.getTime() + 60_000);
    local.store.sweepGarbage(60_000);
    expect(local.dataFiles()).toHaveLength(1);
    expect(await textOf(local.s3, "b")).toBe("other");
  });

  test("the parts of an upload that was aborted, and those it did not need, become garbage", async () => {
    const local = await start();
    const begin = async (Key: string) => {
      const { UploadId } = await local.s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
      const part = (PartNumber: number) =>
        local.s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body: "x" }));
      return { UploadId, parts: [await part(1), await part(1), await part(2)] };
    };
    const { UploadId } = await begin("aborted");
    await local.s3.send(new AbortMultipartUploadCommand({ Bucket, Key: "aborted", UploadId }));
    const done = await begin("done");
    const Parts = [{ PartNumber: 2, ETag: done.parts[2]?.ETag }];
    await local.s3.send(
      new CompleteMultipartUploadCommand({ Bucket, Key: "done", UploadId: done.UploadId, MultipartUpload: { Parts } }),
    );
    expect(local.dataFiles()).toHaveLength(6);
    local.store.sweepGarbage(0);
    expect(local.dataFiles()).toHaveLength(1);
    expect(await textOf(local.s3, "done")).toBe("x");
  });

  test("a download that began before its object was replaced ends with the old bytes", async () => {
    const local = await start();
    const old = randomBytes(8_000_000);
    await local.s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: old }));
    const got = await local.s3.send(new GetObjectCommand({ Bucket, Key: "a" }));
    await local.s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "new" }));
    expect(Buffer.from((await got.Body?.transformToByteArray()) ?? []).equals(old)).toBe(true);
  });

  test("uploads that fail leave neither a key nor a file", async () => {
    const local = await start();
    const wrong = local.s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "x", ChecksumCRC32: "AAAAAA==" }));
    expect(await errorOf(wrong)).toMatchObject({ code: "BadDigest" });
    const plain = local.client({ requestChecksumCalculation: "WHEN_REQUIRED" });
    const url = await getSignedUrl(
      plain,
      new PutObjectCommand({ Bucket, Key: "a", ChecksumSHA256: createHash("sha256").digest("base64") }),
      { unhoistableHeaders: new Set(["x-amz-checksum-sha256"]) },
    );
    const headers = { "x-amz-checksum-sha256": createHash("sha256").digest("base64") };
    expect((await fetch(url, { method: "PUT", body: "bytes", headers })).status).toBe(400);
    const sent = open(local, await sign(local, { path: `/${Bucket}/a`, headers: { "content-length": "1000000" } }));
    sent.on("error", () => undefined);
    sent.write(randomBytes(300_000));
    while (local.drafts().length === 0) await sleep(5);
    sent.destroy();
    for (let i = 0; i < 100 && local.drafts().length > 0; i++) await sleep(10);
    const races = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        local.s3.send(new PutObjectCommand({ Bucket, Key: "race", Body: `${i}`, IfNoneMatch: "*" })).then(
          () => 1,
          () => 0,
        ),
      ),
    );
    expect(races.filter(Boolean)).toHaveLength(1);
    expect([local.drafts(), local.dataFiles().length]).toEqual([[], 1]);
    expect(local.faults).toEqual([]);
  });

  test("what an earlier process left unfinished is removed at the start", async () => {
    const folder = newFolder();
    const one = await start({ folder, keepFolder: true });
    await one.s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "x" }));
    const [id = 0] = one.dataFiles();
    await stop(one);
    mkdirSync(join(dataPath(folder, id + 1), ".."), { recursive: true });
    cpSync(dataPath(folder, id), dataPath(folder, id + 1));
    const two = await start({ folder, keepFolder: true });
    expect([two.drafts(), two.dataFiles()]).toEqual([[], [id]]);
    await two.s3.send(new PutObjectCommand({ Bucket, Key: "b", Body: "y" }));
    expect(Math.max(...two.dataFiles())).toBeGreaterThan(id + 1);
  });

  test("a file that is missing is told of, and reading it is a fault, not a hang", async () => {
    const local = await start();
    for (const Key of ["a", "b", "c"]) await local.s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
    const ids = local.dataFiles();
    expect(local.store.missingData()).toBeUndefined();
    rmSync(dataPath(local.folder, ids[1] ?? 0));
    writeFileSync(dataPath(local.folder, ids[2] ?? 0), "longer");
    expect(local.store.missingData()).toBe(ids[1]);
    expect(local.store.missingData(ids[1])).toBe(ids[2]);
    expect(local.store.missingData(ids[2])).toBeUndefined();
    expect(await errorOf(local.s3.send(new GetObjectCommand({ Bucket, Key: "b" })))).toEqual({
      code: "InternalError",
      status: 500,
    });
    expect(local.faults).toHaveLength(1);
    expect(await textOf(local.s3, "a")).toBe("a");
  });
});
