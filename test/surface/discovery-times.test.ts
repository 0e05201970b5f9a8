import { afterAll, beforeAll, expect, test } from "vitest";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { announced, ask, sha256 } from "../support/surface-requests.ts";

let packhouse: TestPackhouse;
beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

/** When each level of a path, and its leaf, was last updated. */
async function timesOf(path: string): Promise<string[]> {
  const segments = path.split("/");
  const listings = segments.map((_, depth) => packhouse.call("GET", `/packages/${segments.slice(0, depth).join("/")}`));
  return (await Promise.all(listings)).map(({ body }, depth) => body[segments[depth] ?? ""].last_updated_at);
}

test("a hundred uploads at once to one package lose none of it, and all levels tell the time of the last", async () => {
  const folder = "/packages/hot/debian/bookworm/amd64";
  const debs = Array.from({ length: 100 }, (_, n) => buildDeb({ control: { Package: "hot", Version: String(n) } }));
  await Promise.all(debs.map((deb, n) => packhouse.upload(`${folder}/hot_${n}.deb`, deb)));
  const leaves = async () => Object.entries<Record<string, string>>((await packhouse.call("GET", folder)).body);
  await expect
    .poll(async () => (await leaves()).filter(([, { state }]) => state === "stored").length, { timeout: 50_000 })
    .toBe(100);
  const found = await leaves();
  const wanted = debs.map((deb, n) => [`hot_${n}.deb`, sha256(deb)]);
  expect(Object.fromEntries(found.map(([name, leaf]) => [name, leaf.sha256]))).toEqual(Object.fromEntries(wanted));
  const newest = found
    .map(([, leaf]) => leaf.last_updated_at ?? "")
    .sort()
    .at(-1);
  await expect
    .poll(async () => (await timesOf("hot/debian/bookworm/amd64/hot_0.deb")).slice(0, 4), { timeout: 20_000 })
    .toEqual(Array(4).fill(newest));
});

test("bytes that are known already move the time of what they lie below", async () => {
  const bytes = buildDeb({ control: { Package: "linked" } });
  await packhouse.upload("/packages/linked/debian/sid/amd64/first.deb", bytes);
  const before = await timesOf("linked/debian/sid/amd64/first.deb");
  const asked = await ask(packhouse, "linked/debian/sid/amd64/second.deb", announced(bytes));
  expect(asked.body.upload).toBeNull();
  await packhouse.call("GET", `${asked.body.job}?wait=25`);
  const after = await timesOf("linked/debian/sid/amd64/second.deb");
  expect(after).toEqual(Array(5).fill(after[4]));
  expect((after[0] ?? "") > (before[0] ?? "")).toBe(true);
});

test("to announce other bytes moves no time until they are here", async () => {
  const path = "replaced/debian/sid/amd64/a.deb";
  await packhouse.upload(`/packages/${path}`, buildDeb({ control: { Package: "replaced", Version: "1" } }));
  const before = await timesOf(path);
  expect(new Set(before).size).toBe(1);
  const next = buildDeb({ control: { Package: "replaced", Version: "2" } });
  await ask(packhouse, path, { ...announced(next), force: true });
  expect(await timesOf(path)).toEqual(before);
  await packhouse.upload(`/packages/${path}`, next, { force: true });
  const after = await timesOf(path);
  expect(new Set(after).size).toBe(1);
  expect((after[0] ?? "") > (before[0] ?? "")).toBe(true);
});
