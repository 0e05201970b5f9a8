import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { buildRpm } from "../support/rpm-builder.ts";
import { type AptSite, startAptSite } from "../support/upstream-apt-site.ts";

const UPSTREAM = "centos-6.0-os-x86_64";
const REPO = `${UPSTREAM}-dev`;
const FILE = "at-3.1.10-42.el6.i686.rpm";
const AT = buildRpm({ name: "at", version: "3.1.10", release: "42.el6", arch: "i686" });
const SHASUM = createHash("sha256").update(AT).digest("hex");
let packhouse: TestPackhouse;
let site: AptSite;

beforeAll(async () => {
  packhouse = await startPackhouse();
  site = await startAptSite();
  writeFileSync(join(site.folder, FILE), AT);
  execFileSync("createrepo_c", ["--quiet", site.folder]);
});
afterAll(async () => {
  await site.close();
  await packhouse.remove();
});

/** As a client of the interface would send it: the text as it is. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
async function sent(method: string, path: string, text?: string): Promise<{ status: number; body: any }> {
  const response = await fetch(`${packhouse.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${packhouse.folder.rootToken}` },
    ...(text === undefined ? {} : { body: text }),
  });
  return { status: response.status, body: await response.json() };
}

const uri = (path: string) => `${packhouse.url}${path}`;
const listed = { name: "at", filename: FILE, shasum: SHASUM, version: "3.1.10" };

test.each(["", "/"])("the examples work as they are written, with %j at the end of each path", async (slash) => {
  // The example's own trailing comma.
  const made = await sent(
    "POST",
    `/upstream${slash}`,
    `{\n  "name": "${UPSTREAM}",\n  "path": "poop",\n  "type": "yum",\n}`,
  );
  expect(made).toEqual({ status: 201, body: { uri: uri(`/upstream/${UPSTREAM}`) } });
  expect(await sent("GET", `/upstream${slash}`)).toMatchObject({
    status: 200,
    body: { [UPSTREAM]: uri(`/upstream/${UPSTREAM}`) },
  });
  expect(await sent("GET", `/upstream/${UPSTREAM}${slash}`)).toMatchObject({
    status: 200,
    body: { name: UPSTREAM, path: "poop", type: "yum", created_at: expect.any(String), updated_at: expect.any(String) },
  });
  const again = await sent(
    "PUT",
    `/upstream/${UPSTREAM}${slash}`,
    `{"name": "${UPSTREAM}", "path": "${site.url}", "type": "yum"}`,
  );
  expect(again).toMatchObject({
    status: 202,
    body: { name: UPSTREAM, path: site.url, type: "yum", updated_at: expect.any(String) },
  });

  const repo = await sent("POST", `/repo${slash}`, `{"name": "${REPO}", "type": "yum"}`);
  expect(repo).toEqual({ status: 201, body: { uri: uri(`/repo/${REPO}`) } });
  expect(await sent("GET", `/repo${slash}`)).toMatchObject({ status: 200, body: { [REPO]: uri(`/repo/${REPO}`) } });
  const changed = await sent("PUT", `/repo/${REPO}${slash}`, `{"name": "${REPO}", "path": "poop", "type": "yum"}`);
  expect(changed).toMatchObject({ status: 200, body: { name: REPO, type: "yum", updated_at: expect.any(String) } });

  const packagesOf = async (path: string) => (await sent("GET", `${path}/packages${slash}`)).body;
  await expect.poll(() => packagesOf(`/upstream/${UPSTREAM}`), { timeout: 20_000 }).toMatchObject({ [SHASUM]: listed });
  const sync = await sent(
    "PUT",
    `/repo/${REPO}/packages${slash}`,
    `{"sync": {"name": "${UPSTREAM}", "type": "upstream"}}`,
  );
  expect(sync.status).toBe(200);
  expect(await packagesOf(`/repo/${REPO}`)).toMatchObject({ [SHASUM]: listed });
  const map = `{"${SHASUM}": {"name": "at", "filename": "${FILE}", "shasum": "...", "version": "3.1.10"}}`;
  expect(await sent("PUT", `/repo/${REPO}/packages${slash}`, map)).toMatchObject({ status: 200 });
  expect(Object.keys(await packagesOf(`/repo/${REPO}`))).toEqual([SHASUM]);

  expect(await sent("GET", `/package${slash}`)).toMatchObject({
    status: 200,
    body: { [SHASUM]: uri(`/package/${SHASUM}`) },
  });
  expect(await sent("GET", `/package/${SHASUM}${slash}`)).toMatchObject({
    status: 200,
    body: {
      ...listed,
      upstreams: { [UPSTREAM]: uri(`/upstream/${UPSTREAM}`) },
      repos: { [REPO]: uri(`/repo/${REPO}`) },
    },
  });
  expect((await sent("DELETE", `/repo/${REPO}${slash}`)).status).toBe(200);
  expect((await sent("DELETE", `/upstream/${UPSTREAM}${slash}`)).status).toBe(200);
  expect(await sent("GET", `/package/${SHASUM}${slash}`)).toMatchObject({ status: 404 });
});
