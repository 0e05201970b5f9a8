import { afterAll, beforeAll, expect, test } from "vitest";
import { waitFor } from "../../shared/wait.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";

let packhouse: TestPackhouse;
let uploads = 0;

beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

async function upload(package_: string): Promise<void> {
  uploads += 1;
  const bytes = buildDeb({ control: { Package: package_, Version: `1.${uploads}` } });
  const job = await packhouse.upload(
    `/packages/${package_}/debian/bookworm/amd64/${package_}_1.${uploads}_amd64.deb`,
    bytes,
  );
  expect(job.state).toBe("done");
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  expect(await waitFor(isSo, 15_000)).toBe(true);
}

test("a removed repo is read by nobody any more, and its name can be taken again", async () => {
  const made = await packhouse.call("PUT", "/repo/brief", { type: "apt", suite: "old", accepts: ["brief/**"] });
  expect(made.status).toBe(201);
  await upload("brief");
  expect((await packhouse.call("GET", "/apt/brief/dists/old/InRelease")).status).toBe(200);
  expect((await packhouse.call("DELETE", "/repo/brief")).status).toBe(200);
  expect((await packhouse.call("DELETE", "/repo/brief")).status).toBe(404);
  expect((await packhouse.call("GET", "/repo/brief")).status).toBe(404);
  expect((await packhouse.call("GET", "/repo")).body.brief).toBeUndefined();
  for (const path of ["dists/old/InRelease", "key.asc", "dists/old/main/binary-amd64/Packages.gz"]) {
    expect([path, (await packhouse.call("GET", `/apt/brief/${path}`)).status]).toEqual([path, 404]);
  }
  // The package itself is where it was.
  expect((await packhouse.call("GET", "/packages/brief/debian/bookworm/amd64/")).status).toBe(200);
  await packhouse.call("POST", "/repo", { name: "brief", type: "apt" });
  const again = await packhouse.call("GET", "/repo/brief");
  expect(again.body).toMatchObject({ commit: 0, published_commit: 0, packages: 0, suite: "stable" });
  expect((await packhouse.call("GET", "/apt/brief/dists/stable/InRelease")).status).toBe(200);
  expect((await packhouse.call("GET", "/apt/brief/dists/old/InRelease")).status).toBe(404);
});

test("a repo that follows another takes over each of its commits, until it is told to stop", async () => {
  await packhouse.call("POST", "/repo", { name: "first", type: "apt", accepts: ["lead/**"] });
  await upload("lead");
  await packhouse.call("POST", "/repo", { name: "second", type: "apt", follow: "first" });
  const count = async () => (await packhouse.call("GET", "/repo/second")).body.packages;
  await until(async () => (await count()) === 1);
  await upload("lead");
  await until(async () => (await count()) === 2);
  const [first, second] = await Promise.all(
    ["first", "second"].map(async (name) => (await packhouse.call("GET", `/repo/${name}/commits`)).body[0].tree),
  );
  expect(second).toBe(first);
  expect((await packhouse.call("PUT", "/repo/second", { follow: null })).body.follow).toBeNull();
  await upload("lead");
  await until(async () => (await packhouse.call("GET", "/repo/first")).body.packages === 3);
  expect(await count()).toBe(2);
});

test("commits over `keep` are forgotten, but for those that clients may be reading", async () => {
  await packhouse.call("POST", "/repo", { name: "short", type: "apt", accepts: ["short/**"], keep: 1 });
  for (let round = 0; round < 6; round += 1) await upload("short");
  const { body } = await packhouse.call("GET", "/repo/short/commits");
  const numbers = body.map((one: { number: number }) => one.number);
  expect(numbers.slice(0, 4)).toEqual([6, 5, 4, 3]);
  expect(numbers).not.toContain(1);
  expect((await packhouse.call("GET", "/apt/short@3/dists/stable/InRelease")).status).toBe(200);
  expect((await packhouse.call("GET", "/apt/short@1/dists/stable/InRelease")).status).toBe(404);
});
