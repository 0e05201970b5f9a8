import { afterAll, beforeAll, expect, test } from "vitest";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { aptPackages, ended, put } from "../support/surface-requests.ts";

let packhouse: TestPackhouse;
let versions = 0;

beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

async function repo(name: string, accepts: readonly unknown[], more: object = {}) {
  const { status, body } = await packhouse.call("POST", "/repo", { name, type: "apt", accepts, ...more });
  expect([status, body]).toEqual([201, { uri: `${packhouse.url}/repo/${name}` }]);
}

/** Uploads a new version of a package to a place of the tree; the repos that took it. */
async function uploaded(name: string, place = "debian/bookworm/amd64"): Promise<Record<string, unknown>> {
  versions += 1;
  const deb = buildDeb({ control: { Package: name, Version: String(versions) } });
  const job = await packhouse.upload(`/packages/${name}/${place}/${name}_${versions}_amd64.deb`, deb);
  expect(job.state).toBe("done");
  return job.repos;
}

const names = async (repo: string, place?: string) =>
  (await aptPackages(packhouse, repo, place)).map(({ name }) => name);

test("a plain path, stars and two stars each take what they match, and nothing else", async () => {
  await repo("exact", ["one/debian/bookworm/amd64"]);
  await repo("star", ["one/debian/*/*"]);
  await repo("rest", ["one/**"]);
  await repo("every", ["*/debian/*/*"]);
  await repo("other", ["two/**"]);
  expect(Object.keys(await uploaded("one")).sort()).toEqual(["every", "exact", "rest", "star"]);
  expect(Object.keys(await uploaded("one", "debian/trixie/amd64")).sort()).toEqual(["every", "rest", "star"]);
  expect(Object.keys(await uploaded("one", "ubuntu/noble/amd64"))).toEqual(["rest"]);
  expect(Object.keys(await uploaded("three"))).toEqual(["every"]);
});

test("a plain pattern goes to the repo's own suite and component", async () => {
  await repo("own", ["own/**"], { suite: "unstable", component: "tools" });
  await uploaded("own");
  expect(await names("own", "dists/unstable/tools/binary-amd64")).toEqual(["own"]);
});

test("an object names suite and component, {release} the release", async () => {
  await repo("placed", [
    { path: "placed/debian/**", suite: "{release}", component: "extra" },
    { path: "placed/ubuntu/**", suite: "ubuntu" },
  ]);
  await uploaded("placed", "debian/bookworm/amd64");
  await uploaded("placed", "debian/trixie/amd64");
  await uploaded("placed", "ubuntu/noble/amd64");
  expect(await names("placed", "dists/bookworm/extra/binary-amd64")).toEqual(["placed"]);
  expect(await names("placed", "dists/trixie/extra/binary-amd64")).toEqual(["placed"]);
  expect(await names("placed", "dists/ubuntu/main/binary-amd64")).toEqual(["placed"]);
  expect(await names("placed")).toEqual([]);
});

test("a new repo takes in what its patterns match already, and is told by them", async () => {
  await uploaded("early");
  await uploaded("early", "debian/trixie/arm64");
  await repo("late", ["early/debian/*/*", { path: "early/debian/trixie/*", component: "new" }]);
  await expect.poll(() => names("late"), { timeout: 20_000 }).toEqual(["early", "early"]);
  expect(await names("late", "dists/stable/new/binary-amd64")).toEqual(["early"]);
  expect((await packhouse.call("GET", "/repo/late")).body.accepts).toEqual([
    "early/debian/*/*",
    { path: "early/debian/trixie/*", component: "new" },
  ]);
});

test("patterns changed through PUT take in what matches, keep what is there, and hold for what comes", async () => {
  await repo("changing", ["alpha/**"]);
  await uploaded("alpha");
  await uploaded("beta");
  const { status } = await packhouse.call("PUT", "/repo/changing", { accepts: ["beta/**"] });
  expect(status).toBe(200);
  await expect.poll(() => names("changing"), { timeout: 20_000 }).toEqual(["alpha", "beta"]);
  expect(await uploaded("alpha")).not.toHaveProperty("changing");
  expect(await uploaded("beta")).toHaveProperty("changing");
});

test("one binary that cannot go where a rule says keeps no other out", async () => {
  await uploaded("odd", "debian/8+x/amd64");
  await uploaded("even", "debian/bookworm/amd64");
  await repo("by-release", [{ path: "*/debian/*/*", suite: "{release}" }]);
  await expect
    .poll(() => names("by-release", "dists/bookworm/main/binary-amd64"), { timeout: 20_000 })
    .toContain("even");
  const job = await packhouse.upload(
    "/packages/odd/debian/8+x/amd64/odd_later.deb",
    buildDeb({ control: { Package: "odd", Version: "99" } }),
  );
  expect(job).toMatchObject({ state: "done", notes: [expect.stringContaining('"8+x" cannot be a suite')] });
});

test("bytes we had already go to the repos like new ones", async () => {
  const deb = buildDeb({ control: { Package: "known", Version: "1" } });
  await packhouse.upload("/packages/elsewhere/debian/bookworm/amd64/known_1_amd64.deb", deb);
  await repo("linked", ["known/**"]);
  const job = await packhouse.upload("/packages/known/debian/bookworm/amd64/known_1_amd64.deb", deb);
  expect(job).toMatchObject({ state: "done", repos: { linked: { commit: 1, published_commit: 1 } } });
  expect(await names("linked")).toEqual(["known"]);
});

test("a yum repo takes no deb, an apt repo no file, a directory takes both", async () => {
  await packhouse.call("POST", "/repo", { name: "yum-only", type: "yum", accepts: ["mixed/**"] });
  await packhouse.call("POST", "/repo", { name: "apt-only", type: "apt", accepts: ["mixed/**"] });
  await packhouse.call("POST", "/repo", { name: "folder", type: "dir", accepts: ["mixed/**"] });
  const takers = await uploaded("mixed", "ubuntu/noble/amd64");
  expect(Object.keys(takers).sort()).toEqual(["apt-only", "folder"]);
  const { body } = await packhouse.call("POST", "/packages/mixed/ubuntu/noble/amd64/", { name: "notes.txt" });
  await put(body.upload, Buffer.from("some notes\n"));
  expect(Object.keys((await ended(packhouse, body.job)).repos)).toEqual(["folder"]);
  const sums = await fetch(`${packhouse.url}/dir/folder/SHA256SUMS`).then((answer) => answer.text());
  expect(sums).toMatch(/^[0-9a-f]{64} {2}notes\.txt$/m);
  expect(await fetch(`${packhouse.url}/dir/folder/notes.txt`).then((answer) => answer.text())).toBe("some notes\n");
});
