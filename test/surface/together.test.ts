import { afterAll, beforeAll, expect, test } from "vitest";
import { findRepo } from "../../shared/repo/repo.ts";
import { partitions } from "../../shared/store/keys.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { buildRpm } from "../support/rpm-builder.ts";
import { announced, aptPackages, ask, ended, objectsUnder, put, sha256 } from "../support/surface-requests.ts";

let packhouse: TestPackhouse;

beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

async function publications(type: "apt" | "yum", name: string): Promise<number> {
  const { table } = packhouse.context;
  const repo = await findRepo(packhouse.context, { type, name });
  return (await table.query(`publications#${repo?.id}`)).items.length;
}

test("50 uploads at once all land in the repo and share publications", async () => {
  await packhouse.call("POST", "/repo", { name: "many", type: "apt", accepts: ["*/debian/*/*"] });
  const debs = Array.from({ length: 50 }, (_, n) => buildDeb({ control: { Package: `p${n}`, Version: "1" } }));
  const before = await publications("apt", "many");
  const jobs = await Promise.all(
    debs.map((deb, n) => packhouse.upload(`/packages/p${n}/debian/bookworm/amd64/p${n}_1_amd64.deb`, deb)),
  );
  for (const job of jobs) {
    expect(job).toMatchObject({ state: "done", notes: [] });
    expect(job.repos.many?.published_commit).toBeGreaterThanOrEqual(job.repos.many?.commit ?? Number.NaN);
  }
  const found = await aptPackages(packhouse, "many");
  expect(found.map((one) => one.sha256).sort()).toEqual(debs.map(sha256).sort());
  for (const { filename, sha256: wanted } of found) {
    const got = await fetch(`${packhouse.url}/apt/many/${filename}`);
    expect(sha256(Buffer.from(await got.arrayBuffer()))).toBe(wanted);
  }
  expect((await publications("apt", "many")) - before).toBeLessThan(15);
  expect(await objectsUnder(packhouse, "incoming/")).toEqual([]);
});

test("uploads at once into a yum repo all land too, each commit from another's", async () => {
  await packhouse.call("POST", "/repo", { name: "rpms", type: "yum", accepts: ["*/centos/**"] });
  const jobs = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      packhouse.upload(`/packages/r${n}/centos/9/noarch/r${n}.rpm`, buildRpm({ name: `r${n}`, arch: "noarch" })),
    ),
  );
  expect(jobs.map(({ state }) => state)).toEqual(jobs.map(() => "done"));
  expect((await packhouse.call("GET", "/repo/rpms")).body.packages).toBe(20);
  const repo = await findRepo(packhouse.context, { type: "yum", name: "rpms" });
  const { items } = await packhouse.context.table.query(partitions.commits(repo?.id ?? ""));
  expect(items.map((item) => item.number)).toEqual(items.map((_, index) => index));
});

test("of two uploads of one name at once one is stored whole, and both are told what became of them", async () => {
  const path = "race/debian/bookworm/amd64/race_1.deb";
  const [a, b] = ["a", "b"].map((text) => buildDeb({ control: { Package: "race" }, files: { "usr/share/x": text } }));
  if (!a || !b) throw new Error("no packages");
  const asked = await Promise.all([ask(packhouse, path, announced(a)), ask(packhouse, path, announced(b))]);
  expect(asked.map(({ status }) => status)).toEqual([200, 200]);
  const sent = await Promise.all([put(asked[0]?.body.upload, a), put(asked[1]?.body.upload, b)]);
  expect(sent.map(({ status }) => status)).toEqual([200, 200]);
  const states = await Promise.all(asked.map(async ({ body }) => (await ended(packhouse, body.job)).state));
  expect(states.sort()).toEqual(["done", "superseded"]);
  const got = await fetch(`${packhouse.url}/packages/${path}`);
  expect([sha256(a), sha256(b)]).toContain(sha256(Buffer.from(await got.arrayBuffer())));
  await expect.poll(() => objectsUnder(packhouse, "incoming/"), { timeout: 10_000 }).toEqual([]);
});

test("the same bytes sent twice at once under one name end stored", async () => {
  const path = "retry/debian/bookworm/amd64/retry_1.deb";
  const deb = buildDeb({ control: { Package: "retry" } });
  const jobs = await Promise.all([1, 2, 3].map(() => packhouse.upload(`/packages/${path}`, deb)));
  expect(jobs.map(({ state }) => state)).toContain("done");
  expect(jobs.filter(({ state }) => state !== "done" && state !== "superseded")).toEqual([]);
  const got = await fetch(`${packhouse.url}/packages/${path}`);
  expect(sha256(Buffer.from(await got.arrayBuffer()))).toBe(sha256(deb));
});

test("of many who make one repo at once one makes it, the others are told that it is there", async () => {
  const made = await Promise.all(
    Array.from({ length: 8 }, () => packhouse.call("POST", "/repo", { name: "contested", type: "apt" })),
  );
  expect(made.map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 7 }, () => 409)]);
  expect((await packhouse.call("GET", "/repo/contested")).body).toMatchObject({ commit: 0, published_commit: 0 });
});

test("of many who make one level at once one makes it", async () => {
  const made = await Promise.all(
    Array.from({ length: 8 }, () => packhouse.call("POST", "/packages", { name: "contested" })),
  );
  expect(made.map(({ status }) => status).sort()).toEqual([200, ...Array.from({ length: 7 }, () => 400)]);
});
