import { afterAll, beforeAll, expect, test } from "vitest";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { announced, aptPackages, ask, ended, objectsUnder, put, sha256 } from "../support/surface-requests.ts";

const FOLDER = "lab/debian/bookworm/amd64";
const deb = (version: string) => buildDeb({ control: { Version: version } });
let packhouse: TestPackhouse;

beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

const stored = async (path: string) => {
  const answer = await fetch(`${packhouse.url}/packages/${path}`);
  return answer.status === 200 ? sha256(Buffer.from(await answer.arrayBuffer())) : answer.status;
};

test("with only a name any body is taken, and its hash is told from then on", async () => {
  const bytes = deb("1");
  const { status, body } = await ask(packhouse, `${FOLDER}/name-only.deb`);
  expect(status).toBe(200);
  expect(body.upload.headers).not.toHaveProperty("x-amz-checksum-sha256");
  expect((await put(body.upload, bytes)).status).toBe(200);
  expect((await ended(packhouse, body.job)).state).toBe("done");
  const { body: listing } = await packhouse.call("GET", `/packages/${FOLDER}/`);
  expect(listing["name-only.deb"]).toMatchObject({
    signed: false,
    size_bytes: bytes.length,
    sha256: sha256(bytes),
    state: "stored",
  });
  expect(listing["name-only.deb"].last_updated).toMatch(/^\d+ seconds? ago$/);
  expect(await stored(`${FOLDER}/name-only.deb`)).toBe(sha256(bytes));
});

test("a PUT can be repeated, before and after its job is done", async () => {
  const bytes = deb("2");
  const { body } = await ask(packhouse, `${FOLDER}/repeated.deb`, announced(bytes));
  const both = await Promise.all([put(body.upload, bytes), put(body.upload, bytes)]);
  expect(both.map(({ status }) => status)).toEqual([200, 200]);
  expect((await ended(packhouse, body.job)).state).toBe("done");
  expect((await put(body.upload, bytes)).status).toBe(200);
  await expect.poll(() => objectsUnder(packhouse, "incoming/"), { timeout: 10_000 }).toEqual([]);
  expect((await ended(packhouse, body.job)).state).toBe("done");
  expect(await stored(`${FOLDER}/repeated.deb`)).toBe(sha256(bytes));
});

test("bytes that we have and all may read are not asked for: the job is done at once", async () => {
  const bytes = deb("3");
  await packhouse.upload(`/packages/${FOLDER}/first.deb`, bytes);
  const { status, body } = await ask(packhouse, `${FOLDER}/second.deb`, announced(bytes));
  expect(status).toBe(200);
  expect(body.upload).toBeNull();
  expect((await ended(packhouse, body.job)).state).toBe("done");
  const { body: listing } = await packhouse.call("GET", `/packages/${FOLDER}/`);
  expect(listing["second.deb"]).toMatchObject({ state: "stored", sha256: sha256(bytes), size_bytes: bytes.length });
  expect(await stored(`${FOLDER}/second.deb`)).toBe(sha256(bytes));
});

test("POST of a stored name with the same hash is 200 and changes nothing", async () => {
  const bytes = deb("4");
  const path = `${FOLDER}/same.deb`;
  await packhouse.upload(`/packages/${path}`, bytes);
  const before = (await packhouse.call("GET", `/packages/${FOLDER}/`)).body["same.deb"];
  const { status, body } = await ask(packhouse, path, announced(bytes));
  expect(status).toBe(200);
  expect(body.upload).toBeNull();
  expect((await ended(packhouse, body.job)).state).toBe("done");
  const after = (await packhouse.call("GET", `/packages/${FOLDER}/`)).body["same.deb"];
  expect(after.last_updated_at).toBe(before.last_updated_at);
});

test("POST of an awaited name is 200 with a fresh upload, which is the one that counts", async () => {
  const bytes = deb("5");
  const path = `${FOLDER}/awaited.deb`;
  const other = deb("5-other");
  const first = await ask(packhouse, path, announced(other));
  const second = await ask(packhouse, path, announced(bytes));
  expect(second.status).toBe(200);
  expect(second.body.upload.url).not.toBe(first.body.upload.url);
  expect(second.body.job).not.toBe(first.body.job);
  expect((await ended(packhouse, first.body.job)).state).toBe("superseded");
  expect((await put(first.body.upload, other)).status).toBe(200);
  expect((await put(second.body.upload, bytes)).status).toBe(200);
  expect((await ended(packhouse, second.body.job)).state).toBe("done");
  expect(await stored(path)).toBe(sha256(bytes));
  expect((await ended(packhouse, first.body.job)).state).toBe("superseded");
});

test("POST of a stored name with other bytes or without a hash is 400, unless forced", async () => {
  const bytes = deb("6");
  const other = deb("6-other");
  const path = `${FOLDER}/taken.deb`;
  await packhouse.upload(`/packages/${path}`, bytes);
  for (const terms of [announced(other), {}, { size: bytes.length }]) {
    const { status, body } = await ask(packhouse, path, terms);
    expect(status).toBe(400);
    expect(body).toEqual({ msg: "taken.deb already exists", message: expect.stringContaining("taken.deb") });
  }
  expect(await stored(path)).toBe(sha256(bytes));

  const forced = await ask(packhouse, path, { ...announced(other), force: true });
  expect(forced.status).toBe(200);
  // Until the new bytes have come, the old ones are served.
  expect(await stored(path)).toBe(sha256(bytes));
  expect((await put(forced.body.upload, other)).status).toBe(200);
  expect((await ended(packhouse, forced.body.job)).state).toBe("done");
  expect(await stored(path)).toBe(sha256(other));
});

test("forced bytes take the place of the others in the repos too", async () => {
  await packhouse.call("POST", "/repo", { name: "forced", type: "apt", accepts: ["force/**"] });
  const path = "/packages/force/debian/bookworm/amd64/force_1_amd64.deb";
  const make = (text: string) =>
    buildDeb({ control: { Package: "force", Version: "1" }, files: { "usr/share/f": text } });
  const two = make("two");
  await packhouse.upload(path, make("one"));
  const job = await packhouse.upload(path, two, { force: true });
  expect(job).toMatchObject({ state: "done", notes: [] });
  expect(await aptPackages(packhouse, "forced")).toEqual([
    expect.objectContaining({ name: "force", sha256: sha256(two) }),
  ]);
});

test("an awaited binary is listed as such, and its own address is 404", async () => {
  await ask(packhouse, "waiting/debian/bookworm/amd64/w.deb", { sha256: "a".repeat(64), size: 53_000 });
  const { body } = await packhouse.call("GET", "/packages/waiting/debian/bookworm/amd64/");
  expect(body["w.deb"]).toMatchObject({
    state: "awaiting",
    signed: false,
    size: "52K",
    size_bytes: 53_000,
    sha256: null,
  });
  const got = await packhouse.call("GET", "/packages/waiting/debian/bookworm/amd64/w.deb");
  expect(got.status).toBe(404);
  expect(got.body).toEqual({ msg: expect.stringContaining("w.deb"), message: expect.stringContaining("w.deb") });
});
