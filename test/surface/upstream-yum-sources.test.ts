import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { buildRpm } from "../support/rpm-builder.ts";
import { smallKey } from "../support/small-key.ts";
import { type AptSite, startAptSite } from "../support/upstream-apt-site.ts";

let packhouse: TestPackhouse;
let site: AptSite;
let round = 0;

beforeAll(async () => {
  packhouse = await startPackhouse();
});
beforeEach(async () => {
  site = await startAptSite();
  round += 1;
  mkdirSync(join(site.folder, "one"));
  for (const name of ["alpha", "beta"]) add(name);
  return () => site.close();
});
afterAll(() => packhouse.remove());

function add(name: string): void {
  const rpm = buildRpm({ name, version: "1", release: "1", arch: "noarch", summary: `of round ${round}` });
  writeFileSync(join(site.folder, `one/${name}-1-1.noarch.rpm`), rpm);
}

function index(...options: string[]): void {
  execFileSync("createrepo_c", ["--quiet", ...options, join(site.folder, "one")]);
}

async function sync(path: string, settings: Record<string, unknown> = {}) {
  const name = `rpms-${round}`;
  const known = (await packhouse.call("GET", `/upstream/${name}`)).status === 200;
  const body = { ...(known ? {} : { type: "yum" }), path, ...settings };
  expect((await packhouse.call("PUT", `/upstream/${name}`, body)).status).toBe(known ? 202 : 201);
  const { body: upstream } = await packhouse.call("GET", `/upstream/${name}`);
  const { body: job } = await packhouse.call("GET", `${upstream.job}?wait=25`);
  const { body: packages } = await packhouse.call("GET", `/upstream/${name}/packages`);
  return { job, packages: packages as Record<string, { name: string; size: number }> };
}

function hashOf(path: string, algorithm = "sha256"): string {
  return createHash(algorithm)
    .update(readFileSync(join(site.folder, path)))
    .digest("hex");
}

function metalink(checksum: string, mirrors: readonly string[]): string {
  const urls = mirrors.map(
    (url, at) => `<url protocol="http" type="http" preference="${100 - at}">${url}/repodata/repomd.xml</url>`,
  );
  return `<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/"><files><file name="repomd.xml"><size>${
    readFileSync(join(site.folder, "one/repodata/repomd.xml")).length
  }</size><verification><hash type="sha256">${checksum}</hash></verification><resources>${urls.join("")}</resources></file></files></metalink>
`;
}

test.each(["sha", "sha512", "md5"])(
  "packages listed by their %s are checked, and get the SHA-256 that they have",
  async (type) => {
    index("--checksum", type);
    const { job, packages } = await sync(`${site.url}/one`);
    expect(job).toMatchObject({ state: "done", commit: 1, errors: [] });
    expect(Object.keys(packages).sort()).toEqual(
      ["alpha", "beta"].map((name) => hashOf(`one/${name}-1-1.noarch.rpm`)).sort(),
    );
    site.asked();
    add("gamma");
    index("--checksum", type);
    expect((await sync(`${site.url}/one`)).job).toMatchObject({ state: "done", commit: 2 });
    expect(site.asked().filter((path) => path.endsWith(".rpm"))).toEqual(["one/gamma-1-1.noarch.rpm"]);
  },
);

test("a package that is not what its SHA-1 says ends the job", async () => {
  index("--checksum", "sha");
  site.faults.set("one/beta-1-1.noarch.rpm", { status: 200, body: "other" });
  const { job, packages } = await sync(`${site.url}/one`);
  expect(job).toMatchObject({ state: "failed", errors: [{ message: expect.stringContaining("beta-1-1.noarch.rpm") }] });
  expect(packages).toEqual({});
});

test("a mirrorlist leads to the first mirror that answers, and the others give what it has not", async () => {
  index();
  cpSync(join(site.folder, "one"), join(site.folder, "two"), { recursive: true });
  rmSync(join(site.folder, "one/beta-1-1.noarch.rpm"));
  writeFileSync(join(site.folder, "list"), `# mirrors\n${site.url}/none\n${site.url}/one/\n${site.url}/two\n`);
  const { job, packages } = await sync(`${site.url}/list`);
  expect(job).toMatchObject({ state: "done", commit: 1 });
  expect(Object.keys(packages)).toHaveLength(2);
  site.asked();
  expect((await sync(`${site.url}/list`)).job).toMatchObject({ state: "done", commit: 1 });
  expect(site.asked().filter((path) => !path.includes("repomd.xml"))).toEqual(["list"]);
});

test("a metalink passes over a mirror that is behind, and tells with one request that nothing is new", async () => {
  index();
  cpSync(join(site.folder, "one"), join(site.folder, "old"), { recursive: true });
  add("gamma");
  index();
  const checksum = hashOf("one/repodata/repomd.xml");
  const body = metalink(checksum, [`${site.url}/old`, `${site.url}/one`]);
  site.faults.set("metalink?repo=lab&arch=noarch", { status: 200, body });
  const path = `${site.url}/metalink?repo=lab&arch=noarch`;
  const { job, packages } = await sync(path);
  expect(job).toMatchObject({ state: "done", commit: 1 });
  expect(
    Object.values(packages)
      .map(({ name }) => name)
      .sort(),
  ).toEqual(["alpha", "beta", "gamma"]);
  site.asked();
  expect((await sync(path)).job).toMatchObject({ state: "done", commit: 1 });
  expect(site.asked()).toEqual(["metalink?repo=lab&arch=noarch"]);
});

test("a metalink whose repomd.xml no mirror has ends the job", async () => {
  index();
  writeFileSync(join(site.folder, "metalink"), metalink("0".repeat(64), [`${site.url}/one`]));
  const { job } = await sync(`${site.url}/metalink`);
  expect(job).toMatchObject({ state: "failed", errors: [{ url: `${site.url}/one/repodata/repomd.xml` }] });
});

test("a path with neither a repomd.xml nor a list ends the job, which names the repomd.xml", async () => {
  const { job } = await sync(`${site.url}/nothing`);
  expect(job.errors[0]).toMatchObject({ url: `${site.url}/nothing/repodata/repomd.xml` });
});

test("packages lie where xml:base says", async () => {
  index("--baseurl", `${site.url}/elsewhere/`);
  mkdirSync(join(site.folder, "elsewhere"));
  for (const rpm of globSync(join(site.folder, "one/*.rpm"))) {
    cpSync(rpm, join(site.folder, "elsewhere", rpm.split("/").at(-1) ?? ""));
    rmSync(rpm);
  }
  expect((await sync(`${site.url}/one`)).job).toMatchObject({ state: "done", packages: { done: 2, total: 2 } });
});

test("comps, modules and advisories are carried over, also to who follows, and the databases left out", async () => {
  const write = (name: string, text: string) => {
    writeFileSync(join(site.folder, name), text);
    return join(site.folder, name);
  };
  const comps = write(
    "comps.xml",
    `<?xml version="1.0"?><comps><group><id>lab</id><name>Lab</name><packagelist><packagereq type="default">alpha</packagereq></packagelist></group></comps>`,
  );
  index("--groupfile", comps, "--database");
  const modules = "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: lab\n  stream: '1'\n...\n";
  const repodata = join(site.folder, "one/repodata");
  execFileSync("modifyrepo_c", ["--mdtype=modules", write("modules.yaml", modules), repodata], { stdio: "ignore" });
  expect((await sync(`${site.url}/one`)).job).toMatchObject({ state: "done", commit: 1, errors: [] });
  await packhouse.call("POST", "/repo", {
    name: `of-${round}`,
    type: "yum",
    follow: `rpms-${round}`,
    ...(await smallKey()),
  });
  const published = async () => (await packhouse.call("GET", `/repo/of-${round}`)).body.published_commit;
  await expect.poll(published, { timeout: 15_000 }).toBeGreaterThan(0);
  const repomd: string = (await packhouse.call("GET", `/yum/of-${round}/repodata/repomd.xml`)).body;
  const types = [...repomd.matchAll(/<data type="([^"]+)"/g)].map(([, type]) => type).sort();
  expect(types).toEqual(["filelists", "group", "group_gz", "modules", "other", "primary"]);
  const [, href = ""] = /<data type="modules">.*?<location href="([^"]+)"/s.exec(repomd) ?? [];
  const bytes = Buffer.from(await (await fetch(`${packhouse.url}/yum/of-${round}/${href}`)).arrayBuffer());
  expect(gunzipSync(bytes).toString()).toBe(modules);
});
