import { afterAll, beforeAll, expect, test } from "vitest";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { buildRpm } from "../support/rpm-builder.ts";
import { announced, ask, ended, put, sha256 } from "../support/surface-requests.ts";

const HELLO = buildDeb({ control: { Package: "hello", Version: "2.10-3" } });
let packhouse: TestPackhouse;

beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

test("from upload to repository: each step answers as it is told", async () => {
  const { call, url } = packhouse;
  const made = await call("POST", "/repo", { name: "tools", type: "apt", accepts: ["hello/debian/*/*"] });
  expect([made.status, made.body]).toEqual([201, { uri: `${url}/repo/tools` }]);
  expect((await call("GET", "/repo/tools")).body).toMatchObject({
    type: "apt",
    commit: 0,
    published_commit: 0,
    packages: 0,
  });

  const asked = await ask(packhouse, "hello/debian/bookworm/amd64/hello_2.10-3_amd64.deb", announced(HELLO));
  expect(asked.status).toBe(200);
  const start = performance.now();
  expect((await put(asked.body.upload, HELLO)).status).toBe(200);
  const job = await ended(packhouse, asked.body.job);
  expect(job).toMatchObject({ state: "done", repos: { tools: { commit: 1, published_commit: 1 } } });
  // From the last byte to what apt sees.
  expect(performance.now() - start).toBeLessThan(15_000);

  const listing = (await call("GET", "/packages/hello/debian/bookworm/amd64/")).body;
  expect(listing["hello_2.10-3_amd64.deb"]).toMatchObject({ signed: false, state: "stored", sha256: sha256(HELLO) });
  const got = await call("GET", "/packages/hello/debian/bookworm/amd64/hello_2.10-3_amd64.deb");
  expect(got.status).toBe(302);
  const bytes = await fetch(got.headers.get("location") ?? "");
  expect(sha256(Buffer.from(await bytes.arrayBuffer()))).toBe(sha256(HELLO));
  expect(bytes.headers.get("x-content-type-options")).toBe("nosniff");
  expect(bytes.headers.get("content-security-policy")).toBe("sandbox");

  const sources = await fetch(`${url}/apt/tools/packhouse.sources`).then((answer) => answer.text());
  expect(sources).toContain(`URIs: ${url}/apt/tools`);
  expect(sources).toContain("BEGIN PGP PUBLIC KEY BLOCK");
  const key = await fetch(`${url}/apt/tools/key.asc`).then((answer) => answer.text());
  expect(key).toContain("BEGIN PGP PUBLIC KEY BLOCK");
});

test("the same with an rpm and a yum repo", async () => {
  const { call, url } = packhouse;
  await call("POST", "/repo", { name: "rpms", type: "yum", accepts: ["lab/**"] });
  const rpm = buildRpm({ name: "lab", version: "1", release: "1", arch: "x86_64" });
  const job = await packhouse.upload("/packages/lab/centos/9/x86_64/lab-1-1.x86_64.rpm", rpm);
  expect(job).toMatchObject({ state: "done", notes: [], repos: { rpms: { commit: 1, published_commit: 1 } } });
  const mirrors = await fetch(`${url}/yum/rpms/mirrorlist`).then((answer) => answer.text());
  expect(mirrors).toBe(`${url}/yum/rpms@1/\n`);
  for (const base of [`${url}/yum/rpms/`, mirrors.trim()]) {
    const repomd = await fetch(`${base}repodata/repomd.xml`).then((answer) => answer.text());
    expect(repomd).toContain("-primary.xml.gz");
  }
  const repoFile = await fetch(`${url}/yum/rpms/packhouse.repo`).then((answer) => answer.text());
  expect(repoFile).toContain(`mirrorlist=${url}/yum/rpms/mirrorlist`);
  expect(repoFile).toContain("repo_gpgcheck=1");
});

test("every level of the tree tells what lies below it, with and without a slash at its end", async () => {
  await packhouse.upload("/packages/walk/debian/trixie/arm64/walk.deb", buildDeb({ control: { Package: "walk" } }));
  let path = "/packages";
  for (const next of ["walk", "debian", "trixie", "arm64", "walk.deb"]) {
    const [plain, slashed] = [await packhouse.call("GET", path), await packhouse.call("GET", `${path}/`)];
    expect([plain.status, slashed.status]).toEqual([200, 200]);
    for (const { body } of [plain, slashed]) expect(body[next].last_updated).toMatch(/ ago$/);
    path += `/${next}`;
  }
  expect((await packhouse.call("GET", path)).status).toBe(302);
});

test("a level that is not there is 404 and named", async () => {
  for (const path of ["/packages/nobody", "/packages/nobody/debian/", "/packages/walk/debian/sid"]) {
    const { status, body } = await packhouse.call("GET", path);
    expect(status).toBe(404);
    expect(body).toEqual({ msg: body.message, message: expect.stringMatching(/nobody|debian|sid/) });
  }
});

test("levels can be made by themselves, each once, and with all that is missing above", async () => {
  const made = await packhouse.call("POST", "/packages/", { name: "made" });
  expect([made.status, made.body]).toEqual([200, { name: "made" }]);
  const again = await packhouse.call("POST", "/packages", { name: "made" });
  expect([again.status, again.body]).toEqual([400, { msg: "made already exists", message: expect.any(String) }]);
  expect((await packhouse.call("POST", "/packages/deep/debian/sid", { name: "amd64" })).status).toBe(200);
  expect((await packhouse.call("GET", "/packages/deep/debian/")).body).toHaveProperty("sid");
  expect((await packhouse.call("GET", "/packages/deep/debian/sid/amd64/")).body).toEqual({});
});

test("a binary can be made at its own address, where the name must be the same", async () => {
  const path = "/packages/own/debian/sid/amd64/own.deb";
  expect((await packhouse.call("POST", path, { name: "other.deb" })).status).toBe(400);
  const { status, body } = await packhouse.call("POST", `${path}/`, { name: "own.deb" });
  expect(status).toBe(200);
  expect(body.upload.method).toBe("PUT");
});

test("a repo is told, listed and changed, with and without a slash at the end", async () => {
  const { call, url } = packhouse;
  for (const slash of ["", "/"]) {
    expect((await call("GET", `/repo${slash}`)).body.tools).toBe(`${url}/repo/tools`);
    expect((await call("GET", `/repo/tools${slash}`)).body.name).toBe("tools");
  }
  const made = await call("PUT", "/repo/made-by-put/", { type: "dir" });
  expect([made.status, made.body.type, made.body.published_commit]).toEqual([201, "dir", 0]);
  const changed = await call("PUT", "/repo/made-by-put", { name: "made-by-put", description: "now with words" });
  expect([changed.status, changed.body.description]).toEqual([200, "now with words"]);
  expect((await call("GET", "/repo/nothing")).status).toBe(404);
});
