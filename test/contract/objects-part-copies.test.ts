import { randomBytes } from "node:crypto";
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { S3_DEFAULTS } from "../../functions/context.ts";
import { type Sha256, sha256Of } from "../../shared/blob.ts";
import { pathOf } from "../../shared/objects/keys.ts";
import { type Objects, objectsOf } from "../../shared/objects/s3.ts";
import { spansOf } from "../../shared/objects/spans.ts";
import { bucketName, errorOf, type ObjectsEndpoint, objectsEndpoint } from "../support/objects-endpoint.ts";
import { MIB } from "../support/objects-upload.ts";

const Bucket = bucketName();
const PART = 5 * MIB;
let endpoint: ObjectsEndpoint;
let s3: S3Client;
let objects: Objects;
beforeAll(async () => {
  endpoint = await objectsEndpoint();
  s3 = endpoint.client(S3_DEFAULTS);
  await s3.send(new CreateBucketCommand({ Bucket }));
  objects = objectsOf(s3, s3, Bucket);
});
afterAll(() => endpoint.close());

const newId = () => randomBytes(16).toString("hex");
const keyOf = (sha256: Sha256) => pathOf({ kind: "blob", sha256 });

/** An upload that came in parts, as a client sends it. */
async function arrived(bytes: Uint8Array): Promise<string> {
  const id = newId();
  const at = { uploadId: id, multipartId: await objects.beginParts(id, "a/b/c/d/e") };
  const { parts } = await objects.presignParts(at, spansOf(bytes.length, PART), 600);
  for (const { url, offset, sizeBytes } of parts) {
    const body = Buffer.from(bytes.subarray(offset, offset + sizeBytes));
    expect((await fetch(url, { method: "PUT", body })).status).toBe(200);
  }
  const there = await objects.listParts(at);
  expect(there?.map(({ number, sizeBytes }) => [number, sizeBytes])).toEqual(
    parts.map(({ number, sizeBytes }) => [number, sizeBytes]),
  );
  expect(await objects.completeParts(at, there ?? [], bytes.length)).toBe("completed");
  expect(await objects.completeParts(at, there ?? [], bytes.length)).toBe("gone");
  expect(await objects.listParts(at)).toBeUndefined();
  await objects.abortParts(at);
  return id;
}

async function headOf(id: string) {
  const incoming = await objects.headIncoming(id);
  if (!incoming) throw new Error("it did not arrive");
  return incoming;
}

async function stored(sha256: Sha256): Promise<Uint8Array> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: keyOf(sha256) }));
  return (await Body?.transformToByteArray()) ?? new Uint8Array();
}

const underWay = async (prefix: string) =>
  (await s3.send(new ListMultipartUploadsCommand({ Bucket, Prefix: prefix }))).Uploads ?? [];

const calm = { partBytes: PART, isOver: () => false };

test("an upload in parts carries its binary and the store's checksum of the whole, and no SHA-256", async () => {
  const id = await arrived(randomBytes(11 * MIB));
  const head = await headOf(id);
  expect(head).toMatchObject({ sizeBytes: 11 * MIB, binary: "a/b/c/d/e", sha256: undefined });
  expect(Buffer.from(head.crc64 ?? "", "base64").length).toBe(8);
});

test("what the store copies onto itself in one piece has a SHA-256 of the whole", async () => {
  const bytes = randomBytes(11 * MIB);
  const id = await arrived(bytes);
  expect(await objects.hashIncoming(id, await headOf(id))).toBe(sha256Of(bytes));
  expect(await headOf(id)).toMatchObject({ sha256: sha256Of(bytes), binary: "a/b/c/d/e" });
});

test("a copy in parts is the blob, with its checksum, type and caching, and nothing of the upload's", async () => {
  const bytes = randomBytes(16 * MIB + 1);
  const id = await arrived(bytes);
  const sha256 = sha256Of(bytes);
  const incoming = await headOf(id);
  expect(await objects.takeInParts(id, incoming, sha256, calm)).toBe(true);
  expect(sha256Of(await stored(sha256))).toBe(sha256);
  const head = await s3.send(new HeadObjectCommand({ Bucket, Key: keyOf(sha256), ChecksumMode: "ENABLED" }));
  expect(head).toMatchObject({
    Metadata: {},
    ContentType: "application/octet-stream",
    CacheControl: "public, max-age=31536000, immutable",
    ChecksumType: "FULL_OBJECT",
    ChecksumCRC64NVME: incoming.crc64,
  });
  // Once more changes nothing, and takes away what others began meanwhile.
  for (const _ of [1, 2]) await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: keyOf(sha256) }));
  expect(await objects.takeInParts(id, incoming, sha256, calm)).toBe(true);
  expect((await s3.send(new HeadObjectCommand({ Bucket, Key: keyOf(sha256) }))).LastModified).toEqual(
    head.LastModified,
  );
  expect(await underWay(keyOf(sha256))).toEqual([]);
});

test("a copy whose time is over goes on in the next call with what is left", async () => {
  const bytes = randomBytes(16 * MIB);
  const id = await arrived(bytes);
  const sha256 = sha256Of(bytes);
  const results: boolean[] = [];
  while (!results.includes(true) && results.length < 10) {
    results.push(await objects.takeInParts(id, await headOf(id), sha256, { partBytes: PART, isOver: () => true }));
  }
  expect(results).toEqual([false, false, false, true]);
  expect(sha256Of(await stored(sha256))).toBe(sha256);
});

test("two copies to one address at once make one blob, and leave nothing behind", async () => {
  const bytes = randomBytes(16 * MIB);
  const ids = [await arrived(bytes), await arrived(bytes)];
  const sha256 = sha256Of(bytes);
  await Promise.allSettled(ids.map(async (id) => objects.takeInParts(id, await headOf(id), sha256, calm)));
  for (const id of ids) expect(await objects.takeInParts(id, await headOf(id), sha256, calm)).toBe(true);
  expect(sha256Of(await stored(sha256))).toBe(sha256);
  expect(await underWay(keyOf(sha256))).toEqual([]);
});

test("a copy that is not what the store has a checksum of is refused, and nothing stays of it", async () => {
  const bytes = randomBytes(11 * MIB);
  const id = await arrived(bytes);
  const sha256 = sha256Of(bytes);
  const incoming = { ...(await headOf(id)), crc64: Buffer.alloc(8, 7).toString("base64") };
  await expect(objects.takeInParts(id, incoming, sha256, calm)).rejects.toThrow();
  expect(await objects.blobSize(sha256)).toBeUndefined();
  expect(await underWay(keyOf(sha256))).toEqual([]);
});

test("an upload that is another by now is neither read nor copied", async () => {
  const bytes = randomBytes(11 * MIB);
  const id = await arrived(bytes);
  const incoming = await headOf(id);
  await s3.send(new PutObjectCommand({ Bucket, Key: `incoming/${id}`, Body: randomBytes(11 * MIB) }));
  const refused = { code: "PreconditionFailed", status: 412 };
  expect(await errorOf(objects.incomingSource(id, incoming).read(0, 10))).toEqual(refused);
  expect(await errorOf(objects.takeInParts(id, incoming, sha256Of(bytes), calm))).toEqual(refused);
  expect(await objects.blobSize(sha256Of(bytes))).toBeUndefined();
});

test("completing with a part that was sent again says so, and works with what is there", async () => {
  const id = newId();
  const at = { uploadId: id, multipartId: await objects.beginParts(id, "a/b/c/d/e") };
  const { parts } = await objects.presignParts(at, spansOf(6 * MIB, PART), 600);
  const send = (index: number) =>
    fetch(parts[index]?.url ?? "", { method: "PUT", body: randomBytes(parts[index]?.sizeBytes ?? 0) });
  await send(0);
  await send(1);
  const before = (await objects.listParts(at)) ?? [];
  await send(0);
  expect(await objects.completeParts(at, before, 6 * MIB)).toBe("changed");
  expect(await objects.completeParts(at, (await objects.listParts(at)) ?? [], 6 * MIB)).toBe("completed");
});

test("all that is under way to an upload's address is aborted, known or not, and nothing of another's", async () => {
  const [id, other] = [newId(), newId()];
  for (const one of [id, id, other]) await objects.beginParts(one, "a/b/c/d/e");
  await objects.abortAllParts(id);
  await objects.abortAllParts(id);
  expect(await underWay(`incoming/${id}`)).toEqual([]);
  expect((await underWay(`incoming/${other}`)).length).toBe(1);
});
