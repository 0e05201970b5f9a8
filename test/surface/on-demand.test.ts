import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { waitFor } from "../../shared/wait.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { type AptSite, startAptSite } from "../support/upstream-apt-site.ts";
import { openUpstream } from "../support/upstream-site.ts";

let packhouse: TestPackhouse;
let far: AptSite;
let alpha: Buffer;
let round = 0;

beforeAll(async () => {
  packhouse = await startPackhouse();
});
beforeEach(async () => {
  far = await startAptSite();
  round += 1;
  alpha = buildDeb({ control: { Package: "alpha", Version: "1", Description: `of round ${round}` } });
  far.add("alpha_1_amd64.deb", alpha);
  far.index();
  return () => far.close();
});
afterAll(() => packhouse.remove());

/** A repo that has taken over the upstream at that address, on demand, published; answers its name. */
async function repoOf(path: string): Promise<string> {
  const name = `r${round}`;
  const upstream = { name: `u${round}`, type: "apt", path, series: ["stable"], policy: "on_demand" };
  expect((await packhouse.call("POST", "/upstream", upstream)).status).toBe(201);
  const { job } = (await packhouse.call("GET", `/upstream/u${round}`)).body;
  expect((await packhouse.call("GET", `${job}?wait=25`)).body).toMatchObject({ state: "done", errors: [] });
  expect((await packhouse.call("POST", "/repo", { name, type: "apt" })).status).toBe(201);
  const sync = { sync: { name: `u${round}`, type: "upstream" } };
  expect((await packhouse.call("PUT", `/repo/${name}/packages`, sync)).status).toBe(200);
  const published = async () => (await packhouse.call("GET", `/repo/${name}`)).body.published_commit === 1;
  expect(await waitFor(published, 20_000)).toBe(true);
  return name;
}

const ask = (path: string, init: RequestInit = {}) => fetch(`${packhouse.url}${path}`, { redirect: "manual", ...init });
const poolPath = (repo: string) => `/apt/${repo}/pool/${sha256Of(alpha)}/alpha_1_amd64.deb`;
const blobPath = () => `/blobs/${sha256Of(alpha).slice(0, 2)}/${sha256Of(alpha)}/alpha_1_amd64.deb`;

/** The upstream behind a password, which is all that stands in the way. */
async function guarded(isUp: () => boolean = () => true) {
  const expected = `Basic ${Buffer.from("reader:s3cr3t").toString("base64")}`;
  return openUpstream(async (request, response) => {
    if (request.headers.authorization !== expected) return void response.writeHead(401).end();
    if (!isUp()) return void response.writeHead(503).end();
    const answer = await fetch(`${far.url}${request.url}`);
    response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()));
  });
}

test("a file is the upstream's while it is not ours; asking for it makes it ours, and changes no commit", async () => {
  const repo = await repoOf(far.url);
  far.asked();
  const first = await ask(poolPath(repo));
  expect([first.status, first.headers.get("location"), first.headers.get("cache-control")]).toEqual([
    302,
    `${far.url}/pool/alpha_1_amd64.deb`,
    "no-store",
  ]);
  expect(await waitFor(async () => (await ask(poolPath(repo))).status === 200, 20_000)).toBe(true);
  const ours = await ask(poolPath(repo));
  expect(Buffer.from(await ours.arrayBuffer())).toEqual(alpha);
  expect(ours.headers.get("cache-control")).toContain("immutable");
  expect(far.asked()).toEqual(["pool/alpha_1_amd64.deb"]);
  expect((await packhouse.call("GET", `/repo/${repo}`)).body).toMatchObject({ commit: 1, published_commit: 1 });
});

test("behind a password 50 clients at once get it from us, after one download, and none sees the password", async () => {
  const guard = await guarded();
  const repo = await repoOf(guard.origin.replace("//", "//reader:s3cr3t@"));
  guard.requests.length = 0;
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask(poolPath(repo))));
  const waited = answers.filter(({ status }) => status === 302);
  expect(waited.length).toBeGreaterThan(0);
  for (const { headers } of waited) {
    expect([headers.get("location"), headers.get("cache-control")]).toEqual([
      `${packhouse.url}${blobPath()}`,
      "no-store",
    ]);
  }
  // Who comes when the copy has ended has it at once.
  for (const answer of answers.filter(({ status }) => status !== 302)) {
    expect(answer.status).toBe(200);
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(alpha);
  }
  for (const { headers } of answers) expect(JSON.stringify([...headers])).not.toMatch(/s3cr3t|reader/);
  expect(guard.requests.map(({ line }) => line)).toEqual(["GET /pool/alpha_1_amd64.deb"]);
  expect(Buffer.from(await (await fetch(`${packhouse.url}${poolPath(repo)}`)).arrayBuffer())).toEqual(alpha);
});

test("an upstream that is away for a moment costs a client that moment", async () => {
  let up = true;
  const guard = await guarded(() => up);
  const repo = await repoOf(guard.origin.replace("//", "//reader:s3cr3t@"));
  up = false;
  guard.requests.length = 0;
  const answer = ask(poolPath(repo));
  expect(await waitFor(async () => guard.requests.length > 0, 10_000)).toBe(true);
  up = true;
  expect((await answer).headers.get("location")).toBe(`${packhouse.url}${blobPath()}`);
});

test("a file that is gone upstream is gone for the client too; the index's hash guards what comes instead", async () => {
  const repo = await repoOf(far.url);
  far.remove("alpha_1_amd64.deb");
  expect((await fetch(`${packhouse.url}${poolPath(repo)}`)).status).toBe(404);
  far.add("alpha_1_amd64.deb", Buffer.from("something else"));
  expect(await (await fetch(`${packhouse.url}${poolPath(repo)}`)).text()).toBe("something else");
  expect((await ask(blobPath())).status).toBe(404);
});

test("what is asked for at a commit, by a name or by a hash, is found there alone", async () => {
  const repo = await repoOf(far.url);
  const index = Buffer.from(
    await (await fetch(`${packhouse.url}/apt/${repo}/dists/stable/main/binary-amd64/Packages.gz`)).arrayBuffer(),
  );
  const byHash = `dists/stable/main/binary-amd64/by-hash/SHA256/${sha256Of(index)}`;
  // So it never becomes ours: a blob of ours answers whatever the commit.
  far.remove("alpha_1_amd64.deb");
  for (const ref of ["", "@1", "@latest", "%40latest"]) {
    const found = await ask(`/apt/${repo}${ref}/${byHash}`);
    expect([ref, found.status, Buffer.from(await found.arrayBuffer()).equals(index)]).toEqual([ref, 200, true]);
    expect([ref, (await ask(poolPath(`${repo}${ref}`))).status]).toEqual([ref, 302]);
  }
  expect((await ask(poolPath(`${repo}@0`))).status).toBe(404);
  expect((await ask(poolPath(`${repo}@spring`))).status).toBe(404);
});

test("every answer says how long it lasts, and is not run by a browser", async () => {
  const repo = await repoOf(far.url);
  const release = `/apt/${repo}@1/dists/stable/Release`;
  const etag = (await ask(release)).headers.get("etag") ?? "";
  const pointer = `/apt/${repo}/dists/stable/InRelease`;
  const asked: [string, RequestInit, number][] = [
    [pointer, {}, 200],
    [pointer, { headers: { range: "bytes=0-3" } }, 206],
    [pointer, { headers: { range: "bytes=999999-" } }, 416],
    [pointer, { headers: { "if-none-match": (await ask(pointer)).headers.get("etag") ?? "" } }, 304],
    [release, {}, 200],
    [release, { method: "HEAD" }, 200],
    [release, { headers: { "if-none-match": etag } }, 304],
    [release, { headers: { "if-none-match": `"other", W/${etag}` } }, 304],
    [release, { headers: { "if-none-match": '"other"' } }, 200],
    [poolPath(repo), {}, 302],
    [poolPath(repo), { method: "HEAD" }, 302],
    [`/apt/${repo}/nothing`, {}, 404],
    [`/apt/${repo}/pool/${sha256Of("other")}/a.deb`, {}, 404],
    [`/blobs/00/${sha256Of("other")}`, {}, 404],
    [pointer, { method: "POST" }, 405],
  ];
  for (const [path, init, status] of asked) {
    const answer = await ask(path, init);
    const body = await answer.text();
    const { headers } = answer;
    expect([path, init, answer.status]).toEqual([path, init, status]);
    expect([path, headers.get("cache-control") === null]).toEqual([path, false]);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("content-security-policy")).toBe("sandbox");
    if ([302, 304].includes(status) || init.method === "HEAD") expect(body).toBe("");
  }
});
