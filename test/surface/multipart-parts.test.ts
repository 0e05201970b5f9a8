import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { lookForUpload } from "../../shared/binary/look.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import {
  allParts,
  changeContext,
  type PartsAnswer,
  putPart,
  putParts,
  SMALL_TERMS,
  underWay,
} from "../support/surface-parts.ts";
import { announced, ask, ended, objectsUnder, sha256 } from "../support/surface-requests.ts";

const MIB = 1024 ** 2;
const FOLDER = "big/debian/bookworm/amd64";
let packhouse: TestPackhouse;

beforeAll(async () => {
  packhouse = await startPackhouse();
  changeContext(packhouse, { uploadTerms: SMALL_TERMS });
});
afterAll(() => packhouse.remove());

let files = 0;
/** Bytes that are known already would not be asked for. */
const newFile = () => {
  files += 1;
  return { path: `${FOLDER}/file-${files}.bin`, bytes: randomBytes(16 * MIB + 7) };
};

async function begin(path: string, bytes: Uint8Array, terms: object = announced(bytes)) {
  const { status, body } = await ask(packhouse, path, terms);
  expect(status).toBe(200);
  const upload: PartsAnswer = body.upload;
  return { upload, job: String(body.job) };
}

const listed = async (path: string) =>
  (await packhouse.call("GET", `/packages/${FOLDER}`)).body[path.split("/").at(-1) ?? ""];

test("what is not over the limit comes in one PUT as ever", async () => {
  const { body } = await ask(packhouse, newFile().path, { size: SMALL_TERMS.onePutBytes });
  expect(Object.keys(body.upload).sort()).toEqual(["expires_at", "headers", "method", "url"]);
});

test("the parts cover the file, in pages that lead to the next", async () => {
  const { path, bytes } = newFile();
  const { body, headers } = await ask(packhouse, path, announced(bytes));
  const upload: PartsAnswer = body.upload;
  expect(upload).toMatchObject({ part_size: 5 * MIB, parts_total: 4, parts_received: 0, bytes_received: 0 });
  expect(upload.parts.map(({ number }) => number)).toEqual([1, 2, 3]);
  expect(upload.next).toBe(`${upload.url}?after=3`);
  expect(headers.get("link")).toBe(`<${upload.next}>; rel="next"`);
  const parts = await allParts(packhouse, upload);
  expect(parts.map(({ offset, size }) => [offset, size])).toEqual([
    [0, 5 * MIB],
    [5 * MIB, 5 * MIB],
    [10 * MIB, 5 * MIB],
    [15 * MIB, MIB + 7],
  ]);
});

test("the largest file has no more than 1,000 parts, of which each page has a hundred", async () => {
  const real = changeContext(packhouse, {});
  const { upload } = await begin(newFile().path, new Uint8Array(), { size: 50 * 1024 ** 3 });
  changeContext(packhouse, { uploadTerms: SMALL_TERMS });
  expect(upload.parts.length).toBe(real.uploadTerms.pageParts);
  expect(upload.parts_total).toBeLessThanOrEqual(1000);
  expect(upload.parts_total * upload.part_size).toBeGreaterThanOrEqual(50 * 1024 ** 3);
});

test("an upload that was broken off goes on: what is there is told, the rest has new addresses", async () => {
  const { path, bytes } = newFile();
  const { upload, job } = await begin(path, bytes);
  const [, second] = upload.parts;
  if (!second) throw new Error("no second part");
  const etag = await putPart(second, bytes);
  const resumed = await packhouse.call("GET", upload.url);
  expect(resumed.body).toMatchObject({ state: "open", parts_received: 1, bytes_received: 5 * MIB });
  expect(resumed.body.parts[1]).toEqual({ number: 2, offset: 5 * MIB, size: 5 * MIB, etag });
  expect(resumed.body.parts.filter((part: { url?: string }) => part.url === undefined).length).toBe(1);
  await putParts(packhouse, resumed.body, bytes);
  expect((await packhouse.call("POST", upload.complete)).status).toBe(200);
  expect((await ended(packhouse, job)).state).toBe("done");
  expect(await listed(path)).toMatchObject({ state: "stored", sha256: sha256(bytes) });
  expect((await packhouse.call("GET", upload.url)).body).toEqual({ state: "stored", job });
});

test("neither the state of an upload nor its end is for one without a token", async () => {
  const { path, bytes } = newFile();
  const { upload } = await begin(path, bytes);
  for (const [method, url] of [
    ["GET", upload.url],
    ["POST", upload.complete],
    ["POST", upload.abort],
    ["DELETE", upload.abort],
  ] as const) {
    expect([method, (await fetch(url, { method })).status]).toEqual([method, 401]);
  }
});

test("a part of another length is refused by the store", async () => {
  const { path, bytes } = newFile();
  const { upload } = await begin(path, bytes);
  const short = await fetch(upload.parts[0]?.url ?? "", { method: "PUT", body: bytes.subarray(0, 100) });
  expect(short.status).toBe(403);
});

test("completing is refused while a part is missing or is not the one named, and works afterwards", async () => {
  const { path, bytes } = newFile();
  const { upload, job } = await begin(path, bytes);
  const parts = await allParts(packhouse, upload);
  const sent: { number: number; etag: string }[] = [];
  for (const part of parts.slice(0, -1)) sent.push({ number: part.number, etag: await putPart(part, bytes) });
  const complete = (body?: object) => packhouse.call("POST", upload.complete, body);
  expect(await complete()).toMatchObject({ status: 400, body: { msg: "part 4 is of 4 not there yet" } });
  sent.push({ number: 4, etag: await putPart(parts[3] ?? { number: 4, offset: 0, size: 0 }, bytes) });
  expect((await complete({ parts: sent.slice(1) })).body.msg).toContain("part 1 is");
  const changed = [...sent.slice(0, 3), { number: 4, etag: '"0123456789abcdef0123456789abcdef"' }];
  expect((await complete({ parts: changed })).body.msg).toContain("part 4 is there with another etag");
  expect((await complete({ parts: [...sent, { number: 5, etag: "x" }] })).status).toBe(400);
  const authorization = `Bearer ${packhouse.folder.rootToken}`;
  for (const body of [JSON.stringify({ parts: changed }), "{", '{"parts": [{"number": 0}]}']) {
    // As curl -d sends it, with a type that is not its own.
    const answer = await fetch(upload.complete, { method: "POST", headers: { authorization }, body });
    expect([body, answer.status]).toEqual([body, 400]);
  }
  expect((await listed(path)).state).toBe("awaiting");
  const bare = sent.map(({ number, etag }) => ({ number, etag: etag.replaceAll('"', "") }));
  expect((await complete({ parts: bare })).status).toBe(200);
  expect((await ended(packhouse, job)).state).toBe("done");
});

test("a part may be sent again: the last one counts", async () => {
  const { path, bytes } = newFile();
  const { upload, job } = await begin(path, bytes);
  const [first] = upload.parts;
  if (!first) throw new Error("no part");
  await putPart(first, randomBytes(5 * MIB));
  await putParts(packhouse, upload, bytes);
  const typed = { authorization: `Bearer ${packhouse.folder.rootToken}`, "content-type": "application/json" };
  expect((await fetch(upload.complete, { method: "POST", headers: typed })).status).toBe(200);
  expect((await ended(packhouse, job)).state).toBe("done");
});

test("two clients with the same bytes share one upload, and both may complete it", async () => {
  const { path, bytes } = newFile();
  const [one, two] = [await begin(path, bytes), await begin(path, bytes)];
  expect(two.upload.url).toBe(one.upload.url);
  expect(two.job).toBe(one.job);
  await Promise.all([putParts(packhouse, one.upload, bytes), putParts(packhouse, two.upload, bytes)]);
  const completed = await Promise.all([1, 2, 3].map(() => packhouse.call("POST", one.upload.complete)));
  expect(completed.map(({ status, body }) => [status, body.job])).toEqual(Array(3).fill([200, one.job]));
  expect((await ended(packhouse, one.job)).state).toBe("done");
  expect(await packhouse.call("POST", one.upload.complete)).toMatchObject({ status: 200, body: { job: one.job } });
  const late = await ask(packhouse, path, announced(bytes));
  expect(late.body).toMatchObject({ job: one.job, upload: null });
});

test("an aborted upload leaves nothing, and one that is complete cannot be aborted", async () => {
  const { path, bytes } = newFile();
  const { upload, job } = await begin(path, bytes);
  const id = upload.url.split("/").at(-1) ?? "";
  const [first] = upload.parts;
  if (!first) throw new Error("no part");
  await putPart(first, bytes);
  expect(await underWay(packhouse)).toContain(`incoming/${id}`);
  for (const method of ["DELETE", "POST"]) expect((await packhouse.call(method, upload.abort)).status).toBe(204);
  expect(await underWay(packhouse)).not.toContain(`incoming/${id}`);
  expect(await listed(path)).toBeUndefined();
  expect((await packhouse.call("GET", upload.url)).status).toBe(404);
  expect((await packhouse.call("POST", upload.complete)).status).toBe(404);
  expect((await packhouse.call("GET", job)).body).toMatchObject({ state: "failed", error: "the upload was aborted" });
  await expect(putPart(first, bytes)).rejects.toThrow("404");

  const again = await begin(path, bytes);
  await putParts(packhouse, again.upload, bytes);
  await packhouse.call("POST", again.upload.complete);
  expect((await packhouse.call("DELETE", again.upload.abort)).status).toBe(400);
  expect((await ended(packhouse, again.job)).state).toBe("done");
  expect((await packhouse.call("DELETE", again.upload.abort)).status).toBe(400);
});

test("other bytes than announced are refused, nothing of them stays, and the same may be announced again", async () => {
  const { path, bytes } = newFile();
  const { upload, job } = await begin(path, bytes);
  await putParts(packhouse, upload, randomBytes(bytes.length));
  expect((await packhouse.call("POST", upload.complete)).status).toBe(200);
  expect(await ended(packhouse, job)).toMatchObject({
    state: "failed",
    error: expect.stringContaining("announced was"),
  });
  await expect.poll(() => listed(path)).toBeUndefined();
  const id = upload.url.split("/").at(-1) ?? "";
  await expect.poll(() => objectsUnder(packhouse, `incoming/${id}`)).toEqual([]);
  const again = await begin(path, bytes);
  expect(again.upload.url).not.toBe(upload.url);
});

test("an upload whose place another took is swept away", async () => {
  const { path, bytes } = newFile();
  const { upload, job } = await begin(path, bytes);
  const { upload: other } = await begin(path, bytes, { size: bytes.length + 1 });
  const [id, otherId] = [upload, other].map(({ url }) => url.split("/").at(-1));
  expect((await packhouse.call("POST", upload.complete)).status).toBe(404);
  expect((await packhouse.call("GET", job)).body.state).toBe("superseded");
  await lookForUpload(packhouse.context, path, id);
  expect(await underWay(packhouse)).not.toContain(`incoming/${id}`);
  expect(await underWay(packhouse)).toContain(`incoming/${otherId}`);
});
