import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { afterEach, describe, expect, test } from "vitest";
import type { Created } from "../../infra/local/s3/store.ts";
import { errorOf, type LocalObjects, localObjects, OWN_CREDENTIALS } from "../support/objects-endpoint.ts";
import { open, send, sign } from "../support/objects-raw.ts";

/** What only our own endpoint has: its folder, its clock, its events. */
const Bucket = "packhouse";
const opened: LocalObjects[] = [];
const folders: string[] = [];
const children: ChildProcess[] = [];

async function start(options: Parameters<typeof localObjects>[0] = {}): Promise<LocalObjects & { s3: S3Client }> {
  const local = await localObjects(options);
  opened.push(local);
  local.store.createBucket(Bucket);
  return { ...local, s3: local.client() };
}

async function stop(local: LocalObjects): Promise<void> {
  const at = opened.findIndex(({ url }) => url === local.url);
  if (at >= 0) opened.splice(at, 1);
  await local.close();
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "packhouse-objects-"));
  folders.push(folder);
  return folder;
}

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const local of opened.splice(0)) await local.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const textOf = async (s3: S3Client, Key: string) =>
  await (await s3.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToString();
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

describe("in the same process", () => {
  test("open gives an object without a signature, whole or in a range", async () => {
    const local = await start();
    await local.s3.send(
      new PutObjectCommand({
        Bucket,
        Key: "a",
        Body: "0123456789",
        ContentType: "t/t",
        CacheControl: "c",
        ContentDisposition: "d",
        ContentEncoding: "gzip",
        Metadata: { m: "1" },
      }),
    );
    const object = local.store.open(Bucket, "a");
    expect(object).toMatchObject({
      sizeBytes: 10,
      contentType: "t/t",
      cacheControl: "c",
      contentDisposition: "d",
      contentEncoding: "gzip",
      metadata: { m: "1" },
      sha256: createHash("sha256").update("0123456789").digest("hex"),
      eTag: createHash("md5").update("0123456789").digest("hex"),
    });
    const read = async (stream: Readable | undefined) =>
      Buffer.concat(await (stream ?? Readable.from([])).toArray()).toString();
    expect(await read(object?.stream())).toBe("0123456789");
    expect(await read(object?.stream({ start: 2, end: 4 }))).toBe("234");
    expect(local.store.open(Bucket, "none")).toBeUndefined();
  });

  test("every object is told of once, in the transaction that makes it visible", async () => {
    const events: Created[] = [];
    let refuse = false;
    const local = await start({
      onCreated: (created) => {
        if (refuse) throw new Error("no room for the event");
        events.push(created);
      },
    });
    await local.s3.send(new PutObjectCommand({ Bucket, Key: "a/ü", Body: "xyz" }));
    await local.s3.send(
      new CopyObjectCommand({ Bucket, Key: "b", CopySource: `${Bucket}/${encodeURIComponent("a/ü")}` }),
    );
    const { UploadId } = await local.s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "c" }));
    const { ETag } = await local.s3.send(
      new UploadPartCommand({ Bucket, Key: "c", UploadId, PartNumber: 1, Body: "part" }),
    );
    await local.s3.send(
      new CompleteMultipartUploadCommand({
        Bucket,
        Key: "c",
        UploadId,
        MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] },
      }),
    );
    const eTag = createHash("md5").update("xyz").digest("hex");
    expect(events).toEqual([
      { bucket: Bucket, key: "a/ü", sizeBytes: 3, eTag, eventName: "ObjectCreated:Put" },
      { bucket: Bucket, key: "b", sizeBytes: 3, eTag, eventName: "ObjectCreated:Copy" },
      {
        bucket: Bucket,
        key: "c",
        sizeBytes: 4,
        eTag: expect.stringMatching(/-1$/),
        eventName: "ObjectCreated:CompleteMultipartUpload",
      },
    ]);
    await expect(
      local.s3.send(new PutObjectCommand({ Bucket, Key: "bad", Body: "x", ChecksumCRC32: "AAAAAA==" })),
    ).rejects.toThrow();
    expect(events).toHaveLength(3);
    refuse = true;
    const put = local.s3.send(new PutObjectCommand({ Bucket, Key: "d", Body: "x" }));
    expect(await errorOf(put)).toEqual({ code: "InternalError", status: 500 });
    expect(await errorOf(local.s3.send(new HeadObjectCommand({ Bucket, Key: "d" })))).toMatchObject({ status: 404 });
    expect(local.dataFiles()).toHaveLength(2);
  });

  test("a signature for a public host is good behind a proxy that has another", async () => {
    const local = await start({ publicHosts: ["packages.example.org"] });
    const outside = new S3Client({
      endpoint: "https://packages.example.org/_s3",
      region: local.region,
      credentials: OWN_CREDENTIALS,
      forcePathStyle: true,
      requestChecksumCalculation: "WHEN_REQUIRED",
    });
    const inside = async (url: string) =>
      await fetch(url.replace("https://packages.example.org/_s3", local.url), { method: "PUT", body: "x" });
    const url = await getSignedUrl(outside, new PutObjectCommand({ Bucket, Key: "a" }));
    expect((await inside(url)).status).toBe(200);
    expect((await inside(url.replace("X-Amz-Expires=900", "X-Amz-Expires=901"))).status).toBe(403);
  });
});

/** Runs the endpoint in a process of its own, so that it can be killed, limited and measured. */
async function startChild(
  folder: string,
  limitKib?: number,
): Promise<{ child: ChildProcess; local: Parameters<typeof send>[0]; s3: S3Client }> {
  const script = join(import.meta.dirname, "../support/objects-child.ts");
  const limit = limitKib === undefined ? "" : `ulimit -f ${limitKib}; `;
  const child = spawn("bash", ["-c", `${limit}exec "$0" "$1" "$2"`, process.execPath, script, folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  const url = String(line);
  const client = (config = {}) =>
    new S3Client({
      endpoint: url,
      region: "eu-central-1",
      credentials: OWN_CREDENTIALS,
      forcePathStyle: true,
      maxAttempts: 1,
      ...config,
    });
  return {
    child,
    s3: client(),
    local: { url, region: "eu-central-1", credentials: OWN_CREDENTIALS, client, close: async () => undefined },
  };
}

describe("in a process of its own", () => {
  test("a full disk is ServiceUnavailable, leaves nothing, and the endpoint lives on", async () => {
    const folder = newFolder();
    const { s3, local } = await startChild(folder, 3_072);
    const answer = await send(local, { path: `/${Bucket}/big` }, randomBytes(6_000_000));
    expect([answer.code, answer.status]).toEqual(["ServiceUnavailable", 503]);
    expect(await errorOf(s3.send(new HeadObjectCommand({ Bucket, Key: "big" })))).toMatchObject({ status: 404 });
    expect(readdirSync(join(folder, "data"), { recursive: true }).filter((name) => /\/\d+$/.test(`${name}`))).toEqual(
      [],
    );
    await s3.send(new PutObjectCommand({ Bucket, Key: "small", Body: "fits" }));
    expect(await textOf(s3, "small")).toBe("fits");
  });

  test("what was answered is there after kill -9 in the middle of many uploads", async () => {
    const folder = newFolder();
    for (let round = 0; round < 3; round++) {
      const { child, s3 } = await startChild(folder);
      const answered: string[] = [];
      const put = async (worker: number) => {
        for (let i = 0; ; i++) {
          const Key = `${round}/${worker}/${i}`;
          await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key.repeat(2_000) }));
          answered.push(Key);
        }
      };
      const workers = Promise.allSettled(Array.from({ length: 6 }, (_, i) => put(i)));
      await sleep(300 + 100 * round);
      child.kill("SIGKILL");
      await workers;
      expect(answered.length).toBeGreaterThan(0);
      const local = await start({ folder, keepFolder: true });
      for (const Key of answered) expect(await textOf(local.s3, Key)).toBe(Key.repeat(2_000));
      const listed = (await local.s3.send(new ListObjectsV2Command({ Bucket }))).Contents ?? [];
      expect(local.drafts()).toEqual([]);
      if (listed.length < 1_000) expect(local.dataFiles()).toHaveLength(listed.length);
      expect(local.store.missingData()).toBeUndefined();
      await stop(local);
    }
  });

  test("hundreds of megabytes pass without staying in memory", async () => {
    const { child, s3, local } = await startChild(newFolder());
    const rss = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1_024;
    const block = randomBytes(1 << 20);
    const blocks = 300;
    const source = () =>
      Readable.from(
        (function* () {
          for (let i = 0; i < blocks; i++) yield block;
        })(),
      );
    await s3.send(new PutObjectCommand({ Bucket, Key: "warm", Body: block }));
    const before = rss();
    const started = performance.now();
    await s3.send(new PutObjectCommand({ Bucket, Key: "large", Body: source(), ContentLength: blocks * block.length }));
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: "large" }));
    let sizeBytes = 0;
    if (Body instanceof Readable) for await (const chunk of Body) sizeBytes += chunk.length;
    expect(sizeBytes).toBe(blocks * block.length);
    expect(performance.now() - started).toBeLessThan(20_000);
    expect(rss() - before).toBeLessThan(120);
    // A client that reads slowly is waited for.
    const slow = open(local, await sign(local, { method: "GET", path: `/${Bucket}/large` }));
    slow.on("response", (response) => response.pause());
    slow.on("error", () => undefined);
    slow.end();
    await sleep(1_000);
    expect(rss() - before).toBeLessThan(120);
    slow.destroy();
  });
});
