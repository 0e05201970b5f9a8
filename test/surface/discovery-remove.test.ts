import { afterAll, beforeAll, expect, test } from "vitest";
import { leaveRepos } from "../../shared/binary/leave.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { announced, aptPackages, ask, ended, objectsUnder, put, sha256 } from "../support/surface-requests.ts";

let packhouse: TestPackhouse;
beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

const deb = (name: string, version: string) => buildDeb({ control: { Package: name, Version: version } });
const folderOf = (name: string, arch = "amd64") => `/packages/${name}/debian/bookworm/${arch}`;
const repoFor = (name: string) => packhouse.call("POST", "/repo", { name, type: "apt", accepts: [`${name}/**`] });
const visible = async (repo: string) =>
  (await aptPackages(packhouse, repo)).map(({ name, version }) => `${name}=${version}`).sort();
const until = (repo: string, wanted: readonly string[]) =>
  expect.poll(() => visible(repo), { timeout: 20_000 }).toEqual(wanted);
const head = async (repo: string) => (await packhouse.call("GET", `/repo/${repo}`)).body.commit;
const status = async (method: string, path: string) => (await packhouse.call(method, path)).status;

test("DELETE of a binary is 204, and 404 from then on; the repo that took it from there drops it", async () => {
  await repoFor("solo");
  const path = `${folderOf("solo")}/solo.deb`;
  await packhouse.upload(path, deb("solo", "1"));
  await packhouse.upload(`${folderOf("solo")}/more.deb`, deb("more", "1"));
  const before = (await packhouse.call("GET", "/packages/")).body.solo.last_updated_at;
  expect(await status("DELETE", path)).toBe(204);
  for (const method of ["DELETE", "GET"]) expect(await status(method, path)).toBe(404);
  expect(Object.keys((await packhouse.call("GET", folderOf("solo"))).body)).toEqual(["more.deb"]);
  expect((await packhouse.call("GET", "/packages/")).body.solo.last_updated_at > before).toBe(true);
  await until("solo", ["more=1"]);
});

test("two DELETEs at once: one is 204, the other 404", async () => {
  const path = `${folderOf("twice")}/twice.deb`;
  await packhouse.upload(path, deb("twice", "1"));
  const both = await Promise.all([status("DELETE", path), status("DELETE", path)]);
  expect(both.sort()).toEqual([204, 404]);
});

test("a level that is not empty needs ?recursive=true, and says so", async () => {
  await packhouse.upload(`${folderOf("full")}/full.deb`, deb("full", "1"));
  for (const path of ["/packages/full", "/packages/full/debian/bookworm/", folderOf("full")]) {
    const { status: code, body } = await packhouse.call("DELETE", path);
    expect([code, body.msg]).toEqual([400, expect.stringContaining("?recursive=true")]);
  }
  expect(await status("GET", `${folderOf("full")}/full.deb`)).toBe(302);
  expect(await status("DELETE", `${folderOf("full")}?recursive=yes`)).toBe(400);
  expect(await status("DELETE", `${folderOf("full")}?recursive=true`)).toBe(204);
  expect(await status("DELETE", folderOf("full"))).toBe(404);
  // What is above it stays, empty.
  expect((await packhouse.call("GET", "/packages/full/debian/bookworm")).body).toEqual({});
  expect(await status("DELETE", "/packages/full/debian/bookworm")).toBe(204);
  expect(await status("DELETE", "/packages/nobody")).toBe(404);
  expect(await status("DELETE", "/packages/")).toBe(405);
});

test("a level goes with everything below, repos drop it all in one commit, and at once it can be made again", async () => {
  await repoFor("wide");
  const all = ["amd64", "arm64", "all"].flatMap((arch) => [1, 2, 3, 4].map((number) => ({ arch, number })));
  await Promise.all(
    all.map(({ arch, number }) =>
      packhouse.upload(`${folderOf("wide", arch)}/w${number}.deb`, deb(`w${arch}${number}`, "1")),
    ),
  );
  expect((await visible("wide")).length).toBe(12);
  const before = await head("wide");
  expect(await status("DELETE", "/packages/wide?recursive=true")).toBe(204);
  expect((await packhouse.call("GET", "/packages/")).body).not.toHaveProperty("wide");
  for (const path of ["/packages/wide", folderOf("wide"), `${folderOf("wide")}/w1.deb`]) {
    expect([path, await status("GET", path)]).toEqual([path, 404]);
  }
  await until("wide", []);
  expect(await head("wide")).toBe(before + 1);
  await packhouse.upload(`${folderOf("wide")}/w1.deb`, deb("anew", "1"));
  await until("wide", ["anew=1"]);
});

test("what was put by hash stays, and so does what another binary gives", async () => {
  await repoFor("shared");
  await packhouse.call("POST", "/repo", { name: "own", type: "apt" });
  const bytes = deb("shared", "1");
  const [path, twin] = [`${folderOf("shared")}/a.deb`, `${folderOf("shared", "arm64")}/b.deb`];
  await packhouse.upload(path, bytes);
  await packhouse.upload(twin, bytes);
  const added = await packhouse.call("PATCH", "/repo/own/packages", { add: { [sha256(bytes)]: {} } });
  expect(added.status).toBe(200);
  const other = deb("pinned", "1");
  await packhouse.upload(`${folderOf("shared")}/pinned.deb`, other);
  expect((await packhouse.call("PATCH", "/repo/shared/packages", { add: { [sha256(other)]: {} } })).status).toBe(200);
  expect(await status("DELETE", `${folderOf("shared")}?recursive=true`)).toBe(204);
  const gone = deb("gone", "1");
  await packhouse.upload(`${folderOf("shared")}/gone.deb`, gone);
  expect(await status("DELETE", `${folderOf("shared")}/gone.deb`)).toBe(204);
  await until("shared", ["pinned=1", "shared=1"]);
  expect(await status("DELETE", twin)).toBe(204);
  await until("shared", ["pinned=1"]);
  expect(await visible("own")).toEqual(["shared=1"]);
});

test("what a repo took in when it was made, or by a pattern that it has no more, follows too", async () => {
  const path = `${folderOf("late")}/late.deb`;
  await packhouse.upload(path, deb("late", "1"));
  await repoFor("late");
  await until("late", ["late=1"]);
  expect((await packhouse.call("PUT", "/repo/late", { accepts: ["other/**"] })).status).toBe(200);
  expect(await visible("late")).toEqual(["late=1"]);
  expect(await status("DELETE", path)).toBe(204);
  await until("late", []);
});

test("a repo that took over another's packages keeps them", async () => {
  await repoFor("source");
  await packhouse.call("POST", "/repo", { name: "fork", type: "apt", accepts: ["source/**"] });
  const path = `${folderOf("source")}/s.deb`;
  await packhouse.upload(path, deb("source", "1"));
  await until("fork", ["source=1"]);
  await packhouse.upload(`${folderOf("source")}/t.deb`, deb("source-two", "1"));
  const taken = await packhouse.call("PUT", "/repo/fork/packages", { sync: { name: "source", type: "repo" } });
  expect(taken.status).toBe(200);
  const plain = await packhouse.call("POST", "/repo", { name: "taker", type: "apt" });
  expect(plain.status).toBe(201);
  await packhouse.call("PUT", "/repo/taker/packages", { sync: { name: "source", type: "repo" } });
  expect(await status("DELETE", "/packages/source?recursive=true")).toBe(204);
  await until("source", []);
  await until("taker", ["source-two=1", "source=1"].sort());
});

test("what a roll back brings back stays, though its binary is gone", async () => {
  await repoFor("back");
  const path = `${folderOf("back")}/back.deb`;
  await packhouse.upload(path, deb("back", "1"));
  await packhouse.upload(`${folderOf("back")}/stays.deb`, deb("stays", "1"));
  const number = await head("back");
  expect(await status("DELETE", path)).toBe(204);
  await until("back", ["stays=1"]);
  expect((await packhouse.call("POST", "/repo/back/rollback", { commit: number })).status).toBe(200);
  await until("back", ["back=1", "stays=1"]);
  await leaveRepos(packhouse.context, "back");
  expect(await status("DELETE", `${folderOf("back")}/stays.deb`)).toBe(204);
  await until("back", ["back=1"]);
});

test("a binary that awaits its bytes can be deleted: its upload comes to nothing", async () => {
  await repoFor("never");
  const bytes = deb("never", "1");
  const { body } = await ask(packhouse, "never/debian/bookworm/amd64/never.deb", announced(bytes));
  expect(await status("DELETE", `${folderOf("never")}/never.deb`)).toBe(204);
  expect((await put(body.upload, bytes)).status).toBe(200);
  expect(await ended(packhouse, body.job)).toMatchObject({ state: "failed", error: "the binary was deleted" });
  await expect.poll(() => objectsUnder(packhouse, "incoming/"), { timeout: 15_000 }).toEqual([]);
  expect((await packhouse.call("GET", folderOf("never"))).body).toEqual({});
  expect(await visible("never")).toEqual([]);
});

test("uploads into a level that is deleted at the same time are there whole, or gone", async () => {
  await repoFor("busy");
  const versions = Array.from({ length: 12 }, (_, index) => String(index + 1));
  const uploads = versions.map(async (version) => {
    const bytes = deb("busy", version);
    const asked = await ask(packhouse, `busy/debian/bookworm/amd64/busy_${version}.deb`, announced(bytes));
    expect(asked.status).toBe(200);
    if (asked.body.upload) await put(asked.body.upload, bytes);
    await packhouse.call("GET", `${asked.body.job}?wait=10`);
  });
  const deletes = [1, 2, 3].map(async () => {
    expect([204, 404]).toContain(await status("DELETE", "/packages/busy?recursive=true"));
  });
  await Promise.all([...uploads, ...deletes]);
  const listed = async () => {
    const { status: code, body } = await packhouse.call("GET", folderOf("busy"));
    if (code !== 200) return [];
    return Object.keys(body)
      .map((name) => name.replace(/^busy_(.*)\.deb$/, "busy=$1"))
      .sort();
  };
  await expect
    .poll(async () => (await visible("busy")).join() === (await listed()).join(), { timeout: 25_000 })
    .toBe(true);
  const above = (await packhouse.call("GET", "/packages/")).body;
  if ((await listed()).length > 0) expect(above).toHaveProperty("busy");
});
