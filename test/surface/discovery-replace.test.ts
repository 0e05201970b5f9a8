import { afterAll, beforeAll, expect, test } from "vitest";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { announced, aptPackages, ended, put, sha256 } from "../support/surface-requests.ts";

let packhouse: TestPackhouse;
beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

const deb = (name: string, version: string, text = version) =>
  buildDeb({ control: { Package: name, Version: version }, files: { "usr/share/f": text } });
const folderOf = (name: string) => `/packages/${name}/debian/bookworm/amd64`;
const repoFor = (name: string) => packhouse.call("POST", "/repo", { name, type: "apt", accepts: [`${name}/**`] });
const visible = async (repo: string) =>
  (await aptPackages(packhouse, repo)).map(({ name, version }) => `${name}=${version}`).sort();
const head = async (repo: string) => (await packhouse.call("GET", `/repo/${repo}`)).body.commit;

/** PUT of the address, the bytes, and the job's end. */
async function replace(path: string, bytes: Buffer, terms: object = announced(bytes)) {
  const { status, body } = await packhouse.call("PUT", path, terms);
  expect(status).toBe(200);
  if (body.upload) expect((await put(body.upload, bytes)).status).toBe(200);
  return ended(packhouse, body.job);
}

test("PUT replaces a binary, and the repo that took it from there has the new package only, by one commit", async () => {
  await repoFor("one");
  const path = `${folderOf("one")}/one.deb`;
  const next = deb("one", "2");
  await packhouse.upload(path, deb("one", "1"));
  const before = await head("one");
  expect(await replace(path, next)).toMatchObject({ state: "done", notes: [] });
  expect(await visible("one")).toEqual(["one=2"]);
  expect(await head("one")).toBe(before + 1);
  const { body } = await packhouse.call("GET", `${folderOf("one")}/`);
  expect(body["one.deb"]).toMatchObject({ state: "stored", sha256: sha256(next) });
});

test("what is stored stays, here and in the repos, until the new bytes have come", async () => {
  await repoFor("wait");
  const path = `${folderOf("wait")}/wait.deb`;
  const old = deb("wait", "1");
  await packhouse.upload(path, old);
  const next = deb("wait", "2");
  const { body } = await packhouse.call("PUT", path, announced(next));
  expect((await packhouse.call("GET", `${folderOf("wait")}/`)).body["wait.deb"]).toMatchObject({ sha256: sha256(old) });
  expect(await visible("wait")).toEqual(["wait=1"]);
  await put(body.upload, next);
  await ended(packhouse, body.job);
  expect(await visible("wait")).toEqual(["wait=2"]);
});

test.each([
  ["PUT", "by-put"],
  ["POST with force", "by-post"],
])("%s of another name, version and architecture under one file name leaves nothing of the old", async (how, name) => {
  await repoFor(name);
  const path = `${folderOf(name)}/same.deb`;
  await packhouse.upload(path, deb(name, "1"));
  const other = buildDeb({ control: { Package: `${name}-other`, Version: "0.5", Architecture: "arm64" } });
  if (how === "PUT") await replace(path, other);
  else await packhouse.upload(path, other, { force: true });
  expect(await visible(name)).toEqual([]);
  expect(await aptPackages(packhouse, name, "dists/stable/main/binary-arm64")).toEqual([
    expect.objectContaining({ name: `${name}-other`, version: "0.5" }),
  ]);
});

test("a PUT of bytes that we have replaces at once", async () => {
  await repoFor("known");
  const path = `${folderOf("known")}/known.deb`;
  const next = deb("known", "2");
  await packhouse.upload("/packages/elsewhere/debian/bookworm/amd64/k.deb", next);
  await packhouse.upload(path, deb("known", "1"));
  const { body } = await packhouse.call("PUT", path, announced(next));
  expect(body.upload).toBeNull();
  expect(await ended(packhouse, body.job)).toMatchObject({ state: "done" });
  expect(await visible("known")).toEqual(["known=2"]);
});

test("bytes that are no sound package take the old one out of the repos", async () => {
  await repoFor("broken");
  const path = `${folderOf("broken")}/broken.deb`;
  await packhouse.upload(path, deb("broken", "1"));
  expect(await replace(path, Buffer.from("no deb at all"))).toMatchObject({ state: "failed" });
  await expect.poll(() => visible("broken"), { timeout: 15_000 }).toEqual([]);
});

test("a package stays while another binary gives it, or where it was put by hash", async () => {
  await repoFor("kept");
  await packhouse.call("POST", "/repo", { name: "by-hash", type: "apt" });
  const [path, twin] = [`${folderOf("kept")}/kept.deb`, `${folderOf("kept")}/twin.deb`];
  const old = deb("kept", "1");
  await packhouse.upload(path, old);
  await packhouse.upload(twin, old);
  const hand = await packhouse.call("PATCH", "/repo/by-hash/packages", { add: { [sha256(old)]: {} } });
  expect(hand.status).toBe(200);
  await replace(path, deb("kept", "2"));
  expect(await visible("kept")).toEqual(["kept=1", "kept=2"]);
  await replace(twin, deb("kept", "3"));
  expect(await visible("kept")).toEqual(["kept=2", "kept=3"]);
  expect(await visible("by-hash")).toEqual(["kept=1"]);
});

test("of two PUTs at once one is what lies there and in the repo, whichever bytes came first", async () => {
  await repoFor("race");
  const path = `${folderOf("race")}/race.deb`;
  await packhouse.upload(path, deb("race", "1"));
  const bytes = [deb("race", "2"), deb("race", "3")];
  const asked = await Promise.all(bytes.map((one) => packhouse.call("PUT", path, announced(one))));
  expect(asked.map(({ status }) => status)).toEqual([200, 200]);
  await Promise.all(asked.map(({ body }, index) => put(body.upload, bytes[index] ?? Buffer.alloc(0))));
  const states = await Promise.all(asked.map(({ body }) => ended(packhouse, body.job)));
  expect(states.map(({ state }) => state).sort()).toEqual(["done", "superseded"]);
  const { body } = await packhouse.call("GET", `${folderOf("race")}/`);
  const version = body["race.deb"].sha256 === sha256(bytes[0] ?? "") ? "2" : "3";
  expect(await visible("race")).toEqual([`race=${version}`]);
});

test("a PUT where nothing is makes the binary; its name may be told, and must be the URL's", async () => {
  const path = `${folderOf("fresh")}/fresh.deb`;
  const wrong = await packhouse.call("PUT", path, { name: "other.deb" });
  expect([wrong.status, wrong.body.msg]).toEqual([400, expect.stringContaining("other.deb")]);
  expect((await replace(path, deb("fresh", "1"), { name: "fresh.deb" })).state).toBe("done");
  const level = await packhouse.call("PUT", folderOf("fresh"), {});
  expect([level.status, level.headers.get("allow")]).toEqual([405, expect.stringContaining("DELETE")]);
});

test("PUT of what is stored already ends what else was awaited", async () => {
  const path = `${folderOf("back")}/back.deb`;
  const old = deb("back", "1");
  const next = deb("back", "2");
  await packhouse.upload(path, old);
  const other = (await packhouse.call("PUT", path, announced(next))).body;
  const again = (await packhouse.call("PUT", path, announced(old))).body;
  expect(again.upload).toBeNull();
  await put(other.upload, next);
  expect((await ended(packhouse, other.job)).state).toBe("superseded");
  const { body } = await packhouse.call("GET", `${folderOf("back")}/`);
  expect(body["back.deb"].sha256).toBe(sha256(old));
});
