import { execFileSync } from "node:child_process";
import { globSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { buildRpm } from "../support/rpm-builder.ts";
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
  add("alpha", "1.0");
  add("beta", "2.0~rc1");
  return () => site.close();
});
afterAll(() => packhouse.remove());

function fileOf(name: string, version: string): string {
  return join(site.folder, `${name}-${version}-1.x86_64.rpm`);
}

function add(name: string, version: string): void {
  const requires = [["bash", 12, "4.0"]] as const;
  const files = { requires, summary: `of round ${round}` };
  writeFileSync(fileOf(name, version), buildRpm({ name, version, release: "1", arch: "x86_64", ...files }));
}

function index(compression: string): void {
  execFileSync("createrepo_c", ["--quiet", `--general-compress-type=${compression}`, "--compatibility", site.folder]);
}

let upstreams = 0;
async function made(): Promise<string> {
  upstreams += 1;
  const name = `rpms-${upstreams}`;
  const body = { name, type: "yum", path: site.url };
  expect((await packhouse.call("POST", "/upstream", body)).status).toBe(201);
  return name;
}

// biome-ignore lint/suspicious/noExplicitAny: a job as it is answered
async function ended(name: string): Promise<any> {
  const { body } = await packhouse.call("GET", `/upstream/${name}`);
  return (await packhouse.call("GET", `${body.job}?wait=25`)).body;
}

test.each(["gz", "xz", "bz2"])("an upstream in %s is synced, and again with what came and went", async (by) => {
  index(by);
  const name = await made();
  expect(await ended(name)).toMatchObject({ state: "done", commit: 1, packages: { done: 2, total: 2 }, errors: [] });
  const { body } = await packhouse.call("GET", `/upstream/${name}/packages`);
  expect(Object.values(body)).toEqual(
    expect.arrayContaining([expect.objectContaining({ name: "beta", version: "2.0~rc1", release: "1", epoch: 0 })]),
  );
  add("gamma", "3");
  rmSync(fileOf("beta", "2.0~rc1"));
  index(by);
  await packhouse.call("PUT", `/upstream/${name}`, {});
  expect(await ended(name)).toMatchObject({ state: "done", commit: 2 });
  const names = Object.values<{ name: string }>((await packhouse.call("GET", `/upstream/${name}/packages`)).body);
  expect(names.map((one) => one.name).sort()).toEqual(["alpha", "gamma"]);
});

test("a repo that takes it over lists each package as createrepo_c does, but for its place", async () => {
  index("gz");
  const name = await made();
  await ended(name);
  await packhouse.call("POST", "/repo", { name: `of-${name}`, type: "yum", follow: name });
  const count = async () => (await packhouse.call("GET", `/repo/of-${name}`)).body.published_commit;
  await expect.poll(count, { timeout: 15_000 }).toBe(1);
  const repomd = String((await packhouse.call("GET", `/yum/of-${name}/repodata/repomd.xml`)).body);
  const [, primary = ""] = /href="(repodata\/[0-9a-f]{64}-primary.xml.gz)"/.exec(repomd) ?? [];
  const response = await fetch(`${packhouse.url}/yum/of-${name}/${primary}`);
  const ours = gunzipSync(Buffer.from(await response.arrayBuffer())).toString();
  const [theirs = ""] = globSync(join(site.folder, "repodata/*primary.xml.gz"));
  const text = gunzipSync(execFileSync("cat", [theirs])).toString();
  const packages = (xml: string) => (xml.match(/<package .*?<\/package>/gs) ?? []).map(placeless).sort();
  expect(packages(ours)).toEqual(packages(text));
  expect(packages(ours)).toHaveLength(2);
});

function placeless(xml: string): string {
  return xml.replace(/<location [^>]*>/, "");
}

test("nothing new upstream: no commit, and one request", async () => {
  index("gz");
  const name = await made();
  await ended(name);
  site.asked();
  await packhouse.call("PUT", `/upstream/${name}`, {});
  expect(await ended(name)).toMatchObject({ state: "done", commit: 1 });
  expect(site.asked()).toEqual(["repodata/repomd.xml"]);
});

test("an index or a package with other bytes ends the job, which says where, and nothing is committed", async () => {
  index("gz");
  const [primary = ""] = globSync("repodata/*primary.xml.gz", { cwd: site.folder });
  for (const path of [primary, "alpha-1.0-1.x86_64.rpm"]) {
    site.faults.set(path, { status: 200, body: "other" });
    const name = await made();
    expect(await ended(name)).toMatchObject({ state: "failed", errors: [{ message: expect.stringContaining(path) }] });
    expect((await packhouse.call("GET", `/upstream/${name}`)).body).toMatchObject({ commit: 0, packages: 0 });
    site.faults.clear();
  }
});
