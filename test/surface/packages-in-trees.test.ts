import { afterAll, beforeAll, expect, test } from "vitest";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { smallKey } from "../support/small-key.ts";
import { aptPackages, sha256 } from "../support/surface-requests.ts";
import { type AptSite, startAptSite } from "../support/upstream-apt-site.ts";

let packhouse: TestPackhouse;
let site: AptSite;

const deb = (name: string, more: object = {}) => buildDeb({ control: { Package: name, Version: "1:1.0-1", ...more } });
const ALPHA = deb("alpha", {
  "Pre-Depends": "dpkg (>= 1.17)",
  Depends: "libc6 (>= 2.34), x | y",
  Provides: "a-lpha (= 1)",
});
const BETA = deb("beta");
const alpha = sha256(ALPHA);
const beta = sha256(BETA);

beforeAll(async () => {
  [packhouse, site] = await Promise.all([startPackhouse(), startAptSite()]);
  site.add("alpha_1.0-1_amd64.deb", ALPHA);
  site.add("beta_1.0-1_amd64.deb", BETA);
  site.index();
  await follow("theirs");
});
afterAll(() => Promise.all([packhouse.remove(), site.close()]));

/** An upstream of the site, synced. */
async function follow(name: string, settings: object = {}): Promise<void> {
  const body = { name, type: "apt", path: site.url, series: ["stable"], ...settings };
  expect((await packhouse.call("POST", "/upstream", body)).status).toBe(201);
  const { job } = (await packhouse.call("GET", `/upstream/${name}`)).body;
  expect((await packhouse.call("GET", `${job}?wait=25`)).body).toMatchObject({ state: "done" });
}

async function newRepo(name: string, settings: object = {}): Promise<string> {
  const body = { name, type: "apt", ...(await smallKey()), ...settings };
  expect((await packhouse.call("POST", "/repo", body)).status).toBe(201);
  return `/repo/${name}/packages`;
}

const about = async (hash: string) => (await packhouse.call("GET", `/package/${hash}`)).body;

test("a package that only an upstream has is told from its own stanza, and listed among all", async () => {
  expect(await about(alpha)).toEqual({
    name: "alpha",
    filename: "alpha_1.0-1_amd64.deb",
    shasum: alpha,
    version: "1:1.0-1",
    format: "deb",
    architecture: "amd64",
    size: ALPHA.length,
    depends: ["dpkg (>= 1.17)", "libc6 (>= 2.34)", "x | y"],
    provides: ["a-lpha (= 1)"],
    url: `${packhouse.url}/blobs/${alpha.slice(0, 2)}/${alpha}/alpha_1.0-1_amd64.deb`,
    upstreams: { theirs: `${packhouse.url}/upstream/theirs` },
    repos: {},
  });
  const { url } = await about(alpha);
  expect(sha256(Buffer.from(await (await fetch(url)).arrayBuffer()))).toBe(alpha);
  const all = await packhouse.call("GET", "/package");
  expect(all.body).toMatchObject({ [alpha]: `${packhouse.url}/package/${alpha}`, [beta]: expect.any(String) });
});

test("who holds it is exact right after a PUT, a PATCH, a sync and a DELETE", async () => {
  const one = await newRepo("one");
  const [first, second] = [await newRepo("first"), await newRepo("second")];
  const repos = async () => Object.keys((await about(alpha)).repos).sort();
  expect((await packhouse.call("PUT", one, { [alpha]: {}, [beta]: {} })).body).toEqual({ commit: 1, packages: 2 });
  expect(await repos()).toEqual(["one"]);
  await packhouse.call("PUT", first, { sync: { name: "theirs", type: "upstream" } });
  await packhouse.call("PATCH", second, { add: { [alpha]: {} } });
  expect(await repos()).toEqual(["first", "one", "second"]);
  await packhouse.call("PATCH", one, { remove: [alpha] });
  expect(await repos()).toEqual(["first", "second"]);
  await packhouse.call("DELETE", "/repo/first");
  expect(await repos()).toEqual(["second"]);
  await follow("passing");
  expect(Object.keys((await about(alpha)).upstreams)).toEqual(["passing", "theirs"]);
  await packhouse.call("DELETE", "/upstream/passing");
  expect(Object.keys((await about(alpha)).upstreams)).toEqual(["theirs"]);
});

test("a package of a map that only an upstream has is served in the suite that the map names", async () => {
  const path = await newRepo("promoted");
  const places = [{ suite: "next", component: "extra" }];
  await packhouse.call("PUT", path, { [alpha]: { name: "alpha", version: "1:1.0-1", places }, [beta]: {} });
  const answer = await packhouse.call("GET", path);
  expect([answer.body[alpha].places, answer.body[beta].places]).toEqual([
    places,
    [{ suite: "stable", component: "main" }],
  ]);
  await published("promoted", 1);
  expect(await aptPackages(packhouse, "promoted", "dists/next/extra/binary-amd64")).toMatchObject([
    { name: "alpha", sha256: alpha },
  ]);
  const wrong = await packhouse.call("PUT", path, { [alpha]: { version: "2" } });
  expect([wrong.status, wrong.body.detail]).toEqual([422, expect.stringContaining("1:1.0-1")]);
});

async function published(name: string, commit: number): Promise<void> {
  await expect
    .poll(async () => (await packhouse.call("GET", `/repo/${name}`)).body.published_commit, { timeout: 20_000 })
    .toBe(commit);
}

test("bytes that are not ours yet are had from the pool of who lists them", async () => {
  const gamma = deb("gamma", { Description: "fetched by nobody" });
  site.add("gamma_1_amd64.deb", gamma);
  site.index();
  await follow("lazy", { policy: "on_demand" });
  const hash = sha256(gamma);
  const path = await newRepo("of-lazy");
  expect((await about(hash)).url).toBe(`${packhouse.url}/apt/lazy/pool/${hash}/gamma_1_amd64.deb`);
  expect((await packhouse.call("PUT", path, { [hash]: {} })).status).toBe(200);
  expect((await about(hash)).url).toBe(`${packhouse.url}/apt/of-lazy/pool/${hash}/gamma_1_amd64.deb`);
  site.remove("gamma_1_amd64.deb");
  site.index();
});

test("a map that was uploaded sets the packages by a job, which says what was wrong with one", async () => {
  const path = await newRepo("large");
  const upload = async (map: object) => {
    const bytes = Buffer.from(JSON.stringify(map));
    const at = `/packages/maps/any/1/all/map-${sha256(bytes).slice(0, 8)}.json`;
    expect((await packhouse.upload(at, bytes)).state).toBe("done");
    return sha256(bytes);
  };
  const put = async (hash: string, query = "") => packhouse.call("PUT", `${path}${query}`, { packages_blob: hash });
  const ended = async (uri: string) => (await packhouse.call("GET", `${uri}?wait=25`)).body;

  const accepted = await put(await upload({ [alpha]: {}, [beta]: { places: [{ suite: "b", component: "c" }] } }));
  expect([accepted.status, accepted.body]).toEqual([
    202,
    { uri: `${packhouse.url}/jobs/${accepted.body.job}`, job: expect.any(String) },
  ]);
  expect(await ended(accepted.body.uri)).toMatchObject({
    id: accepted.body.job,
    state: "done",
    repo: "large",
    commit: 1,
    packages: { done: 2, total: 2 },
    errors: [],
  });
  expect((await packhouse.call("GET", path)).body[beta].places).toEqual([{ suite: "b", component: "c" }]);

  const unknown = "0".repeat(64);
  const refused = await packhouse.call("PUT", path, { [unknown]: {} });
  const failed = await ended((await put(await upload({ [unknown]: {} }))).body.uri);
  expect(failed).toMatchObject({ state: "failed", errors: [{ message: refused.body.detail, unknown: [unknown] }] });
  expect((await packhouse.call("GET", "/repo/large")).body.commit).toBe(1);

  expect((await put(unknown)).status).toBe(422);
  // The bytes of a package are no file of somebody's.
  expect((await put(alpha)).status).toBe(422);
  expect((await put("x")).status).toBe(400);
});

test("what replaces other bytes needs force, in a map as in a blob", async () => {
  const other = deb("alpha", { Description: "other bytes" });
  expect((await packhouse.upload("/packages/alpha/any/1/amd64/alpha_1.0-1_amd64.deb", other)).state).toBe("done");
  const path = await newRepo("forced");
  const patch = (query: string) => packhouse.call("PATCH", `${path}${query}`, { add: { [sha256(other)]: {} } });
  await packhouse.call("PUT", path, { [alpha]: {} });
  expect((await patch("")).status).toBe(409);
  expect((await patch("?force=true")).status).toBe(200);
  expect(Object.keys((await packhouse.call("GET", path)).body)).toEqual([sha256(other)]);
});

test("several sources are merged in one commit; what they disagree on is refused unless told which to take", async () => {
  const [mine, merged] = [await newRepo("mine"), await newRepo("merged")];
  const other = deb("alpha", { Description: "of mine" });
  await packhouse.upload("/packages/alpha/any/2/amd64/alpha_1.0-1_amd64.deb", other);
  await packhouse.call("PUT", mine, { [sha256(other)]: {} });
  const sync = [
    { name: "mine", type: "repo" },
    { name: "theirs", type: "upstream" },
  ];
  const refused = await packhouse.call("PUT", merged, { sync });
  expect([refused.status, refused.body.conflicts]).toEqual([409, ["stable/main/amd64/alpha_1:1.0-1"]]);
  const put = await packhouse.call("PUT", merged, { sync, on_conflict: "first" });
  expect([put.status, put.body, put.headers.get("etag")]).toEqual([200, { commit: 1, packages: 2 }, '"1"']);
  expect(Object.keys((await packhouse.call("GET", merged)).body).sort()).toEqual([sha256(other), beta].sort());
  for (const wrong of [{ sync: [] }, { sync, on_conflict: "last" }, { sync: [{ name: "mine" }] }, { sync, x: 1 }]) {
    expect((await packhouse.call("PUT", merged, wrong)).status).toBe(400);
  }
  expect((await packhouse.call("PUT", merged, { sync: [{ name: "none", type: "repo" }] })).status).toBe(404);
});
