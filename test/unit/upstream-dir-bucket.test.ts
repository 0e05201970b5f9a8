import { S3Client } from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import type { ForeignBuckets, ForeignObject } from "../../shared/objects/foreign.ts";
import { foreignBucketsOf } from "../../shared/objects/foreign.ts";
import { foundInBucket } from "../../shared/sync/dir-bucket.ts";
import { wantedOf } from "../../shared/sync/dir-file.ts";
import { openForeign } from "../../shared/sync/dir-open.ts";
import { siteOf } from "../../shared/sync/site.ts";
import { takeFile } from "../../shared/sync/take.ts";
import { createUpstream } from "../../shared/sync/upstream.ts";
import { UpstreamError, UpstreamFault } from "../../shared/upstream/fetch-error.ts";
import { memoryContext } from "../support/memory-context.ts";
import { openUpstream } from "../support/upstream-site.ts";

const ALL = wantedOf({ include: [], exclude: [] });
const FAULT = new UpstreamFault({ url: "s3://far/x", expected: "bytes", got: "the end" });

function over(foreign: Partial<ForeignBuckets>) {
  const ctx = memoryContext();
  const nobody = async () => {
    throw new Error("not asked for");
  };
  const sleep = async () => {};
  return { ...ctx, foreign: { list: nobody, open: nobody, ...foreign }, fetcher: { ...ctx.fetcher, sleep } };
}

async function namesIn(foreign: Partial<ForeignBuckets>, path = "s3://far/pub"): Promise<string[]> {
  const ctx = over(foreign);
  const upstream = await createUpstream(ctx, { type: "dir", name: "far" }, { path }, "somebody");
  const names: string[] = [];
  for await (const found of await foundInBucket(await siteOf(ctx, upstream), ALL)) {
    if ("unknown" in found) names.push(`${found.unknown.name} ${found.unknown.url} ${found.unknown.version}`);
  }
  return names;
}

const object = (key: string): ForeignObject => ({ key, sizeBytes: 3, etag: '"e"' });

test("a bucket is listed page by page, below the folder that the prefix names", async () => {
  const asked: unknown[][] = [];
  const pages = [
    { objects: [object("pub/a b"), object("pub/")], next: "more" },
    { objects: [object("pub/c/d"), { ...object("pub/c/"), sizeBytes: 0 }], next: undefined },
  ];
  let faults = 1;
  const list: ForeignBuckets["list"] = async (...given) => {
    if (faults-- > 0) throw FAULT;
    asked.push(given);
    return pages[asked.length - 1] ?? { objects: [], next: undefined };
  };
  expect(await namesIn({ list })).toEqual(['a b s3://far/pub/a%20b "e" 3', 'c/d s3://far/pub/c/d "e" 3']);
  expect(asked).toEqual([
    ["far", "pub/", undefined],
    ["far", "pub/", "more"],
  ]);
});

test.each(["pub/../x", "pub//x", "pub/./x", "pub/a\\b", "pub/a\u0007", "pub/x/", "pub/%2e%2e/x"])(
  "the key %j is refused by its name",
  async (key) => {
    const list = async () => ({ objects: [object("pub/fine"), object(key)], next: undefined });
    await expect(namesIn({ list })).rejects.toThrow(/^s3:\/\/far\/pub\/.*: the path is refused/);
  },
);

async function bytesOf(foreign: Partial<ForeignBuckets>, sizeBytes?: number, maxBytes = 100): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of openForeign(over(foreign), { url: "s3://far/a%20b", sizeBytes }, maxBytes))
    chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test("an object that breaks off is read on from there, of the same bytes", async () => {
  const asked: unknown[] = [];
  const open: ForeignBuckets["open"] = async (_, key, part) => {
    asked.push([key, part]);
    return {
      etag: '"e"',
      bytes: (async function* () {
        yield Buffer.from("abcdef".slice(part?.from ?? 0).slice(0, 2));
        if ((part?.from ?? 0) < 4) throw FAULT;
      })(),
    };
  };
  expect(await bytesOf({ open }, 6)).toBe("abcdef");
  expect(asked).toEqual([
    ["a b", { from: 0, etag: undefined }],
    ["a b", { from: 2, etag: '"e"' }],
    ["a b", { from: 4, etag: '"e"' }],
  ]);
});

test("a fault that stays is thrown on for the queue to try later", async () => {
  let tries = 0;
  const open = async () => {
    tries += 1;
    throw FAULT;
  };
  await expect(bytesOf({ open })).rejects.toBe(FAULT);
  expect(tries).toBe(4);
});

test.each([
  ["more than the list said", 2, 100, /expected 2 bytes, got more/],
  ["fewer", 4, 100, /expected 4 bytes, got 3/],
  ["more than may be", undefined, 2, /expected at most 2 bytes, got more/],
])("%s is an error", async (_, sizeBytes, maxBytes, message) => {
  const abc = async function* () {
    yield Buffer.from("abc");
  };
  const failed = bytesOf({ open: async () => ({ etag: undefined, bytes: abc() }) }, sizeBytes, maxBytes);
  await expect(failed).rejects.toThrow(message);
});

test("what an index of the web names in a bucket is not read", async () => {
  const file = { url: "s3://far/x", checksum: { algorithm: "sha1", value: "0".repeat(40) } } as const;
  await expect(takeFile(over({}), "https://far.test/", file)).rejects.toThrow("not in memory");
});

async function bucketsAt(answer: Parameters<typeof openUpstream>[0]): Promise<ForeignBuckets> {
  const { origin } = await openUpstream(answer);
  const credentials = { accessKeyId: "a", secretAccessKey: "b" };
  const client = new S3Client({
    endpoint: origin,
    region: "eu-west-1",
    credentials,
    forcePathStyle: true,
    maxAttempts: 1,
  });
  return foreignBucketsOf(client, ["far"]);
}

const xmlError = (code: string) => `<?xml version="1.0"?><Error><Code>${code}</Code><Message>why</Message></Error>`;

test("of buckets, only those that are listed are even asked for", async () => {
  let asked = 0;
  const buckets = await bucketsAt(() => {
    asked += 1;
  });
  for (const name of ["packhouse", "FAR", "far2", ""]) {
    await expect(buckets.list(name, "")).rejects.toThrow(UpstreamError);
    await expect(buckets.open(name, "x")).rejects.toThrow(/expected a bucket that PACKHOUSE_UPSTREAM_BUCKETS lists/);
  }
  expect(asked).toBe(0);
});

test.each([
  [403, "AccessDenied", UpstreamError],
  [404, "NoSuchBucket", UpstreamError],
  [412, "PreconditionFailed", UpstreamError],
  [503, "SlowDown", UpstreamFault],
  [500, "InternalError", UpstreamFault],
])("an answer of %i is told with the address", async (status, code, kind) => {
  const buckets = await bucketsAt((_, response) => void response.writeHead(status).end(xmlError(code)));
  await expect(buckets.list("far", "pub/")).rejects.toThrow(kind);
  await expect(buckets.list("far", "pub/")).rejects.toThrow(
    `s3://far/pub/: expected its bytes or its list, got ${code}`,
  );
  await expect(buckets.open("far", "a b")).rejects.toThrow("s3://far/a b: ");
});

test("keys come as they are, control characters and all", async () => {
  const contents = ["a+b%2B%20c", "%07", "%C3%BC/%25"].map(
    (key) => `<Contents><Key>${key}</Key><Size>5</Size><ETag>&quot;e&quot;</ETag></Contents>`,
  );
  let asked = "";
  const buckets = await bucketsAt((request, response) => {
    asked = request.url ?? "";
    response.end(`<?xml version="1.0"?><ListBucketResult><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>
<NextContinuationToken>n</NextContinuationToken>${contents.join("")}</ListBucketResult>`);
  });
  const { objects, next } = await buckets.list("far", "p/", "before");
  expect(objects.map(({ key }) => key)).toEqual(["a b+ c", "\u0007", "ü/%"]);
  expect(objects[0]).toMatchObject({ sizeBytes: 5, etag: '"e"' });
  expect(next).toBe("n");
  expect(asked).toMatch(/encoding-type=url/);
  expect(asked).toMatch(/continuation-token=before/);
});

test("bytes that stop too early are a fault that may pass", async () => {
  const buckets = await bucketsAt((request, response) => {
    expect(request.headers).toMatchObject({ range: "bytes=3-", "if-match": '"e"' });
    response.writeHead(206, { "content-length": "10", etag: '"e"' }).write("abc", () => response.destroy());
  });
  const { bytes } = await buckets.open("far", "x", { from: 3, etag: '"e"' });
  await expect(
    (async () => {
      for await (const _ of bytes);
    })(),
  ).rejects.toThrow(UpstreamFault);
});
