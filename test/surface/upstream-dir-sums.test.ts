import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Gpg, openGpg } from "../support/gpg-keys.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { again, ended, fetchedByClients, made, pathsOf } from "../support/upstream-dir-follow.ts";
import { type DirSite, put, serveDir } from "../support/upstream-dir-site.ts";

let packhouse: TestPackhouse;
let gpg: Gpg;
let key: string;
let folder: string;
let site: DirSite;

beforeAll(async () => {
  packhouse = await startPackhouse();
  gpg = openGpg();
  key = await gpg.public(await gpg.make("sums@example.org"));
});
afterAll(async () => {
  await gpg.close();
  await packhouse.remove();
});
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "packhouse-dir-"));
  site = await serveDir(folder, "nginx");
  return () => rmSync(folder, { recursive: true });
});

/** As sha256sum writes it, of these files alone. */
function sum(...paths: string[]): void {
  const text = execFileSync("sha256sum", ["--", ...paths], { cwd: folder, encoding: "utf8" });
  put(folder, "SHA256SUMS", text, new Date());
}

function sign(...args: string[]): Promise<string> {
  return gpg.run("-u", "sums@example.org", ...args, join(folder, "SHA256SUMS"));
}

const NAMES = ["a b+c~1:2.tar.gz", "ünï/100% #1?.iso"];

function fill(): void {
  for (const name of NAMES) put(folder, name, `bytes of ${name}`);
}

test("what SHA256SUMS names comes, and nothing else; the next sync is one request", async () => {
  fill();
  put(folder, "not-listed", "x");
  put(folder, "index.html", "ours is another");
  sum(...NAMES, "index.html");
  const name = await made(packhouse, site.url);
  expect(await ended(packhouse, name)).toMatchObject({ state: "done", commit: 1, errors: [] });
  expect(await fetchedByClients(packhouse, name)).toEqual([...NAMES].sort());
  site.asked();
  expect(await again(packhouse, name)).toMatchObject({ state: "done", commit: 1 });
  expect(site.asked()).toEqual(["GET SHA256SUMS"]);
});

test("of what is summed, what is excluded by its folder stays away", async () => {
  for (const path of ["old/a", "old/deep/b", "new/c"]) put(folder, path, path);
  sum("old/a", "old/deep/b", "new/c");
  const name = await made(packhouse, site.url, { exclude: ["old"] });
  expect(await ended(packhouse, name)).toMatchObject({ state: "done", errors: [] });
  expect(await pathsOf(packhouse, name)).toEqual(["new/c"]);
});

test("of sums that changed, only what is new is fetched", async () => {
  fill();
  sum(...NAMES);
  const name = await made(packhouse, site.url);
  await ended(packhouse, name);
  put(folder, "sub/new", "new");
  sum("sub/new", "ünï/100% #1?.iso");
  site.asked();
  expect(await again(packhouse, name)).toMatchObject({ state: "done", commit: 2, errors: [] });
  expect(await pathsOf(packhouse, name)).toEqual(["sub/new", "ünï/100% #1?.iso"]);
  expect(site.asked().filter((line) => line !== "GET SHA256SUMS")).toEqual(["GET sub/new"]);
});

test.each([
  ["SHA256SUMS.asc", ["--armor", "--detach-sign"]],
  ["SHA256SUMS.gpg", ["--detach-sign"]],
  ["SHA256SUMS.sign", ["--armor", "--detach-sign"]],
])("sums signed in %s are taken with the key, and not once they are changed", async (file, how) => {
  fill();
  sum(...NAMES);
  await sign(...how, "-o", join(folder, file));
  const name = await made(packhouse, site.url, { key });
  expect(await ended(packhouse, name)).toMatchObject({ state: "done", commit: 1, errors: [] });
  sum(NAMES[0] ?? "");
  const failed = await again(packhouse, name);
  expect(failed).toMatchObject({ state: "failed" });
  expect(failed.errors.at(-1)).toMatchObject({
    message: expect.stringMatching(/no good signature/),
    url: site.url + file,
  });
  expect(await pathsOf(packhouse, name)).toHaveLength(NAMES.length);
});

test("sums that hold their signature are taken, with the key or without", async () => {
  fill();
  sum(...NAMES);
  await sign("--clearsign", "-o", join(folder, "signed"));
  execFileSync("mv", ["signed", "SHA256SUMS"], { cwd: folder });
  for (const settings of [{}, { key }]) {
    const name = await made(packhouse, site.url, settings);
    expect(await ended(packhouse, name)).toMatchObject({ state: "done", commit: 1, errors: [] });
    expect(await pathsOf(packhouse, name)).toEqual([...NAMES].sort());
  }
});

test("with a key, an unsigned directory is an error, whether it has sums or none", async () => {
  fill();
  const listed = await ended(packhouse, await made(packhouse, site.url, { key }));
  expect(listed).toMatchObject({
    state: "failed",
    errors: [{ message: expect.stringContaining("there is no SHA256SUMS") }],
  });
  sum(...NAMES);
  const summed = await ended(packhouse, await made(packhouse, site.url, { key }));
  expect(summed).toMatchObject({
    state: "failed",
    errors: [{ message: expect.stringMatching(/no signature lies beside it \(looked for SHA256SUMS.asc, .*\)/) }],
  });
});

test.each([
  ["../etc/passwd", /line 1: the path "..\/etc\/passwd" is refused: it leads out/],
  ["/etc/passwd", /line 1: .*absolute/],
  ["a\\b", /line 1: .*backslash/],
  ["a%2e%2e/b", /line 1: .*percent-encoded/],
])("a sum of %s is refused by its line, and nothing is committed", async (path, message) => {
  put(folder, "SHA256SUMS", `${"0".repeat(64)}  ${path}\n`);
  const name = await made(packhouse, site.url);
  expect(await ended(packhouse, name)).toMatchObject({
    state: "failed",
    errors: [{ message: expect.stringMatching(message) }],
  });
  expect((await packhouse.call("GET", `/upstream/${name}`)).body.commit).toBe(0);
});

test("bytes that are not those of the sum end the job, which says what came, and the last commit stays", async () => {
  fill();
  sum(...NAMES);
  const name = await made(packhouse, site.url);
  await ended(packhouse, name);
  put(folder, "bad", "as it was summed");
  sum(...NAMES, "bad");
  put(folder, "bad", "as it is");
  const failed = await again(packhouse, name);
  expect(failed).toMatchObject({ state: "failed" });
  expect(failed.errors.at(-1)).toMatchObject({
    url: `${site.url}bad`,
    message: expect.stringMatching(/expected sha256 .*got/),
  });
  expect(await pathsOf(packhouse, name)).toEqual([...NAMES].sort());
});

test("on demand, sizes are asked for and bytes come when somebody wants them", async () => {
  fill();
  sum(...NAMES);
  const name = await made(packhouse, site.url, { policy: "on_demand" });
  expect(await ended(packhouse, name)).toMatchObject({ state: "done", commit: 1, errors: [] });
  const heads = NAMES.map((path) => `HEAD ${path}`);
  expect(site.asked().sort()).toEqual(["GET SHA256SUMS", ...heads].sort());
  put(folder, "new", "new");
  sum(...NAMES, "new");
  expect(await again(packhouse, name)).toMatchObject({ state: "done", commit: 2, errors: [] });
  expect(site.asked()).toEqual(["GET SHA256SUMS", "HEAD new"]);
  expect(await fetchedByClients(packhouse, name)).toEqual([...NAMES, "new"].sort());
});

test("on demand, a directory without sums is an error that says what would do", async () => {
  fill();
  const job = await ended(packhouse, await made(packhouse, site.url, { policy: "on_demand" }));
  expect(job).toMatchObject({ state: "failed", errors: [{ message: expect.stringMatching(/on_demand needs/) }] });
});
