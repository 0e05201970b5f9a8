import { expect, test } from "vitest";
import { type Sha256, sha256Of } from "../../shared/blob.ts";
import { headOf } from "../../shared/commit.ts";
import { putPackage } from "../../shared/package.ts";
import { takeOver } from "../../shared/repo/change.ts";
import { pageOfEveryPackage } from "../../shared/repo/every-package.ts";
import { type Listed, pageOfPackages } from "../../shared/repo/listing.ts";
import type { QueryOptions } from "../../shared/store/dynamo.ts";
import { type MemoryContext, memoryContext } from "../support/memory-context.ts";
import { BY, debEntry, fileEntry, hold, newRepo, newUpstream, rpmEntry, sourceEntry } from "../support/memory-sets.ts";

async function everyPage(ctx: MemoryContext): Promise<Sha256[][]> {
  const pages: Sha256[][] = [];
  let after: Sha256 | undefined;
  do {
    const { packages, next } = await pageOfEveryPackage(ctx, after);
    pages.push([...packages]);
    after = next;
  } while (after !== undefined);
  return pages;
}

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => debEntry(`p${from + index}`, { holds: `deb ${from + index}` }));
const hashesOf = (entries: readonly { files: readonly { sha256: Sha256 }[] }[]) =>
  entries.map(({ files }) => files[0]?.sha256 ?? expect.fail());

/** 5,000 debs in an upstream, a half of them with 500 others in a repo, 300 of those and 900 others parsed by us. */
async function filled() {
  const ctx = memoryContext();
  const upstream = await newUpstream(ctx, "apt", "theirs");
  await hold(ctx, upstream, numbered(0, 5000));
  const repo = await newRepo(ctx, "apt", "ours");
  await hold(ctx, repo, [
    ...numbered(2500, 5500),
    debEntry("p1", { suite: "next", holds: "deb 1" }),
    sourceEntry("source"),
  ]);
  await hold(ctx, await newUpstream(ctx, "yum", "rpms"), [rpmEntry("rpm")]);
  await hold(ctx, await newRepo(ctx, "dir", "files"), [fileEntry("a/b", "file")]);
  const parsed = [
    ...hashesOf(numbered(5200, 5500)),
    ...Array.from({ length: 900 }, (_, index) => sha256Of(`file ${index}`)),
  ];
  for (const sha256 of parsed) {
    await putPackage(ctx, { format: "file" }, { sha256, sizeBytes: 1, filename: "x", heldBy: "" });
  }
  const held = hashesOf([...numbered(0, 5500), sourceEntry("source"), rpmEntry("rpm"), fileEntry("a/b", "file")]);
  return { ctx, upstream, repo, all: [...new Set([...held, ...parsed])].sort() };
}

test("the pages hold every package once, in the order of hashes, whoever holds it; tarballs belong to their .dsc", async () => {
  const { ctx, all } = await filled();
  const pages = await everyPage(ctx);
  expect(pages.flat()).toEqual(all);
  expect(pages.map((page) => page.length)).toEqual([1000, 1000, 1000, 1000, 1000, 1000, 403]);
});

test("a page reads each distinct tree's root, and of their leaves those that reach into it, each once", async () => {
  const { ctx, upstream } = await filled();
  for (const name of ["one", "two", "three"]) await takeOver(ctx, await newRepo(ctx, "apt", name), upstream, BY);
  const after = (await pageOfEveryPackage(ctx)).next;
  ctx.blobs.reads.length = 0;
  await pageOfEveryPackage(ctx, after);
  // Of six trees four are distinct; their leaves are 25.
  expect(ctx.blobs.reads.length).toBeLessThanOrEqual(4 + 9);
  expect(new Set(ctx.blobs.reads).size).toBe(ctx.blobs.reads.length);
});

test("a page behind a hash reads of a repo only what it tells", async () => {
  const { ctx, upstream } = await filled();
  const head = await headOf(ctx, upstream);
  const all = hashesOf(numbered(0, 5000)).sort();
  ctx.blobs.reads.length = 0;
  const page = await pageOfPackages(ctx, "apt", head, { after: all[3000], most: 1000, wanted: () => true });
  expect(page.packages.map(({ sha256 }) => sha256)).toEqual(all.slice(3001, 4001));
  expect(page.next).toBe(all[4000]);
  expect(ctx.blobs.reads.length).toBeLessThan(1 + 12);
  const last = await pageOfPackages(ctx, "apt", head, { after: all[4000], most: 1000, wanted: () => true });
  expect([last.packages.length, last.next]).toEqual([999, undefined]);
});

test("pages of a query that end early, as a table's do after so many bytes, hide nothing that trees hold", async () => {
  const { ctx, all } = await filled();
  const { query } = ctx.table;
  Object.assign(ctx.table, {
    query: (partition: string, options: QueryOptions = {}) =>
      query(partition, partition.startsWith("packages#") ? { ...options, limit: 2 } : options),
  });
  expect((await everyPage(ctx)).flat()).toEqual(all);
});

test("pages of what is wanted leave nothing out, wherever leaves and pages end", async () => {
  const ctx = memoryContext();
  const upstream = await newUpstream(ctx, "apt", "theirs");
  const suites = ["a", "b", "c", "d", "e"];
  const entries = Array.from({ length: 900 }, (_, index) =>
    suites.map((suite) => debEntry(`p${index}`, { suite, holds: `deb ${index}` })),
  ).flat();
  const head = await hold(ctx, upstream, entries);
  for (const [most, every] of [
    [1000, 1],
    [70, 1],
    [20, 7],
    [3, 400],
  ] as const) {
    const wanted = ({ name }: { name: string }) => Number(name.slice(1)) % every === 0;
    const found: Listed[] = [];
    let after: Sha256 | undefined;
    do {
      const page = await pageOfPackages(ctx, "apt", head, { after, most, wanted, mostLeaves: 2 });
      expect(page.packages.length).toBeLessThanOrEqual(most);
      found.push(...page.packages);
      after = page.next;
    } while (after !== undefined);
    expect(found.map(({ sha256 }) => sha256)).toEqual(
      [...new Set(hashesOf(entries))].filter((_, index) => index % every === 0).sort(),
    );
    for (const { places } of found) expect(places).toHaveLength(suites.length);
  }
});
