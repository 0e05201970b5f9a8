import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { type DirSite, put, serveDir, servePython } from "../support/upstream-dir-site.ts";

/** The server runs in this process: it must be able to answer. */
const run = promisify(execFile);

let packhouse: TestPackhouse;
let folder: string;

beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "packhouse-dir-"));
  return () => rmSync(folder, { recursive: true });
});

let upstreams = 0;
async function made(path: string, settings: object = {}): Promise<string> {
  upstreams += 1;
  const name = `files-${upstreams}`;
  const answer = await packhouse.call("POST", "/upstream", { name, type: "dir", path, ...settings });
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return name;
}

// biome-ignore lint/suspicious/noExplicitAny: a job as it is answered
async function ended(name: string): Promise<any> {
  const { body } = await packhouse.call("GET", `/upstream/${name}`);
  return (await packhouse.call("GET", `${body.job}?wait=25`)).body;
}

// biome-ignore lint/suspicious/noExplicitAny: a job as it is answered
async function again(name: string): Promise<any> {
  await packhouse.call("PUT", `/upstream/${name}`, {});
  return ended(name);
}

async function pathsOf(name: string): Promise<string[]> {
  const { body } = await packhouse.call("GET", `/upstream/${name}/packages`);
  return Object.values<{ places: string[] }>(body)
    .flatMap(({ places }) => places)
    .sort();
}

const NAMES = ["a b+c~1:2.tar.gz", "ünï/100% #1?.iso", "ünï/deep/er/x", "empty"];

function fill(): void {
  for (const name of NAMES) put(folder, name, name === "empty" ? "" : `bytes of ${name}`);
}

/** What clients of a repo that follows have, fetched by curl and checked by sha256sum. */
async function fetchedByClients(name: string): Promise<string[]> {
  await packhouse.call("POST", "/repo", { name: `of-${name}`, type: "dir", follow: name });
  const published = async () => (await packhouse.call("GET", `/repo/of-${name}`)).body.published_commit;
  await expect.poll(published, { timeout: 15_000 }).toBe(1);
  const into = mkdtempSync(join(tmpdir(), "packhouse-fetched-"));
  try {
    const url = `${packhouse.url}/dir/of-${name}/`;
    const curl = async (path: string) => {
      const address = url + path.split("/").map(encodeURIComponent).join("/");
      await run("curl", ["-fsSL", "--create-dirs", "-o", join(into, path), address]);
    };
    await curl("SHA256SUMS");
    const paths = execFileSync("sed", ["s/^[0-9a-f]*  //", join(into, "SHA256SUMS")], { encoding: "utf8" });
    for (const path of paths.trimEnd().split("\n")) await curl(path);
    execFileSync("sha256sum", ["-c", "--strict", "--quiet", "SHA256SUMS"], { cwd: into });
    return readdirSync(into, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== "SHA256SUMS")
      .map((entry) => join(entry.parentPath, entry.name).slice(into.length + 1))
      .sort();
  } finally {
    rmSync(into, { recursive: true });
  }
}

test("a directory of Python's http.server comes whole, and a second sync fetches nothing and commits nothing", async () => {
  fill();
  symlinkSync("nowhere", join(folder, "dangling"));
  const python = await servePython(folder);
  const name = await made(python.url);
  expect(await ended(name)).toMatchObject({ state: "done", commit: 1, errors: [] });
  expect(await pathsOf(name)).toEqual([...NAMES].sort());
  expect(await fetchedByClients(name)).toEqual([...NAMES].sort());
  python.asked();
  expect(await again(name)).toMatchObject({ state: "done", commit: 1 });
  const asked = python.asked();
  expect(asked.filter((line) => line.startsWith("GET")).sort()).toEqual(
    ["GET ", "GET SHA256SUMS", "GET ünï/", "GET ünï/deep/", "GET ünï/deep/er/"].sort(),
  );
  expect(asked.filter((line) => line.startsWith("HEAD"))).toHaveLength(NAMES.length + 1);
});

test.each(["nginx", "apache"] as const)(
  "of a directory that %s lists, only what is new or changed is asked for",
  async (style) => {
    fill();
    const site = await serveDir(folder, style);
    const name = await made(site.url);
    expect(await ended(name)).toMatchObject({ state: "done", commit: 1, errors: [] });
    expect(await fetchedByClients(name)).toEqual([...NAMES].sort());
    put(folder, "new/one", "1");
    put(folder, "empty", "not any more", new Date("2025-05-05T05:05:05Z"));
    rmSync(join(folder, "ünï/deep"), { recursive: true });
    site.asked();
    expect(await again(name)).toMatchObject({ state: "done", commit: 2, errors: [] });
    expect(await pathsOf(name)).toEqual(["a b+c~1:2.tar.gz", "empty", "new/one", "ünï/100% #1?.iso"].sort());
    const files = site.asked().filter((line) => !line.endsWith("/") && line !== "GET " && line !== "GET SHA256SUMS");
    expect(files.filter((line) => line.startsWith("GET")).sort()).toEqual(["GET empty", "GET new/one"]);
    expect(new Set(files)).toEqual(new Set(["HEAD empty", "HEAD new/one", "GET empty", "GET new/one"]));
    site.asked();
    expect(await again(name)).toMatchObject({ state: "done", commit: 2 });
    expect(site.asked().filter((line) => line.startsWith("HEAD"))).toEqual([]);
  },
);

test("a file that was written this very second is looked at again at the next sync", async () => {
  const site = await serveDir(folder, "bare");
  const now = new Date();
  put(folder, "x", "one", now);
  const name = await made(site.url);
  expect(await ended(name)).toMatchObject({ state: "done", commit: 1, errors: [] });
  // Same length, same second: nothing that is told of it changes.
  put(folder, "x", "two", now);
  expect(await again(name)).toMatchObject({ state: "done", commit: 2, errors: [] });
  const { body } = await packhouse.call("GET", `/upstream/${name}/packages`);
  expect(Object.keys(body)).toEqual([
    execFileSync("sha256sum", [join(folder, "x")], { encoding: "utf8" }).slice(0, 64),
  ]);
});

test("globs choose by name, or by path where they have a slash; an excluded folder is not even listed", async () => {
  for (const path of ["a.iso", "a.txt", "old/b.iso", "new/c.iso", "new/deep/d.iso"]) put(folder, path, path);
  const site: DirSite = await serveDir(folder, "nginx");
  const name = await made(site.url, { include: ["*.iso"], exclude: ["old", "new/deep/*"] });
  expect(await ended(name)).toMatchObject({ state: "done", errors: [] });
  expect(await pathsOf(name)).toEqual(["a.iso", "new/c.iso"]);
  expect(site.asked()).not.toContain("GET old/");
});

test("credentials go with every request, and are never shown", async () => {
  put(folder, "sub/x", "x");
  const site = await serveDir(folder, "bare");
  const name = await made(site.url.replace("//", "//me:secret@"));
  expect(await ended(name)).toMatchObject({ state: "done", errors: [] });
  const expected = `Basic ${Buffer.from("me:secret").toString("base64")}`;
  expect(new Set(site.requests.map(({ headers }) => headers.authorization))).toEqual(new Set([expected]));
  expect(JSON.stringify((await packhouse.call("GET", `/upstream/${name}`)).body)).not.toContain("secret");
});

test.each([
  ["ftp://example.org/pub", /ftp is not followed; a directory is followed at http:\/\/, https:\/\/ or s3:\/\//],
  ["poop", /is no URL/],
  ["http://127.0.0.1:1/pub?x", /no `\?`/],
  ["s3://UPPER/x", /"UPPER" is no bucket/],
  ["s3://somebodys/x", /a bucket that PACKHOUSE_UPSTREAM_BUCKETS lists, got somebodys/],
  ["s3://packhouse/blobs", /a bucket that PACKHOUSE_UPSTREAM_BUCKETS lists, got packhouse/],
])("%s is the sync job's error", async (path, message) => {
  const job = await ended(await made(path));
  expect(job).toMatchObject({ state: "failed", errors: [{ message: expect.stringMatching(message) }] });
});
