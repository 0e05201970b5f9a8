import { randomBytes } from "node:crypto";
import { HeadObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { verifyUpload } from "../../shared/binary/look.ts";
import { settle } from "../../shared/binary/settle.ts";
import { keys } from "../../shared/store/keys.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { counted, countsOf } from "../support/surface-cost.ts";
import { changeContext, type PartsAnswer, putParts, SMALL_TERMS, underWay } from "../support/surface-parts.ts";
import { announced, ask, blobKey, ended, objectsUnder, sha256 } from "../support/surface-requests.ts";

const MIB = 1024 ** 2;
const FOLDER = "big/debian/bookworm/amd64";
/** What the store copies at once is 8 MiB instead of 5 GB, so that 23 MiB are far over it. */
const TERMS = { ...SMALL_TERMS, quickBytes: 4 * MIB, mostCopyBytes: 8 * MIB };
let packhouse: TestPackhouse;

beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

let files = 0;
/** Sends a file in parts and completes it. */
async function send(bytes: Uint8Array, terms: object = announced(bytes), name = `file-${++files}.bin`) {
  const path = `${FOLDER}/${name}`;
  const { body } = await ask(packhouse, path, terms);
  const upload: PartsAnswer = body.upload;
  await putParts(packhouse, upload, bytes);
  expect((await packhouse.call("POST", upload.complete)).status).toBe(200);
  return { path, name, job: String(body.job), id: upload.url.split("/").at(-1) ?? "" };
}

const listed = async (name: string) => (await packhouse.call("GET", `/packages/${FOLDER}`)).body[name];

async function downloaded(path: string): Promise<string> {
  const answer = await fetch(`${packhouse.url}/packages/${path}`);
  return sha256(new Uint8Array(await answer.arrayBuffer()));
}

test("what is over one copy's limit is read for its hash and copied in parts", async () => {
  const { ctx, calls } = counted({ ...packhouse.context, uploadTerms: TERMS });
  changeContext(packhouse, ctx);
  const bytes = randomBytes(23 * MIB + 5);
  calls();
  const { path, name, job, id } = await send(bytes, { size: bytes.length });
  expect((await ended(packhouse, job)).state).toBe("done");
  const counts = countsOf(calls());
  expect(counts).toMatchObject({ "objects.takeInParts": 1 });
  expect([counts["objects.hashIncoming"], counts["objects.takeIn"]]).toEqual([undefined, undefined]);
  expect(await listed(name)).toMatchObject({ state: "stored", sha256: sha256(bytes), size_bytes: bytes.length });
  expect(await downloaded(path)).toBe(sha256(bytes));
  expect(await objectsUnder(packhouse, `incoming/${id}`)).toEqual([]);
  expect(await underWay(packhouse)).toEqual([]);

  const { region, ...credentials } = packhouse.folder.aws;
  const s3 = new S3Client({ region, credentials, endpoint: `${packhouse.url}/_s3`, forcePathStyle: true });
  const head = await s3.send(new HeadObjectCommand({ Bucket: "packhouse", Key: blobKey(bytes) }));
  expect(head).toMatchObject({ Metadata: {}, CacheControl: expect.stringContaining("immutable") });
});

test("what the store copies at once, yet takes long, is the worker's too", async () => {
  const { ctx, calls } = counted({ ...packhouse.context, uploadTerms: TERMS });
  changeContext(packhouse, ctx);
  const bytes = randomBytes(7 * MIB);
  const { name, job } = await send(bytes);
  expect((await ended(packhouse, job)).state).toBe("done");
  expect(countsOf(calls())).toMatchObject({ "queues.worker": 1, "objects.hashIncoming": 1, "objects.takeIn": 1 });
  expect((await listed(name)).state).toBe("stored");
});

test("a worker whose time is always over hands on, and every time a little more is done", async () => {
  const { ctx, calls } = counted({ ...packhouse.context, uploadTerms: { ...TERMS, workSeconds: 0 } });
  const bytes = randomBytes(17 * MIB + 1);
  // Nobody but this test works on it.
  const idle = { ...packhouse.context.queues, worker: async () => {} };
  changeContext(packhouse, { uploadTerms: TERMS, queues: idle });
  const { path, name, job, id } = await send(bytes);
  await expect
    .poll(async () => (await packhouse.context.table.get(keys.node(path.split("/"))))?.awaited)
    .toMatchObject({
      arrived: true,
    });
  const offsets: unknown[] = [];
  const hurried = { ...ctx, queues: { ...ctx.queues, worker: async () => {} } };
  let unsettled: Awaited<ReturnType<typeof verifyUpload>>;
  while (!unsettled && offsets.length < 20) {
    expect((await listed(name)).state).toBe("awaiting");
    unsettled = await verifyUpload(hurried, id);
    offsets.push((await packhouse.context.table.get(keys.uploadHash(id)))?.offset);
  }
  expect(offsets.slice(0, 5)).toEqual([4 * MIB, 8 * MIB, 12 * MIB, 16 * MIB, bytes.length]);
  // The hash is known in the fifth, which copies the first of four parts too.
  expect(offsets.length).toBe(8);
  expect(countsOf(calls())["objects.incomingSource"]).toBe(5);
  await settle(packhouse.context, unsettled ? [unsettled] : []);
  changeContext(packhouse, { uploadTerms: TERMS });
  expect((await ended(packhouse, job)).state).toBe("done");
  expect(await downloaded(path)).toBe(sha256(bytes));
});

test("two workers on one upload: the later goes on, the other stops, and it is taken in once", async () => {
  const idle = { ...packhouse.context.queues, worker: async () => {} };
  const ctx = changeContext(packhouse, { uploadTerms: TERMS, queues: idle });
  const bytes = randomBytes(33 * MIB);
  const { path, job, id } = await send(bytes);
  await expect
    .poll(async () => (await ctx.table.get(keys.node(path.split("/"))))?.awaited)
    .toMatchObject({
      arrived: true,
    });
  const results = await Promise.all([verifyUpload(ctx, id), verifyUpload(ctx, id), verifyUpload(ctx, id)]);
  const won = results.filter((result) => result !== undefined);
  expect(won.length).toBe(1);
  await settle(ctx, won);
  changeContext(packhouse, { uploadTerms: TERMS });
  expect((await ended(packhouse, job)).state).toBe("done");
  expect(await downloaded(path)).toBe(sha256(bytes));
});

test("other bytes than announced never reach the address of the announced hash", async () => {
  changeContext(packhouse, { uploadTerms: TERMS });
  const wanted = randomBytes(17 * MIB);
  const path = `${FOLDER}/other.bin`;
  const { body } = await ask(packhouse, path, announced(wanted));
  const sent = randomBytes(17 * MIB);
  await putParts(packhouse, body.upload, sent);
  expect((await packhouse.call("POST", body.upload.complete)).status).toBe(200);
  expect(await ended(packhouse, body.job)).toMatchObject({
    state: "failed",
    error: `the uploaded bytes have SHA-256 ${sha256(sent)}, announced was ${sha256(wanted)}`,
  });
  expect(await objectsUnder(packhouse, blobKey(wanted))).toEqual([]);
  expect(await objectsUnder(packhouse, blobKey(sent))).toEqual([]);
  await expect.poll(() => objectsUnder(packhouse, "incoming/")).toEqual([]);
});

test("a large package is read and goes into the repos that accept it", async () => {
  changeContext(packhouse, { uploadTerms: TERMS });
  expect((await packhouse.call("POST", "/repo", { name: "large", type: "apt", accepts: ["big/**"] })).status).toBe(201);
  const deb = buildDeb({ files: { "opt/large": randomBytes(8 * MIB).toString("hex") }, options: ["-Znone"] });
  const { job } = await send(deb, announced(deb), "lab_1.0-1_amd64.deb");
  expect(await ended(packhouse, job)).toMatchObject({ state: "done", repos: { large: { commit: 1 } } });
});
