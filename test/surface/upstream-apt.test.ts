import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { type AptSite, startAptSite } from "../support/upstream-apt-site.ts";
import { upstreamsOf } from "../support/upstream-sync.ts";

let packhouse: TestPackhouse;
let site: AptSite;
let alpha: Buffer;
let round = 0;

/** Other bytes for each test: what is stored already is not fetched again. */
function deb(control: Record<string, string>): Buffer {
  return buildDeb({ control: { ...control, Description: `of round ${round}` } });
}

beforeAll(async () => {
  packhouse = await startPackhouse();
});
beforeEach(async () => {
  site = await startAptSite();
  round += 1;
  alpha = deb({ Package: "alpha", Version: "1:1.0+b1-1", Section: "misc" });
  site.add("alpha_1.0+b1-1_amd64.deb", alpha);
  site.add("beta_2.0~rc1_all.deb", deb({ Package: "beta", Version: "2.0~rc1", Architecture: "all" }));
  site.index();
  return () => site.close();
});
afterAll(() => packhouse.remove());

const upstreams = upstreamsOf(() => packhouse);
const { ended, names: namesOf } = upstreams;
const made = (settings: object = {}) => upstreams.make(site.url, settings);

test("an upstream is synced with its files, and synced again with what came and went", async () => {
  const name = await made();
  const job = await ended(name);
  expect(job).toMatchObject({ state: "done", commit: 1, packages: { done: 2, total: 2 }, errors: [], restarts: 0 });
  expect(job.bytes.total).toBeGreaterThan(alpha.length);
  expect(job.bytes.done).toBe(job.bytes.total);
  expect(job.rate).toBeGreaterThan(0);
  expect(await namesOf(name)).toEqual(["alpha", "beta"]);
  expect((await packhouse.call("GET", `/blobs/${sha256Of(alpha).slice(0, 2)}/${sha256Of(alpha)}/a.deb`)).status).toBe(
    200,
  );
  site.add("gamma_3_amd64.deb", deb({ Package: "gamma", Version: "3" }));
  site.remove("beta_2.0~rc1_all.deb");
  site.index();
  site.asked();
  expect((await packhouse.call("PUT", `/upstream/${name}`, {})).status).toBe(202);
  expect(await ended(name)).toMatchObject({ state: "done", commit: 2 });
  expect(await namesOf(name)).toEqual(["alpha", "gamma"]);
  expect(site.asked().filter((path) => path.startsWith("pool/"))).toEqual(["pool/gamma_3_amd64.deb"]);
});

test("a repo takes over the upstream, follows it, and serves the upstream's own stanzas", async () => {
  const name = await made();
  await ended(name);
  await packhouse.call("POST", "/repo", { name: `of-${name}`, type: "apt" });
  const sync = { sync: { name, type: "upstream" } };
  expect((await packhouse.call("PUT", `/repo/of-${name}/packages`, sync)).body).toEqual({ commit: 1, packages: 2 });
  const { tree } = (await packhouse.call("GET", `/upstream/${name}/commits`)).body[0];
  expect((await packhouse.call("GET", `/repo/of-${name}/commits/1`)).body.tree).toBe(tree);
});

test("nothing new upstream: no commit, and one request", async () => {
  const name = await made();
  await ended(name);
  // apt-ftparchive signs nothing: InRelease is asked for first, and is not there.
  site.asked();
  await packhouse.call("PUT", `/upstream/${name}`, {});
  expect(await ended(name)).toMatchObject({ state: "done", commit: 1 });
  expect(site.asked()).toEqual(["dists/stable/InRelease", "dists/stable/Release"]);
});

test.each([
  [
    "an index that is not what its Release says",
    "dists/stable/main/binary-amd64/Packages.gz",
    { status: 200, body: "x" },
  ],
  ["a Release that is none", "dists/stable/Release", { status: 200, body: "<html>" }],
  ["a package with other bytes", "pool/alpha_1.0+b1-1_amd64.deb", { status: 200, body: "other" }],
  ["a package that is gone", "pool/beta_2.0~rc1_all.deb", { status: 404 }],
])("%s ends the job, which says where, and nothing is committed", async (_, path, fault) => {
  site.faults.set(path, fault);
  const name = await made();
  const job = await ended(name);
  expect(job.state).toBe("failed");
  expect(JSON.stringify(job.errors)).toContain(path.split("/").at(-1)?.replace("Packages.gz", "Packages"));
  expect((await packhouse.call("GET", `/upstream/${name}`)).body).toMatchObject({ commit: 0, packages: 0 });
  site.faults.clear();
  await packhouse.call("PUT", `/upstream/${name}`, {});
  expect(await ended(name)).toMatchObject({ state: "done", commit: 1 });
});

test("another compression is taken where the first is not there, and names are filtered", async () => {
  site.faults.set("dists/stable/main/binary-amd64/Packages.gz", { status: 404 });
  const name = await made({ include: ["a*", "g*"], exclude: ["g?mma"] });
  expect(await ended(name)).toMatchObject({ state: "done" });
  expect(await namesOf(name)).toEqual(["alpha"]);
});

test("a name is one for repos and upstreams; any path is taken, and an unusable one is the job's error", async () => {
  const name = await made({ path: "poop" });
  expect(await ended(name)).toMatchObject({ state: "failed", errors: [{ message: expect.stringContaining("poop") }] });
  expect((await packhouse.call("POST", "/repo", { name, type: "apt" })).status).toBe(409);
  expect((await packhouse.call("POST", "/upstream", { name, type: "apt", path: "x" })).status).toBe(409);
  expect((await packhouse.call("DELETE", `/upstream/${name}`)).status).toBe(200);
  expect((await packhouse.call("GET", `/upstream/${name}`)).status).toBe(404);
});

test("credentials in the path are used and never shown", async () => {
  const name = await made({ path: site.url.replace("http://", "http://someone:secret@") });
  expect(await ended(name)).toMatchObject({ state: "done" });
  const { body } = await packhouse.call("GET", `/upstream/${name}`);
  expect(JSON.stringify([body, await ended(name)])).not.toContain("secret");
});
