import { rmSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeEach, expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { readCarried } from "../../shared/tree/carried.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { openSyncBench, type SyncBench } from "../support/sync-memory.ts";
import { type AptSite, type IndexOptions, startAptSite } from "../support/upstream-apt-site.ts";
import { openFetcher } from "../support/upstream-site.ts";

let site: AptSite;
let bench: SyncBench;

const TRANSLATIONS = ["main/i18n/Translation-de_DE.gz", "main/i18n/Translation-en", "main/i18n/Translation-en.gz"];
const CONTENTS = ["Contents-amd64.gz", "main/Contents-all.gz", "main/Contents-amd64.gz"];
const DEP11 = ["main/dep11/Components-amd64.yml.gz", "main/dep11/icons-64x64@2.tar.gz"];
/** Of other components and architectures, of the installer, of what is not asked for. */
const OTHERS = [
  "Contents-arm64.gz",
  "contrib/Contents-amd64.gz",
  "contrib/binary-amd64/Packages.gz",
  "contrib/i18n/Translation-en.gz",
  "main/Contents-udeb-amd64.gz",
  "main/Contents-source.gz",
  "main/cnf/Commands-amd64.gz",
  "main/dep11/Components-arm64.yml.gz",
  "main/i18n/Translation-en.diff/Index",
];
const EVERY = [...TRANSLATIONS, ...CONTENTS, ...DEP11, ...OTHERS];
const bytesOf = (path: string) => (path.endsWith(".gz") ? gzipSync(`of ${path}`) : Buffer.from(`of ${path}`));

beforeEach(async () => {
  site = await startAptSite();
  bench = openSyncBench(openFetcher({ sleep: async () => {} }));
  site.add("alpha_1_amd64.deb", buildDeb({ control: { Package: "alpha" } }));
  for (const path of EVERY) site.write(path, bytesOf(path));
  return () => site.close();
});

async function carriedOf(extras: ("translations" | "contents" | "dep11")[], options: IndexOptions = {}) {
  site.index(options);
  await bench.make({ path: site.url, series: ["stable"], components: ["main"], extras });
  await bench.drain();
  expect(await bench.job()).toMatchObject({ state: "done", errors: [] });
  return readCarried(bench.ctx.objects, (await bench.state()).carried);
}

test.each([
  [["translations" as const], TRANSLATIONS],
  [["contents" as const], CONTENTS],
  [["dep11" as const], DEP11],
  [
    ["dep11" as const, "translations" as const, "contents" as const],
    [...CONTENTS, ...DEP11, ...TRANSLATIONS],
  ],
  [[], []],
])("of extras %j just these are carried over, as they are", async (extras, paths) => {
  const carried = await carriedOf(extras);
  expect(carried.map(({ path }) => path)).toEqual([...paths].sort());
  for (const { suite, path, sha256, sizeBytes } of carried) {
    expect([suite, path, sha256]).toEqual(["stable", path, sha256Of(bytesOf(path))]);
    expect(bench.ctx.blobs.held.get(sha256)?.length).toBe(sizeBytes);
  }
});

test.each([403, 404, 410])("a file that is listed and not there (%d) is left out", async (status) => {
  site.faults.set(`dists/stable/${TRANSLATIONS[0]}`, { status });
  expect((await carriedOf(["translations"])).map(({ path }) => path)).toEqual(TRANSLATIONS.slice(1));
});

test("of a packed file is known what the Release tells of it unpacked, also where that is not there", async () => {
  const [, unpacked = "", gz = ""] = TRANSLATIONS;
  site.faults.set(`dists/stable/${unpacked}`, { status: 404 });
  const carried = await carriedOf(["translations"]);
  expect(carried.map(({ path }) => path)).not.toContain(unpacked);
  const open = bytesOf(unpacked);
  expect(carried.find(({ path }) => path === gz)).toMatchObject({
    openSha256: sha256Of(open),
    openSizeBytes: open.length,
  });
});

test("files are asked for under their hashes first, and by their names where they are not there", async () => {
  const options = { byHash: true };
  site.index(options);
  for (const path of TRANSLATIONS) rmSync(join(site.folder, "dists/stable", path));
  const [first = "", second = ""] = TRANSLATIONS;
  const hashed = (path: string) => `dists/stable/main/i18n/by-hash/SHA256/${sha256Of(bytesOf(path))}`;
  site.write(second, bytesOf(second));
  rmSync(join(site.folder, hashed(second)));
  await bench.make({ path: site.url, series: ["stable"], components: ["main"], extras: ["translations"] });
  await bench.drain();
  expect(await bench.job()).toMatchObject({ state: "done", errors: [] });
  const asked = site.asked();
  expect(asked).toContain(hashed(first));
  expect(asked).not.toContain(`dists/stable/${first}`);
  expect(asked.indexOf(`dists/stable/${second}`)).toBeGreaterThan(asked.indexOf(hashed(second)));
  const carried = await readCarried(bench.ctx.objects, (await bench.state()).carried);
  expect(carried.map(({ path }) => path)).toEqual(TRANSLATIONS);
});

test.each([
  ["other bytes", { status: 200, body: "other" }],
  ["a server that is not well", { status: 500 }],
])("%s for one of them fail the sync, which says where", async (_, fault) => {
  site.index();
  site.faults.set(`dists/stable/${CONTENTS[0]}`, fault);
  await bench.make({ path: site.url, series: ["stable"], components: ["main"], extras: ["contents"] });
  await bench.drain();
  const job = await bench.job();
  expect(job.state).toBe("failed");
  expect(job.errors.at(-1)).toMatchObject({ url: `${site.url}/dists/stable/${CONTENTS[0]}` });
  expect(await bench.state()).toMatchObject({ number: 0, packages: [] });
});

test("a commit follows where nothing but what is carried over has changed", async () => {
  await carriedOf(["translations"]);
  const before = await bench.state();
  site.write("main/i18n/Translation-en", "Better words\n");
  site.index();
  await bench.again();
  await bench.drain();
  const after = await bench.state();
  expect([after.number, after.tree]).toEqual([2, before.tree]);
  expect(after.carried).not.toBe(before.carried);
});
