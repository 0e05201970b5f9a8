import { createHash } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bucketName, errorOf, type ObjectsEndpoint, objectsEndpoint } from "../support/objects-endpoint.ts";
import { beginUpload, big, MIB, md5, small } from "../support/objects-upload.ts";

let endpoint: ObjectsEndpoint;
let s3: S3Client;
const Bucket = bucketName();
beforeAll(async () => {
  endpoint = await objectsEndpoint();
  s3 = endpoint.client();
  await s3.send(new CreateBucketCommand({ Bucket }));
});
afterAll(() => endpoint.close());

const begin = (Key: string, options: Partial<CreateMultipartUploadCommandInput> = {}) =>
  beginUpload(s3, { Bucket, Key }, options);

describe("an upload in parts", () => {
  test("becomes the parts' bytes, in their order, whatever the order in which they came", async () => {
    const upload = await begin("joined", { ContentType: "a/b", Metadata: { x: "y" } });
    const third = await upload.part(30, small);
    const [first, second] = await Promise.all([upload.part(1, big), upload.part(7, big)]);
    const done = await upload.complete([first, second, third]);
    const etag = createHash("md5").update(md5(big)).update(md5(big)).update(md5(small)).digest("hex");
    expect(done).toMatchObject({ ETag: `"${etag}-3"`, Bucket, Key: "joined", ChecksumType: "FULL_OBJECT" });
    expect(done.Location).toContain("joined");
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "joined" }));
    expect(got).toMatchObject({
      ContentType: "a/b",
      Metadata: { x: "y" },
      ContentLength: 10 * MIB + 1_000,
      ETag: done.ETag,
    });
    const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
    expect(bytes.equals(Buffer.concat([big, big, small]))).toBe(true);
    expect(await errorOf(upload.complete([first]))).toEqual({ code: "NoSuchUpload", status: 404 });
  });

  test("is read in ranges across its parts, and part by part", async () => {
    const whole = Buffer.concat([big, big, small]);
    for (const [start, end] of [
      [0, 9],
      [5 * MIB - 3, 5 * MIB + 3],
      [10 * MIB - 1, 10 * MIB],
      [3, 10 * MIB + 999],
    ] as const) {
      const got = await s3.send(new GetObjectCommand({ Bucket, Key: "joined", Range: `bytes=${start}-${end}` }));
      expect(Buffer.from((await got.Body?.transformToByteArray()) ?? []).equals(whole.subarray(start, end + 1))).toBe(
        true,
      );
    }
    const part = await s3.send(new GetObjectCommand({ Bucket, Key: "joined", PartNumber: 3 }));
    expect(part).toMatchObject({
      PartsCount: 3,
      ContentLength: 1_000,
      ContentRange: `bytes ${10 * MIB}-${10 * MIB + 999}/${10 * MIB + 1_000}`,
    });
    expect(Buffer.from((await part.Body?.transformToByteArray()) ?? []).equals(small)).toBe(true);
    const none = s3.send(new HeadObjectCommand({ Bucket, Key: "joined", PartNumber: 4 }));
    expect(await errorOf(none)).toMatchObject({ status: 416 });
  });

  test("shows nothing before it is completed", async () => {
    const upload = await begin("unseen");
    await upload.part(1, small);
    expect(await errorOf(s3.send(new HeadObjectCommand({ Bucket, Key: "unseen" })))).toMatchObject({ status: 404 });
  });

  test("takes a part again, the last one counts", async () => {
    const upload = await begin("again");
    const old = await upload.part(1, big);
    const part = await upload.part(1, small);
    expect(await errorOf(upload.complete([old]))).toEqual({ code: "InvalidPart", status: 400 });
    await upload.complete([part]);
    expect((await s3.send(new HeadObjectCommand({ Bucket, Key: "again" }))).ContentLength).toBe(1_000);
  });

  test("leaves out the parts that are not named", async () => {
    const upload = await begin("some");
    const [first] = [await upload.part(1, small), await upload.part(2, small)];
    await upload.complete([first]);
    expect((await s3.send(new HeadObjectCommand({ Bucket, Key: "some" }))).ContentLength).toBe(1_000);
  });

  test("is refused with parts that are too small, out of order, unknown or none, and can still be completed", async () => {
    const upload = await begin("refused");
    const [a, b] = [await upload.part(1, small), await upload.part(2, small)];
    expect(await errorOf(upload.complete([a, b]))).toEqual({ code: "EntityTooSmall", status: 400 });
    expect(await errorOf(upload.complete([b, a]))).toEqual({ code: "InvalidPartOrder", status: 400 });
    expect(await errorOf(upload.complete([a, a]))).toEqual({ code: "InvalidPartOrder", status: 400 });
    expect(await errorOf(upload.complete([{ ...a, PartNumber: 3 }]))).toEqual({ code: "InvalidPart", status: 400 });
    expect(await errorOf(upload.complete([{ ...a, ETag: '"x"' }]))).toEqual({ code: "InvalidPart", status: 400 });
    expect(await errorOf(upload.complete([]))).toEqual({ code: "MalformedXML", status: 400 });
    for (const PartNumber of [0, 10_001])
      expect(await errorOf(s3.send(new UploadPartCommand({ ...upload.at, PartNumber, Body: "x" })))).toEqual({
        code: "InvalidArgument",
        status: 400,
      });
    await upload.complete([a]);
  });

  test("is completed under conditions", async () => {
    await s3.send(new PutObjectCommand({ Bucket, Key: "there", Body: "x" }));
    const upload = await begin("there");
    const part = await upload.part(1, small);
    expect(await errorOf(upload.complete([part], { IfNoneMatch: "*" }))).toEqual({
      code: "PreconditionFailed",
      status: 412,
    });
    expect(await errorOf(upload.complete([part], { IfMatch: '"x"' }))).toEqual({
      code: "PreconditionFailed",
      status: 412,
    });
    const racers = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const racer = await begin("race");
        const part = await racer.part(1, small);
        return await racer.complete([part], { IfNoneMatch: "*" }).then(
          () => 1,
          () => 0,
        );
      }),
    );
    expect(racers.filter(Boolean)).toHaveLength(1);
  });

  test("is forgotten when it is aborted", async () => {
    const upload = await begin("aborted");
    await upload.part(1, small);
    const { $metadata } = await s3.send(new AbortMultipartUploadCommand(upload.at));
    expect($metadata.httpStatusCode).toBe(204);
    expect(await errorOf(upload.part(2, small))).toEqual({ code: "NoSuchUpload", status: 404 });
    expect(await errorOf(s3.send(new AbortMultipartUploadCommand(upload.at)))).toEqual({
      code: "NoSuchUpload",
      status: 404,
    });
    const elsewhere = s3.send(new ListPartsCommand({ ...upload.at, Key: "other" }));
    expect(await errorOf(elsewhere)).toEqual({ code: "NoSuchUpload", status: 404 });
  });

  test("takes presigned parts", async () => {
    const plain = endpoint.client({ requestChecksumCalculation: "WHEN_REQUIRED" });
    const upload = await begin("presigned");
    const url = await getSignedUrl(plain, new UploadPartCommand({ ...upload.at, PartNumber: 1 }));
    const response = await fetch(url, { method: "PUT", body: small });
    expect(response.status).toBe(200);
    await upload.complete([{ PartNumber: 1, ETag: response.headers.get("etag") ?? "" }]);
  });
});

describe("UploadPartCopy", () => {
  beforeAll(() => s3.send(new PutObjectCommand({ Bucket, Key: "src ä", Body: big })));
  const copyPart = (
    at: { Bucket: string; Key: string; UploadId: string | undefined },
    PartNumber: number,
    CopySourceRange?: string,
    more = {},
  ) =>
    s3.send(
      new UploadPartCopyCommand({
        ...at,
        PartNumber,
        CopySource: `${Bucket}/${encodeURIComponent("src ä")}`,
        CopySourceRange,
        ...more,
      }),
    );

  test("takes a whole object, or a range of one", async () => {
    const upload = await begin("from-copies");
    const first = await copyPart(upload.at, 1);
    expect(first.CopyPartResult?.ETag).toBe(`"${md5(big).toString("hex")}"`);
    const second = await copyPart(upload.at, 2, "bytes=10-19");
    expect(second.CopyPartResult?.ETag).toBe(`"${md5(big.subarray(10, 20)).toString("hex")}"`);
    await upload.complete([
      { PartNumber: 1, ETag: first.CopyPartResult?.ETag },
      { PartNumber: 2, ETag: second.CopyPartResult?.ETag },
    ]);
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "from-copies" }));
    const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
    expect(bytes.equals(Buffer.concat([big, big.subarray(10, 20)]))).toBe(true);
  });

  test("refuses ranges outside the source, and conditions that do not hold", async () => {
    const upload = await begin("bad-ranges");
    for (const range of [`bytes=0-${big.length}`, "bytes=5-", "bytes=-5", "bytes=7-3", "0-5"])
      expect(await errorOf(copyPart(upload.at, 1, range))).toEqual({ code: "InvalidArgument", status: 400 });
    expect(await errorOf(copyPart(upload.at, 1, "bytes=0-1", { CopySourceIfMatch: '"x"' }))).toEqual({
      code: "PreconditionFailed",
      status: 412,
    });
  });
});

describe("what is under way", () => {
  test("ListParts pages through the parts", async () => {
    const upload = await begin("parts");
    for (const number of [1, 2, 5]) await upload.part(number, small);
    const first = await s3.send(new ListPartsCommand({ ...upload.at, MaxParts: 2 }));
    expect(first).toMatchObject({
      IsTruncated: true,
      NextPartNumberMarker: "2",
      MaxParts: 2,
      UploadId: upload.at.UploadId,
    });
    expect(first.Parts).toMatchObject([
      { PartNumber: 1, Size: 1_000, ETag: `"${md5(small).toString("hex")}"` },
      { PartNumber: 2 },
    ]);
    const second = await s3.send(new ListPartsCommand({ ...upload.at, PartNumberMarker: first.NextPartNumberMarker }));
    expect([second.Parts?.map(({ PartNumber }) => PartNumber), second.IsTruncated]).toEqual([[5], false]);
  });

  test("ListMultipartUploads pages through the uploads", async () => {
    const own = bucketName();
    await s3.send(new CreateBucketCommand({ Bucket: own }));
    const started: (string | undefined)[] = [];
    for (const Key of ["a", "a", "b/1", "b/2", "c"])
      started.push((await s3.send(new CreateMultipartUploadCommand({ Bucket: own, Key }))).UploadId);
    const all = await s3.send(new ListMultipartUploadsCommand({ Bucket: own }));
    expect(all.Uploads?.map(({ Key }) => Key)).toEqual(["a", "a", "b/1", "b/2", "c"]);
    expect(new Set(all.Uploads?.map(({ UploadId }) => UploadId))).toEqual(new Set(started));
    const found: unknown[] = [];
    let markers: { KeyMarker?: string; UploadIdMarker?: string } = {};
    for (;;) {
      const page = await s3.send(
        new ListMultipartUploadsCommand({ Bucket: own, Delimiter: "/", MaxUploads: 1, ...markers }),
      );
      found.push(
        ...(page.Uploads ?? []).map(({ Key }) => Key),
        ...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix),
      );
      if (!page.IsTruncated) break;
      markers = {
        KeyMarker: page.NextKeyMarker ?? "",
        ...(page.NextUploadIdMarker ? { UploadIdMarker: page.NextUploadIdMarker } : {}),
      };
    }
    expect(found).toEqual(["a", "a", "b/", "c"]);
    const prefixed = await s3.send(new ListMultipartUploadsCommand({ Bucket: own, Prefix: "b/" }));
    expect(prefixed.Uploads?.map(({ Key }) => Key)).toEqual(["b/1", "b/2"]);
  });
});
