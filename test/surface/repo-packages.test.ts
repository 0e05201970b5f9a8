import { afterAll, beforeAll, expect, test } from "vitest";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";

let packhouse: TestPackhouse;
const hashes: Record<string, string> = {};

beforeAll(async () => {
  packhouse = await startPackhouse();
  for (const [name, version] of [
    ["alpha", "1.0-1"],
    ["alpha", "2.0~rc1-1"],
    ["beta", "1:1.0+git-2"],
  ] as const) {
    const bytes = buildDeb({ control: { Package: name, Version: version, Depends: "libc6 (>= 2.34)" } });
    const file = `${name}_${version.replace(/^\d+:/, "")}_amd64.deb`;
    expect((await packhouse.upload(`/packages/${name}/debian/bookworm/amd64/${file}`, bytes)).state).toBe("done");
    const listing = await packhouse.call("GET", `/packages/${name}/debian/bookworm/amd64/`);
    hashes[`${name} ${version}`] = listing.body[file].sha256;
  }
});
afterAll(() => packhouse.remove());

function hash(of: string): string {
  const found = hashes[of];
  if (found === undefined) throw new Error(`no ${of}`);
  return found;
}

let repos = 0;
async function newRepo(settings: object = {}): Promise<string> {
  repos += 1;
  const name = `set-${repos}`;
  expect((await packhouse.call("POST", "/repo", { name, type: "apt", ...settings })).status).toBe(201);
  return name;
}

async function namesIn(name: string): Promise<string[]> {
  const { body } = await packhouse.call("GET", `/repo/${name}/packages`);
  return Object.values<{ name: string; version: string }>(body)
    .map((one) => `${one.name} ${one.version}`)
    .sort();
}

test("a map sets the packages in one commit, and what GET gave changes nothing", async () => {
  const name = await newRepo();
  const set = { [hash("alpha 1.0-1")]: { name: "alpha", version: "1.0-1" }, [hash("beta 1:1.0+git-2")]: {} };
  const put = await packhouse.call("PUT", `/repo/${name}/packages`, set);
  expect([put.status, put.body]).toEqual([200, { commit: 1, packages: 2 }]);
  const got = await packhouse.call("GET", `/repo/${name}/packages`);
  expect(got.body[hash("beta 1:1.0+git-2")]).toEqual({
    name: "beta",
    filename: "beta_1.0+git-2_amd64.deb",
    shasum: hash("beta 1:1.0+git-2"),
    version: "1:1.0+git-2",
    architecture: "amd64",
    size: expect.any(Number),
    places: [{ suite: "stable", component: "main" }],
  });
  const again = await packhouse.call("PUT", `/repo/${name}/packages`, got.body);
  expect([again.status, again.body.commit]).toEqual([200, 1]);
  expect((await packhouse.call("PUT", `/repo/${name}/packages`, {})).body).toEqual({ commit: 2, packages: 0 });
});

test("places in a map put one package into several suites", async () => {
  const name = await newRepo();
  const places = [
    { suite: "bookworm", component: "main" },
    { suite: "trixie", component: "extra" },
  ];
  const put = await packhouse.call("PUT", `/repo/${name}/packages`, { [hash("alpha 1.0-1")]: { places } });
  expect(put.body).toEqual({ commit: 1, packages: 2 });
  const { body } = await packhouse.call("GET", `/repo/${name}/packages`);
  expect(body[hash("alpha 1.0-1")].places).toEqual(places);
  await packhouse.call("PUT", `/repo/${name}/packages`, { [hash("alpha 1.0-1")]: { places: [places[1]] } });
  expect((await packhouse.call("GET", `/repo/${name}/packages`)).body[hash("alpha 1.0-1")].places).toEqual([places[1]]);
});

test("unknown hashes and contradictions are refused, and nothing is changed", async () => {
  const name = await newRepo();
  const unknown = "0".repeat(64);
  const refused = await packhouse.call("PUT", `/repo/${name}/packages`, { [unknown]: {}, [hash("alpha 1.0-1")]: {} });
  expect([refused.status, refused.body.unknown]).toEqual([422, [unknown]]);
  for (const wrong of [{ name: "alfa" }, { version: "1.0-2" }, { filename: "a.deb" }]) {
    const answer = await packhouse.call("PUT", `/repo/${name}/packages`, { [hash("alpha 1.0-1")]: wrong });
    expect([answer.status, answer.body.detail]).toEqual([422, expect.stringContaining(Object.values(wrong)[0] ?? "")]);
  }
  expect((await packhouse.call("PUT", `/repo/${name}/packages`, { nonsense: {} })).status).toBe(400);
  expect((await packhouse.call("GET", `/repo/${name}`)).body.commit).toBe(0);
});

test("a patch adds and removes and leaves the rest", async () => {
  const name = await newRepo();
  await packhouse.call("PUT", `/repo/${name}/packages`, { [hash("alpha 1.0-1")]: {}, [hash("beta 1:1.0+git-2")]: {} });
  const patch = { add: { [hash("alpha 2.0~rc1-1")]: {} }, remove: [hash("alpha 1.0-1")] };
  expect((await packhouse.call("PATCH", `/repo/${name}/packages`, patch)).body).toEqual({ commit: 2, packages: 2 });
  expect(await namesIn(name)).toEqual(["alpha 2.0~rc1-1", "beta 1:1.0+git-2"]);
  expect((await packhouse.call("PATCH", `/repo/${name}/packages`, { remove: [hash("alpha 1.0-1")] })).status).toBe(422);
});

test("If-Match guards against lost updates", async () => {
  const name = await newRepo();
  const url = `${packhouse.url}/repo/${name}/packages`;
  const put = (tag: string) =>
    fetch(url, {
      method: "PUT",
      headers: { authorization: `Bearer ${packhouse.folder.rootToken}`, "if-match": tag },
      body: JSON.stringify({ [hash("alpha 1.0-1")]: {} }),
    });
  expect((await put('"7"')).status).toBe(412);
  const tag = (await fetch(url)).headers.get("etag") ?? "";
  expect((await put(tag)).status).toBe(200);
  expect((await put(tag)).status).toBe(412);
  expect((await put("7")).status).toBe(400);
});

test("a repo takes over another's head in one commit, and types must match", async () => {
  const source = await newRepo();
  await packhouse.call("PUT", `/repo/${source}/packages`, { [hash("alpha 1.0-1")]: {} });
  const name = await newRepo();
  const sync = { sync: { name: source, type: "repo" } };
  expect((await packhouse.call("PUT", `/repo/${name}/packages`, sync)).body).toEqual({ commit: 1, packages: 1 });
  expect(await namesIn(name)).toEqual(["alpha 1.0-1"]);
  await packhouse.call("POST", "/repo", { name: "of-rpms", type: "yum" });
  expect((await packhouse.call("PUT", "/repo/of-rpms/packages", sync)).status).toBe(409);
  const nothing = { sync: { name: "nothing", type: "repo" } };
  expect((await packhouse.call("PUT", `/repo/${name}/packages`, nothing)).status).toBe(404);
});

test("commits are listed, compared by version, and rolled back to", async () => {
  const name = await newRepo();
  const set = (map: object) => packhouse.call("PUT", `/repo/${name}/packages`, map);
  await set({ [hash("alpha 1.0-1")]: {} });
  await set({ [hash("alpha 2.0~rc1-1")]: {}, [hash("beta 1:1.0+git-2")]: {} });
  const { body: diff } = await packhouse.call("GET", `/repo/${name}/diff?from=1&to=2`);
  expect(diff.added.map((one: { name: string }) => one.name)).toEqual(["beta"]);
  expect(diff.upgraded.map((one: { to: { version: string } }) => one.to.version)).toEqual(["2.0~rc1-1"]);
  const { body: back } = await packhouse.call("GET", `/repo/${name}/diff?from=2&to=1`);
  expect([back.removed.length, back.downgraded.length]).toEqual([1, 1]);
  const rolled = await packhouse.call("POST", `/repo/${name}/rollback`, { commit: 1 });
  expect([rolled.status, rolled.body.number]).toEqual([200, 3]);
  expect(await namesIn(name)).toEqual(["alpha 1.0-1"]);
  const { body: commits } = await packhouse.call("GET", `/repo/${name}/commits`);
  expect(commits.map((one: { number: number }) => one.number)).toEqual([3, 2, 1, 0]);
  expect((await packhouse.call("GET", `/repo/${name}/commits/1`)).body.tree).toBe(commits[0].tree);
  expect((await packhouse.call("GET", `/repo/${name}/commits/9`)).status).toBe(404);
});

test("a package tells what it is and which repos hold it", async () => {
  const name = await newRepo();
  await packhouse.call("PUT", `/repo/${name}/packages`, { [hash("beta 1:1.0+git-2")]: {} });
  const { body } = await packhouse.call("GET", `/package/${hash("beta 1:1.0+git-2")}`);
  expect(body).toMatchObject({ name: "beta", version: "1:1.0+git-2", format: "deb", depends: ["libc6 (>= 2.34)"] });
  expect(body.repos[name]).toBe(`${packhouse.url}/repo/${name}`);
  await packhouse.call("PUT", `/repo/${name}/packages`, {});
  expect((await packhouse.call("GET", `/package/${hash("beta 1:1.0+git-2")}`)).body.repos[name]).toBeUndefined();
  expect((await packhouse.call("GET", `/package/${"0".repeat(64)}`)).status).toBe(404);
  const all = await packhouse.call("GET", "/package");
  expect(Object.keys(all.body).sort()).toEqual(Object.values(hashes).sort());
});
