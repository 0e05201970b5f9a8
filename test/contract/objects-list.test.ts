import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  GetBucketLocationCommand,
  GetBucketVersioningCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  PutBucketPolicyCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
} from "@aws-sdk/client-s3";
import fc from "fast-check";
import pMap from "p-map";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bucketName, errorOf, type ObjectsEndpoint, objectsEndpoint } from "../support/objects-endpoint.ts";

let endpoint: ObjectsEndpoint;
let s3: S3Client;
beforeAll(async () => {
  endpoint = await objectsEndpoint();
  s3 = endpoint.client();
});
afterAll(() => endpoint.close());

async function bucketWith(keys: Iterable<string>): Promise<string> {
  const Bucket = bucketName();
  await s3.send(new CreateBucketCommand({ Bucket }));
  await pMap(keys, (Key) => s3.send(new PutObjectCommand({ Bucket, Key, Body: Key })), { concurrency: 16 });
  return Bucket;
}

describe("buckets", () => {
  test("are made, found, listed and deleted", async () => {
    const Bucket = bucketName();
    expect(await errorOf(s3.send(new HeadBucketCommand({ Bucket })))).toMatchObject({ status: 404 });
    await s3.send(new CreateBucketCommand({ Bucket }));
    expect((await s3.send(new HeadBucketCommand({ Bucket }))).BucketRegion).toBe(endpoint.region);
    expect((await s3.send(new GetBucketLocationCommand({ Bucket }))).LocationConstraint).toBe(endpoint.region);
    expect((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status).toBeUndefined();
    const { Buckets = [] } = await s3.send(new ListBucketsCommand({}));
    expect(Buckets.map(({ Name }) => Name)).toContain(Bucket);
    await s3.send(new DeleteBucketCommand({ Bucket }));
    expect(await errorOf(s3.send(new DeleteBucketCommand({ Bucket })))).toEqual({ code: "NoSuchBucket", status: 404 });
  });

  test("exist once, are not deleted while they hold something, and have decent names", async () => {
    const Bucket = await bucketWith(["a"]);
    const again = s3.send(new CreateBucketCommand({ Bucket }));
    expect(await errorOf(again)).toEqual({ code: "BucketAlreadyOwnedByYou", status: 409 });
    expect(await errorOf(s3.send(new DeleteBucketCommand({ Bucket })))).toEqual({
      code: "BucketNotEmpty",
      status: 409,
    });
    for (const bad of ["Upper-Case", "ab", "under_score", "192.168.0.1", "-dash", "a..b"])
      expect(await errorOf(s3.send(new CreateBucketCommand({ Bucket: bad })))).toEqual({
        code: "InvalidBucketName",
        status: 400,
      });
  });

  test("have no policies here, and say so", async () => {
    const Bucket = await bucketWith([]);
    const policy = s3.send(new PutBucketPolicyCommand({ Bucket, Policy: "{}" }));
    expect(await errorOf(policy)).toEqual({ code: "NotImplemented", status: 501 });
  });
});

describe("ListObjectsV2", () => {
  const list = (input: ListObjectsV2CommandInput) => s3.send(new ListObjectsV2Command(input));
  const keysOf = (page: Awaited<ReturnType<typeof list>>) => (page.Contents ?? []).map(({ Key }) => Key);
  const prefixesOf = (page: Awaited<ReturnType<typeof list>>) =>
    (page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix);

  test("tells keys in the order of their bytes, with size and ETag", async () => {
    const Bucket = await bucketWith([
      "b",
      "a",
      "a/b",
      "B",
      "ä",
      "\u{1f600}",
      "\uffff",
      "a b",
      " blank ",
      "<&>\"'\r\n\t",
    ]);
    const page = await list({ Bucket });
    const sorted = [...keysOf(page)].sort((a = "", b = "") => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(keysOf(page)).toEqual(sorted);
    expect(page).toMatchObject({ KeyCount: 10, IsTruncated: false, MaxKeys: 1_000, Name: Bucket });
    expect(page.Contents?.find(({ Key }) => Key === "a b")).toMatchObject({
      Size: 3,
      StorageClass: "STANDARD",
      ChecksumAlgorithm: ["CRC32"],
    });
    expect(keysOf(page)).toContain("<&>\"'\r\n\t");
    expect(keysOf(page)).toContain(" blank ");
  });

  test("pages of any size join to the whole, prefixes too", async () => {
    const Bucket = await bucketWith([
      "a/1",
      "a/2",
      "a/3",
      "b",
      "b/1/x",
      "b/1/y",
      "b/2",
      "c",
      "d/1",
      "d/2",
      "e%f",
      "g+h",
    ]);
    const whole = await list({ Bucket, Delimiter: "/" });
    expect(keysOf(whole)).toEqual(["b", "c", "e%f", "g+h"]);
    expect(prefixesOf(whole)).toEqual(["a/", "b/", "d/"]);
    expect(whole.KeyCount).toBe(7);
    for (const MaxKeys of [1, 2, 3, 5]) {
      for (const Delimiter of [undefined, "/"]) {
        const expected = await list({ Bucket, Delimiter });
        const keys: unknown[] = [];
        const prefixes: unknown[] = [];
        for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket, Delimiter, MaxKeys })) {
          expect(page.KeyCount).toBeLessThanOrEqual(MaxKeys);
          keys.push(...keysOf(page));
          prefixes.push(...prefixesOf(page));
        }
        expect(keys).toEqual(keysOf(expected));
        expect(prefixes).toEqual(prefixesOf(expected));
      }
    }
  });

  test("takes prefix, delimiter and start-after together", async () => {
    const Bucket = await bucketWith(["p/a", "p/b/1", "p/b/2", "p/c", "q", "p"]);
    expect(keysOf(await list({ Bucket, Prefix: "p/" }))).toEqual(["p/a", "p/b/1", "p/b/2", "p/c"]);
    const page = await list({ Bucket, Prefix: "p/", Delimiter: "/", StartAfter: "p/a" });
    expect([keysOf(page), prefixesOf(page)]).toEqual([["p/c"], ["p/b/"]]);
    expect(page).toMatchObject({ StartAfter: "p/a", Prefix: "p/", Delimiter: "/" });
    expect(keysOf(await list({ Bucket, StartAfter: "p/c" }))).toEqual(["q"]);
    expect((await list({ Bucket, Prefix: "none" })).KeyCount).toBe(0);
    expect(await list({ Bucket, MaxKeys: 0 })).toMatchObject({ KeyCount: 0, IsTruncated: false });
    expect((await list({ Bucket, FetchOwner: true })).Contents?.[0]?.Owner?.ID).toBeTruthy();
    expect((await list({ Bucket })).Contents?.[0]?.Owner).toBeUndefined();
  });

  test("more than a page of one thousand, and more keys than that under one prefix", async () => {
    const Bucket = await bucketWith([...Array.from({ length: 1_010 }, (_, i) => `deep/${i}`), "last"]);
    const first = await list({ Bucket });
    expect(first).toMatchObject({ KeyCount: 1_000, IsTruncated: true });
    const second = await list({ Bucket, ContinuationToken: first.NextContinuationToken });
    expect(second).toMatchObject({ KeyCount: 11, IsTruncated: false });
    const rolled = await list({ Bucket, Delimiter: "/" });
    expect([prefixesOf(rolled), keysOf(rolled), rolled.IsTruncated]).toEqual([["deep/"], ["last"], false]);
  });

  test("writes names percent-encoded when asked", async () => {
    const Bucket = await bucketWith(["a b/ü+~*\u0001"]);
    const page = await list({ Bucket, EncodingType: "url", Prefix: "a b" });
    expect(page).toMatchObject({ EncodingType: "url", Prefix: "a+b" });
    expect(keysOf(page)).toEqual(["a+b/%C3%BC%2B%7E*%01"]);
  });

  test("refuses a token that it never gave, and a bad encoding", async () => {
    const Bucket = await bucketWith(["a"]);
    expect(await errorOf(list({ Bucket, ContinuationToken: "nonsense" }))).toMatchObject({ code: "InvalidArgument" });
    expect(await errorOf(list({ Bucket: "no-such-bucket-here" }))).toMatchObject({ code: "NoSuchBucket" });
  });

  test("any keys, prefix, delimiter and page size: as if the whole list had been filtered", async () => {
    const Bucket = await bucketWith([]);
    const part = fc.constantFrom("a", "b", "/", "//", "ab", "-");
    const key = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(""));
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(key, { maxLength: 20 }),
        fc.constantFrom("", "a", "/", "a/"),
        fc.constantFrom("/", "b", "//"),
        fc.integer({ min: 1, max: 6 }),
        async (keys, Prefix, Delimiter, MaxKeys) => {
          const { Contents = [] } = await list({ Bucket });
          const extra = Contents.flatMap(({ Key = "" }) => (keys.includes(Key) ? [] : [{ Key }]));
          if (extra.length > 0) await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: extra } }));
          await Promise.all(keys.map((Key) => s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" }))));
          const expectedKeys = keys
            .filter((k) => k.startsWith(Prefix) && k.indexOf(Delimiter, Prefix.length) < 0)
            .sort();
          const groups = keys.flatMap((k) => {
            const at = k.startsWith(Prefix) ? k.indexOf(Delimiter, Prefix.length) : -1;
            return at < 0 ? [] : [k.slice(0, at + Delimiter.length)];
          });
          const found: string[] = [];
          const prefixes: string[] = [];
          for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket, Prefix, Delimiter, MaxKeys })) {
            found.push(...keysOf(page).map(String));
            prefixes.push(...prefixesOf(page).map(String));
          }
          expect(found).toEqual(expectedKeys);
          expect(prefixes).toEqual([...new Set(groups)].sort());
        },
      ),
      { numRuns: 25 },
    );
  });
});

test("ListObjects of the first version pages by marker", async () => {
  const Bucket = await bucketWith(["a", "b", "c/1", "c/2", "d"]);
  const first = await s3.send(new ListObjectsCommand({ Bucket, MaxKeys: 3, Delimiter: "/" }));
  expect(first).toMatchObject({ IsTruncated: true, NextMarker: "c/" });
  const second = await s3.send(new ListObjectsCommand({ Bucket, Marker: "c/", Delimiter: "/" }));
  expect(second.Contents?.map(({ Key }) => Key)).toEqual(["d"]);
  expect(second.CommonPrefixes).toBeUndefined();
});

describe("DeleteObjects", () => {
  test("deletes what is there and what is not, and is quiet when asked", async () => {
    const Bucket = await bucketWith(["a", "b&<>", "c"]);
    const loud = await s3.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "a" }, { Key: "b&<>" }, { Key: "none" }] } }),
    );
    expect(loud.Deleted?.map(({ Key }) => Key)).toEqual(["a", "b&<>", "none"]);
    const quiet = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "c" }], Quiet: true } }));
    expect(quiet.Deleted).toBeUndefined();
    expect((await s3.send(new ListObjectsV2Command({ Bucket }))).KeyCount).toBe(0);
  });

  test("deletes just the key that is named, whatever its characters", async () => {
    const keys = [
      "&amp;",
      "&#65;",
      "a\rb",
      "a\nb",
      "a\u0085b",
      "a\u2028b",
      "ab",
      "a\u0001b",
      "<![CDATA[ab]]>",
      "'\"",
      " ab ",
      "001",
    ];
    for (const Key of keys) {
      const Bucket = await bucketWith(keys);
      await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key }] } }));
      const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket }));
      expect(Contents.map((one) => one.Key).sort()).toEqual(keys.filter((other) => other !== Key).sort());
    }
  });

  test("says for each key what went wrong", async () => {
    const Bucket = await bucketWith(["a", "b"]);
    const { Deleted, Errors } = await s3.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "a", ETag: '"x"' }, { Key: "b" }] } }),
    );
    expect(Deleted?.map(({ Key }) => Key)).toEqual(["b"]);
    expect(Errors).toMatchObject([{ Key: "a", Code: "PreconditionFailed" }]);
  });

  test("takes at most one thousand", async () => {
    const Bucket = await bucketWith([]);
    const objects = (length: number) => Array.from({ length }, (_, i) => ({ Key: `k${i}` }));
    const { Deleted } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: objects(1_000) } }));
    expect(Deleted).toHaveLength(1_000);
    const many = s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: objects(1_001) } }));
    expect(await errorOf(many)).toEqual({ code: "MalformedXML", status: 400 });
  });
});
