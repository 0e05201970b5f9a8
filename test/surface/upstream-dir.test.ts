import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { again, ended, fetchedByClients, made, pathsOf } from "../support/upstream-dir-follow.ts";
import { type DirSite, put, serveDir, servePython } from "../support/upstream-dir-site.ts";

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

const NAMES = ["a b+c~1:2.tar.gz", "ünï/100% #1?.iso", "ünï/deep/er/x", "empty"];

function fill(): void {
  for (const name of NAMES) put(folder, name, name === "empty" ? "" : `bytes of ${name}`);
}

test("a directory of Python's http.server comes whole, and a second sync fetches nothing and commits nothing", async () => {
  fill();
  symlinkSync("nowhere", join(folder, "dangling"));
  const python = await servePython(folder);
  const name = await made(packhouse, python.url);
  expect(await ended(packhouse, name)).toMatchObject({ state: "done", commit: 1, errors: [] });
  expect(await pathsOf(packhouse, name)).toEqual([...NAMES].sort());
  expect(await fetchedByClients(packhouse, name)).toEqual([...NAMES].sort());
  python.asked();
  expect(await again(packhouse, name)).toMatchObject({ state: "done", commit: 1 });
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
    const name = await made(packhouse, site.url);
    expect(await ended(packhouse, name)).toMatchObject({ state: "done", commit: 1, errors: [] });
    expect(await fetchedByClients(packhouse, name)).toEqual([...NAMES].sort());
    put(folder, "new/one", "1");
    put(folder, "empty", "not any more", new Date("2025-05-05T05:05:05Z"));
    rmSync(join(folder, "ünï/deep"), { recursive: true });
    site.asked();
    expect(await again(packhouse, name)).toMatchObject({ state: "done", commit: 2, errors: [] });
    expect(await pathsOf(packhouse, name)).toEqual(["a b+c~1:2.tar.gz", "empty", "new/one", "ünï/100% #1?.iso"].sort());
    const files = site.asked().filter((line) => !line.endsWith("/") && line !== "GET " && line !== "GET SHA256SUMS");
    expect(files.filter((line) => line.startsWith("GET")).sort()).toEqual(["GET empty", "GET new/one"]);
    expect(new Set(files)).toEqual(new Set(["HEAD empty", "HEAD new/one", "GET empty", "GET new/one"]));
    site.asked();
    expect(await again(packhouse, name)).toMatchObject({ state: "done", commit: 2 });
    expect(site.asked().filter((line) => line.startsWith("HEAD"))).toEqual([]);
  },
);

test("a file that was written this very second is looked at again at the next sync", async () => {
  const site = await serveDir(folder, "bare");
  const now = new Date();
  put(folder, "x", "one", now);
  const name = await made(packhouse, site.url);
  expect(await ended(packhouse, name)).toMatchObject({ state: "done", commit: 1, errors: [] });
  // Same length, same second: nothing that is told of it changes.
  put(folder, "x", "two", now);
  expect(await again(packhouse, name)).toMatchObject({ state: "done", commit: 2, errors: [] });
  const { body } = await packhouse.call("GET", `/upstream/${name}/packages`);
  expect(Object.keys(body)).toEqual([
    execFileSync("sha256sum", [join(folder, "x")], { encoding: "utf8" }).slice(0, 64),
  ]);
});

test("globs choose by name, or by path where they have a slash; an excluded folder is not even listed", async () => {
  for (const path of ["a.iso", "a.txt", "old/b.iso", "new/c.iso", "new/deep/d.iso"]) put(folder, path, path);
  const site: DirSite = await serveDir(folder, "nginx");
  const name = await made(packhouse, site.url, { include: ["*.iso"], exclude: ["old", "new/deep/*"] });
  expect(await ended(packhouse, name)).toMatchObject({ state: "done", errors: [] });
  expect(await pathsOf(packhouse, name)).toEqual(["a.iso", "new/c.iso"]);
  expect(site.asked()).not.toContain("GET old/");
});

test("credentials go with every request, and are never shown", async () => {
  put(folder, "sub/x", "x");
  const site = await serveDir(folder, "bare");
  const name = await made(packhouse, site.url.replace("//", "//me:secret@"));
  expect(await ended(packhouse, name)).toMatchObject({ state: "done", errors: [] });
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
  const job = await ended(packhouse, await made(packhouse, path));
  expect(job).toMatchObject({ state: "failed", errors: [{ message: expect.stringMatching(message) }] });
});
