import { afterAll, beforeAll, expect, test } from "vitest";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { announced, ask, blobKey, ended, objectsUnder, put } from "../support/surface-requests.ts";

const DEB = buildDeb();
const FOLDER = "lab/debian/bookworm/amd64";
let packhouse: TestPackhouse;

beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

test("an upload announced with hash and size signs them, and is told in full", async () => {
  const { status, body } = await ask(packhouse, `${FOLDER}/told.deb`, announced(DEB));
  expect(status).toBe(200);
  expect(body).toMatchObject({
    name: "told.deb",
    url: `${packhouse.url}/packages/${FOLDER}/told.deb`,
    upload: {
      method: "PUT",
      headers: {
        "content-length": String(DEB.length),
        "content-type": "application/octet-stream",
        "x-amz-checksum-sha256": Buffer.from(announced(DEB).sha256, "hex").toString("base64"),
      },
    },
  });
  const signed = new URL(body.upload.url).searchParams.get("X-Amz-SignedHeaders")?.split(";") ?? [];
  expect(signed).toEqual(expect.arrayContaining(["content-length", "content-type", "x-amz-checksum-sha256"]));
  expect(new URL(body.upload.url).searchParams.has("x-amz-checksum-sha256")).toBe(false);
  expect(Date.parse(body.upload.expires_at)).toBeGreaterThan(Date.now());
  expect((await packhouse.call("GET", body.job)).body).toMatchObject({ state: "awaiting", repos: {} });
});

test.each([
  ["other bytes of the same length", Buffer.from(DEB).fill(1, 100, 101)],
  ["fewer bytes", DEB.subarray(1)],
  ["more bytes", Buffer.concat([DEB, Buffer.from("x")])],
  ["no bytes", Buffer.alloc(0)],
])("%s are refused by the store, and nothing is left behind", async (what, bytes) => {
  const path = `${FOLDER}/${what.replaceAll(" ", "-")}.deb`;
  const { body } = await ask(packhouse, path, announced(DEB));
  const refused = await put(body.upload, bytes);
  expect(refused.status).toBeGreaterThanOrEqual(400);
  expect(refused.status).toBeLessThan(500);
  expect(await objectsUnder(packhouse, "incoming/")).toEqual([]);
  expect(await objectsUnder(packhouse, blobKey(bytes))).toEqual([]);
  expect((await packhouse.call("GET", body.job)).body.state).toBe("awaiting");
  expect((await packhouse.call("GET", `/packages/${path}`)).status).toBe(404);
});

test("without the signed hash in its headers an upload is refused", async () => {
  const { body } = await ask(packhouse, `${FOLDER}/unsaid.deb`, announced(DEB));
  const { "x-amz-checksum-sha256": _, ...headers } = body.upload.headers;
  expect((await put({ ...body.upload, headers }, DEB)).status).toBe(403);
  expect(await objectsUnder(packhouse, "incoming/")).toEqual([]);
});

test("after a refused try the right bytes are taken with the same address", async () => {
  const path = `${FOLDER}/second-try.deb`;
  const bytes = buildDeb({ control: { Version: "2.0" } });
  const { body } = await ask(packhouse, path, announced(bytes));
  expect((await put(body.upload, DEB)).status).toBeGreaterThanOrEqual(400);
  expect((await put(body.upload, bytes)).status).toBe(200);
  expect(await ended(packhouse, body.job)).toMatchObject({ state: "done", notes: [] });
  const got = await fetch(`${packhouse.url}/packages/${path}`);
  expect(Buffer.from(await got.arrayBuffer()).equals(bytes)).toBe(true);
  expect(await objectsUnder(packhouse, "incoming/")).toEqual([]);
  expect(await objectsUnder(packhouse, blobKey(bytes))).toEqual([blobKey(bytes)]);
});

test("only the size may be announced: the store's own copy tells the hash", async () => {
  const bytes = buildDeb({ control: { Version: "3.0" } });
  const { body } = await ask(packhouse, `${FOLDER}/sized.deb`, { size: bytes.length });
  expect((await put(body.upload, bytes.subarray(1))).status).toBeGreaterThanOrEqual(400);
  expect((await put(body.upload, bytes)).status).toBe(200);
  expect((await ended(packhouse, body.job)).state).toBe("done");
  expect(await objectsUnder(packhouse, blobKey(bytes))).toEqual([blobKey(bytes)]);
});

test("only the hash may be announced", async () => {
  const bytes = buildDeb({ control: { Version: "4.0" } });
  const { body } = await ask(packhouse, `${FOLDER}/hashed.deb`, { sha256: announced(bytes).sha256.toUpperCase() });
  expect((await put(body.upload, DEB)).status).toBe(400);
  expect((await put(body.upload, bytes)).status).toBe(200);
  expect((await ended(packhouse, body.job)).state).toBe("done");
});

test("an upload larger than any binary can be is refused when it is announced", async () => {
  const { status, body } = await ask(packhouse, `${FOLDER}/huge.deb`, { size: 50 * 1024 ** 3 + 1 });
  expect(status).toBe(400);
  expect(body.message).toContain("53687091201");
});
