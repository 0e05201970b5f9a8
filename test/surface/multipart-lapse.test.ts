import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { appOf } from "../../functions/http/app.ts";
import { lookForUpload } from "../../shared/binary/look.ts";
import { findBinary, writeBinary } from "../../shared/binary/node.ts";
import { settle } from "../../shared/binary/settle.ts";
import type { Context } from "../../shared/context.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { counted, countsOf } from "../support/surface-cost.ts";
import { changeContext, type PartsAnswer, putParts, SMALL_TERMS, underWay } from "../support/surface-parts.ts";
import { announced, ask, objectsUnder, put } from "../support/surface-requests.ts";

const MIB = 1024 ** 2;
const HOUR = 3_600_000;
const FOLDER = "big/debian/bookworm/amd64";
let packhouse: TestPackhouse;
let aheadMs = 0;
let ctx: Context;
/** What was to be looked at again, and after how many seconds. */
let looks: { message: object; seconds: number }[];
/** While it is deaf, ingest does not find what it is told of. */
let isDeaf = false;
let unheard: string[] = [];

beforeAll(async () => {
  packhouse = await startPackhouse();
});
beforeEach(() => {
  aheadMs = 0;
  isDeaf = false;
  unheard = [];
  looks = [];
  const { objects, queues } = packhouse.context;
  ctx = changeContext(packhouse, {
    uploadTerms: SMALL_TERMS,
    now: () => new Date(Date.now() + aheadMs),
    objects: {
      ...objects,
      headIncoming: async (id) => {
        if (!isDeaf) return objects.headIncoming(id);
        unheard.push(id);
        return undefined;
      },
    },
    queues: { ...queues, ingest: async (message, seconds = 0) => void looks.push({ message, seconds }) },
  });
});
afterAll(() => packhouse.remove());

let files = 0;
async function begin(bytes: Uint8Array, terms: object = announced(bytes)) {
  files += 1;
  const name = `file-${files}.bin`;
  const path = `${FOLDER}/${name}`;
  const { body } = await ask(packhouse, path, terms);
  const upload: PartsAnswer = body.upload;
  return { name, path, upload, job: String(body.job), id: upload.url.split("/").at(-1) ?? "" };
}

const listed = async (name: string) => (await packhouse.call("GET", `/packages/${FOLDER}`)).body[name];
const isHere = async (path: string) => (await findBinary(packhouse.context, path.split("/"))) !== undefined;

test("an upload in parts that never came is gone after its deadline, with the parts that did come", async () => {
  const bytes = randomBytes(11 * MIB);
  const { name, path, upload, id, job } = await begin(bytes);
  await putParts(packhouse, { ...upload, parts: upload.parts.slice(0, 2) }, bytes);
  expect(looks).toEqual([{ message: { kind: "look", path, upload: id }, seconds: 120 }]);
  aheadMs = 23 * HOUR;
  await lookForUpload(ctx, path, id);
  expect(looks.at(-1)).toEqual({ message: { kind: "look", path, upload: id }, seconds: 900 });
  expect((await listed(name)).state).toBe("awaiting");

  aheadMs = 24 * HOUR + 1000;
  expect(await listed(name)).toBeUndefined();
  expect(await underWay(packhouse)).toContain(`incoming/${id}`);
  await lookForUpload(ctx, path, id);
  expect(await isHere(path)).toBe(false);
  expect(await underWay(packhouse)).toEqual([]);
  expect((await packhouse.call("GET", job)).body).toMatchObject({
    state: "failed",
    error: expect.stringContaining("no bytes came until"),
  });
  // The message comes twice.
  await lookForUpload(ctx, path, id);
  expect(await isHere(path)).toBe(false);
});

test("one that came, and whose event was lost, is found by looking, though its deadline is over", async () => {
  isDeaf = true;
  const bytes = randomBytes(11 * MIB);
  const { path, upload, id, name } = await begin(bytes);
  await putParts(packhouse, upload, bytes);
  const { multipartId } = (await findBinary(ctx, path.split("/")))?.awaited?.parts ?? {};
  const at = { uploadId: id, multipartId: multipartId ?? "" };
  const parts = await ctx.objects.listParts(at);
  // Complete at the store, and nobody was told: the event comes to one who does not find it.
  expect(await ctx.objects.completeParts(at, parts ?? [], bytes.length)).toBe("completed");
  await expect.poll(() => unheard).toContain(id);
  expect(await objectsUnder(packhouse, `incoming/${id}`)).toEqual([`incoming/${id}`]);
  isDeaf = false;
  aheadMs = 25 * HOUR;
  const found = await lookForUpload(ctx, path, id);
  expect(found?.uploadId).toBe(id);
  await settle(ctx, found ? [found] : []);
  expect((await listed(name)).state).toBe("stored");
  expect(await objectsUnder(packhouse, `incoming/${id}`)).toEqual([]);
});

test("who read a binary that was forgotten and asked for anew does not write over it", async () => {
  const { path, upload } = await begin(randomBytes(6 * MIB));
  const segments = path.split("/");
  const read = await findBinary(ctx, segments);
  expect((await packhouse.call("DELETE", upload.abort)).status).toBe(204);
  const again = await ask(packhouse, path, announced(randomBytes(6 * MIB)));
  const { awaited } = read ?? {};
  expect(await writeBinary(ctx, segments, read, awaited ? { awaited } : {})).toBeUndefined();
  expect((await packhouse.call("DELETE", again.body.upload.abort)).status).toBe(204);
});

test("what died between its beginning in the store and its leaf is swept away", async () => {
  const id = "00112233445566778899aabbccddeeff";
  const path = `${FOLDER}/never.bin`;
  await ctx.objects.beginParts(id, path);
  await lookForUpload(ctx, path, id);
  expect(await underWay(packhouse)).toEqual([]);
});

test("a single PUT that never came leaves the listing at its deadline, and may still end when it began in time", async () => {
  const bytes = randomBytes(1000);
  const path = `${FOLDER}/small.bin`;
  const asked = await ask(packhouse, path, announced(bytes));
  aheadMs = HOUR + 1000;
  await lookForUpload(ctx, path);
  expect(await listed("small.bin")).toBeUndefined();
  expect(await isHere(path)).toBe(true);
  expect((await put(asked.body.upload, bytes)).status).toBe(200);
  await expect.poll(async () => (await listed("small.bin"))?.state).toBe("stored");

  const other = `${FOLDER}/other.bin`;
  await ask(packhouse, other, announced(randomBytes(1000)));
  aheadMs += 8 * HOUR;
  await lookForUpload(ctx, other);
  expect(await isHere(other)).toBe(false);
});

test("a replacement that never came leaves what was stored as it was", async () => {
  const path = `${FOLDER}/kept.bin`;
  const first = randomBytes(1000);
  const asked = await ask(packhouse, path, announced(first));
  await put(asked.body.upload, first);
  // Until it is settled its leaf is still written.
  await expect.poll(async () => (await findBinary(ctx, path.split("/")))?.stored?.settled).toBe(true);
  const { body } = await ask(packhouse, path, { ...announced(randomBytes(6 * MIB)), force: true });
  aheadMs = 25 * HOUR;
  await lookForUpload(ctx, path, body.upload.url.split("/").at(-1));
  expect(await listed("kept.bin")).toMatchObject({ state: "stored", size_bytes: 1000 });
  expect((await findBinary(ctx, path.split("/")))?.awaited).toBeUndefined();
  expect(await underWay(packhouse)).toEqual([]);
});

test("asking for an upload in parts costs one read, one write, one message and one request to the store", async () => {
  await begin(randomBytes(6 * MIB));
  const cost = counted(ctx);
  const answer = await appOf(() => cost.ctx).request(`/packages/${FOLDER}`, {
    method: "POST",
    headers: { authorization: `Bearer ${packhouse.folder.rootToken}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "cost.bin", ...announced(randomBytes(6 * MIB)) }),
  });
  expect(answer.status).toBe(200);
  const { "table.get": token = 0, ...counts } = countsOf(cost.calls());
  expect(token).toBeLessThanOrEqual(1);
  expect(counts).toEqual({
    "table.getMany": 1,
    "table.put": 1,
    "queues.ingest": 1,
    "objects.beginParts": 1,
    "objects.presignParts": 1,
  });
});
