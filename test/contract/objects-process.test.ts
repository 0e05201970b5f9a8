import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
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
import { textAt } from "../support/objects-answers.ts";
import { errorOf, OWN_CREDENTIALS } from "../support/objects-endpoint.ts";
import { BUCKET as Bucket, ownObjects } from "../support/objects-own.ts";
import { open, send, sign } from "../support/objects-raw.ts";

/** What only our own endpoint has: its events, and a process that can be killed, limited and measured. */
const { start, stop, newFolder, startChild, end } = ownObjects();
afterEach(end);

const textOf = (s3: S3Client, Key: string) => textAt(s3, { Bucket, Key });

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

  test("an object whose SHA-256 was told has its ETag of that, and so has its copy", async () => {
    const { s3 } = await start();
    const sha256 = createHash("sha256").update("0123456789").digest();
    const eTag = `"${sha256.toString("hex").slice(0, 32)}"`;
    const body = { Bucket, Body: "0123456789", ChecksumSHA256: sha256.toString("base64") };
    expect(await s3.send(new PutObjectCommand({ ...body, Key: "told" }))).toMatchObject({ ETag: eTag });
    const copied = await s3.send(new CopyObjectCommand({ Bucket, Key: "copy", CopySource: `${Bucket}/told` }));
    expect(copied.CopyObjectResult).toMatchObject({ ETag: eTag, ChecksumSHA256: body.ChecksumSHA256 });
    const swap = new PutObjectCommand({ Bucket, Key: "copy", Body: "new", IfMatch: eTag });
    expect(await s3.send(swap)).toMatchObject({ ETag: `"${createHash("md5").update("new").digest("hex")}"` });
    expect(await errorOf(s3.send(swap))).toMatchObject({ status: 412 });
    const both = { ...body, Key: "both", ContentMD5: createHash("md5").update("0123456789").digest("base64") };
    expect(await s3.send(new PutObjectCommand(both))).toMatchObject({
      ETag: `"${createHash("md5").update("0123456789").digest("hex")}"`,
    });
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
    expect((await local.s3.send(new ListObjectsV2Command({ Bucket }))).KeyCount).toBe(3);
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

  test("a disk that fills up amid many small uploads refuses those it has no room for, and keeps all that it answered", async () => {
    const folder = newFolder();
    const { child, s3 } = await startChild(folder, 3_072);
    const keys = Array.from({ length: 60 }, (_, i) => `small/${i}`);
    const body = (key: string) => key.repeat(12_000);
    const outcomes = await Promise.all(
      keys.map((Key) =>
        s3.send(new PutObjectCommand({ Bucket, Key, Body: body(Key) })).then(
          () => "stored",
          (error: Error) => error.name,
        ),
      ),
    );
    // SQLite tells a limit on files, unlike a full disk, as an error of the disk.
    const kinds = new Set(outcomes.map((one) => one.replace("ServiceUnavailable", "InternalError")));
    expect(kinds).toEqual(new Set(["stored", "InternalError"]));
    const stored = keys.filter((_, i) => outcomes[i] === "stored");
    const held = async (client: S3Client) =>
      ((await client.send(new ListObjectsV2Command({ Bucket }))).Contents ?? []).map(({ Key }) => Key).sort();
    expect(await held(s3)).toEqual([...stored].sort());
    child.kill("SIGKILL");
    await once(child, "exit");
    const local = await start({ folder, keepFolder: true });
    expect(await held(local.s3)).toEqual([...stored].sort());
    for (const key of stored) expect(await textOf(local.s3, key)).toBe(body(key));
    await local.s3.send(new PutObjectCommand({ Bucket, Key: "again", Body: body("again") }));
  });

  test("what was answered is there after kill -9 in the middle of many uploads, in files and in the database", async () => {
    const folder = newFolder();
    const isLarge = (key: string) => /\/[13]\//.test(key);
    const bodyOf = (key: string) => key.repeat(isLarge(key) ? 40_000 : 200);
    for (let round = 0; round < 3; round++) {
      const { child, s3 } = await startChild(folder);
      const answered: string[] = [];
      const put = async (worker: number) => {
        for (let i = 0; ; i++) {
          const Key = `${round}/${worker}/${i}`;
          await s3.send(new PutObjectCommand({ Bucket, Key, Body: bodyOf(Key) }));
          answered.push(Key);
        }
      };
      const workers = Promise.allSettled(Array.from({ length: 6 }, (_, i) => put(i)));
      await sleep(300 + 100 * round);
      await expect.poll(() => new Set(answered.map(isLarge)).size, { timeout: 20_000, interval: 5 }).toBe(2);
      child.kill("SIGKILL");
      await workers;
      const local = await start({ folder, keepFolder: true });
      for (const Key of answered) expect(await textOf(local.s3, Key)).toBe(bodyOf(Key));
      const listed = (await local.s3.send(new ListObjectsV2Command({ Bucket }))).Contents ?? [];
      expect(local.drafts()).toEqual([]);
      const inFiles = listed.filter(({ Size = 0 }) => Size > 100_000);
      if (listed.length < 1_000) expect(local.dataFiles()).toHaveLength(inFiles.length);
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
