import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createContext, Script } from "node:vm";
import fc from "fast-check";
import { expect, test } from "vitest";
import { objectKeyFor } from "../../functions/edge.ts";
import { bundleEdge } from "../../infra/bundle.ts";
import { sha256Of } from "../../shared/blob.ts";

const H = sha256Of("bytes");
const BLOB = `blobs/${H.slice(0, 2)}/${H}`;
const FIFTY = Array.from({ length: 50 }, (_, number) => `s${number}`).join("/");

test.each([
  [`/apt/tools/dists/stable/main/binary-amd64/by-hash/SHA256/${H}`],
  [`/apt/tools@12/dists/stable/main/binary-amd64/by-hash/SHA256/${H}`],
  [`/apt/tools/dists/a/b/c/by-hash/SHA256/${H}`],
  [`/apt/tools/pool/${H}/hello_2.10-3_amd64.deb`],
  [`/apt/tools/pool/${H}/g++_4:14.2.0-1~exp^1_amd64.deb`],
  [`/apt/tools/pool/${H}/g%2b%2b_4%3a14.2.0-1%7eexp1_amd64.deb`],
  [`/apt/tools@2026-11-01T00:00Z/pool/${H}/hello.deb`],
  [`/yum/tools/pool/${H}/a-1-1.noarch.rpm`],
  [`/yum/tools@latest/repodata/${H}-primary.xml.gz`],
  [`/yum/tools/repodata/${H}-comps.xml`],
  [`/dir/tools/pool/${H}/anything`],
  [`/blobs/${H.slice(0, 2)}/${H}`],
  [`/blobs/${H.slice(0, 2)}/${H}/hello_2.10-3_amd64.deb`],
  [`/blobs/${H.slice(0, 2)}/${H}/`],
])("%s names a hash: its blob answers", (path) => {
  expect(objectKeyFor(path)).toBe(BLOB);
});

test.each([
  ["/apt/tools/dists/stable/InRelease"],
  ["/apt/tools/dists/stable/Release"],
  ["/apt/tools/dists/stable/Release.gpg"],
  ["/apt/tools/dists/bookworm/updates/InRelease"],
  ["/apt/tools/key.asc"],
  ["/apt/tools/key.gpg"],
  ["/apt/tools/packhouse.sources"],
  ["/apt/a.b-c_9/key.asc"],
  ["/yum/tools/repodata/repomd.xml"],
  ["/yum/tools/repodata/repomd.xml.asc"],
  ["/yum/tools/repodata/repomd.xml.key"],
  ["/yum/tools/packhouse.repo"],
  ["/yum/tools/mirrorlist"],
  ["/yum/tools/key.asc"],
  ["/dir/tools/SHA256SUMS"],
  ["/dir/tools/SHA256SUMS.asc"],
  ["/dir/tools/index.json"],
  ["/dir/tools/index.html"],
])("%s is a pointer under its own path", (path) => {
  expect(objectKeyFor(path)).toBe(`pointers${path}`);
});

test.each([
  ["nothing", ""],
  ["the root", "/"],
  ["a repo's own address", "/apt/tools/"],
  ["a commit's pointer", "/apt/tools@12/dists/stable/InRelease"],
  ["a snapshot's pointer", "/yum/tools@spring/repodata/repomd.xml"],
  ["an index by its plain name", "/apt/tools/dists/stable/main/binary-amd64/Packages.gz"],
  ["a source package", `/apt/tools/source/${H}/a_1.dsc`],
  ["a file of a directory", "/dir/tools/a/b"],
  ["a hash of another kind", `/apt/tools/dists/stable/main/binary-amd64/by-hash/SHA512/${H}${H}`],
  ["a hash in capitals", `/apt/tools/pool/${H.toUpperCase()}/a.deb`],
  ["a hash too short", `/apt/tools/pool/${H.slice(1)}/a.deb`],
  ["a hash too long", `/apt/tools/pool/0${H}/a.deb`],
  ["a hash with more behind it", `/apt/tools/dists/stable/by-hash/SHA256/${H}/more`],
  ["a hash with a line break", `/apt/tools/dists/stable/by-hash/SHA256/${H}\n`],
  ["a pool path without a file", `/apt/tools/pool/${H}/`],
  ["a pool path with two", `/apt/tools/pool/${H}/a/b`],
  ["another type", "/deb/tools/key.asc"],
  ["another kind of pointer in apt", "/apt/tools/repodata/repomd.xml"],
  ["another kind of pointer in yum", "/yum/tools/dists/stable/InRelease"],
  ["a name in capitals", "/apt/Tools/key.asc"],
  ["a name that begins with a dot", "/apt/.tools/key.asc"],
  ["a prefix of ours", `/incoming/${H.slice(0, 32)}`],
  ["the pointers themselves", "/pointers/apt/tools/key.asc"],
  ["blobs above", `/blobs/../incoming/${H}`],
  ["a way out of a suite", "/apt/tools/dists/../../other/dists/stable/InRelease"],
  ["a way out of a suite, at its end", "/apt/tools/dists/stable/../InRelease"],
  ["a dot for a suite", "/apt/tools/dists/./InRelease"],
  ["an empty segment", "/apt/tools/dists//stable/InRelease"],
  ["a way out of a repo", "/apt/../yum/tools/key.asc"],
  ["an encoded way out", "/apt/tools/dists/%2e%2e/InRelease"],
  ["an encoded slash", "/apt/tools/dists/a%2fb/InRelease"],
  ["a NUL", "/apt/tools/dists/stable\0/InRelease"],
  ["a backslash", "/apt/tools/dists\\stable/InRelease"],
  ["a pointer with more behind it", "/apt/tools/key.asc/x"],
  ["a pointer with a query in its path", "/apt/tools/key.asc?x"],
  ["other scripts", "/apt/tools/dists/ste\u202eble/InRelease"],
  ["a whole address", "//evil.example/apt/tools/key.asc"],
])("%s is left to the files function", (_, path) => {
  expect(objectKeyFor(path)).toBeUndefined();
});

test("whatever is asked for, only blobs by hash and pointers under a plain path are ever named", () => {
  const part = fc.constantFrom(
    ..."apt yum dir blobs dists pool by-hash SHA256 repodata key.asc InRelease stable .. . %2e tools tools@1".split(
      " ",
    ),
    "",
    H,
    `${H}-x`,
    H.slice(0, 2),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const key = objectKeyFor(`/${parts.join("/")}`);
      if (key === undefined) return;
      expect(key).toMatch(/^(?:blobs\/[0-9a-f]{2}\/[0-9a-f]{64}|pointers\/(?:apt|yum|dir)\/[A-Za-z0-9._/-]+)$/);
      expect(key.split("/")).not.toContain("..");
      expect(key.split("/")).not.toContain(".");
      expect(key.split("/")).not.toContain("");
    }),
    { numRuns: 20_000 },
  );
});

test("a path of any length is answered at once", () => {
  const long = ["a/".repeat(50_000), "by-hash/SHA256/".repeat(20_000), "dists/".repeat(50_000), "-".repeat(300_000)];
  const start = performance.now();
  for (const path of long) expect(objectKeyFor(`/apt/tools/dists/${path}`)).toBeUndefined();
  expect(performance.now() - start).toBeLessThan(500);
});

test("it is one script that needs nothing around it, and answers there as here", () => {
  expect(readFileSync(join(import.meta.dirname, "../../functions/edge.ts"), "utf8")).not.toMatch(/^\s*import\b/m);
  const folder = mkdtempSync(join(tmpdir(), "packhouse-edge-"));
  try {
    const script = readFileSync(bundleEdge(undefined, join(folder, "index.js")), "utf8");
    const paths = [`/apt/tools/pool/${H}/a.deb`, "/apt/tools/key.asc", "/apt/tools@1/key.asc", "/", `/dir/${FIFTY}`];
    for (const uri of paths) {
      const world = createContext({ event: { request: { uri, headers: { host: { value: "example.org" } } } } });
      new Script(`${script}\nresult = JSON.stringify(handler(event));`).runInContext(world);
      const key = objectKeyFor(uri);
      expect(JSON.parse(String(world.result))).toEqual({
        uri: key === undefined ? uri : `/${key}`,
        headers: { host: { value: "example.org" }, "x-packhouse-path": { value: uri } },
      });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
