import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fieldOf, parseParagraphs } from "../../shared/apt/control.ts";
import { sha256Of } from "../../shared/blob.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { type AptSite, startAptSite } from "../support/upstream-apt-site.ts";
import { withoutFields } from "../support/upstream-apt-source.ts";
import { upstreamsOf } from "../support/upstream-sync.ts";

let packhouse: TestPackhouse;
let site: AptSite;
let round = 0;
const upstreams = upstreamsOf(() => packhouse);

beforeAll(async () => {
  packhouse = await startPackhouse();
});
beforeEach(async () => {
  site = await startAptSite();
  round += 1;
  site.add("alpha_1_amd64.deb", deb({ Package: "alpha", Version: "1" }));
  return () => site.close();
});
afterAll(() => packhouse.remove());

/** Other bytes for each test: what is stored already is not fetched again. */
const deb = (control: Record<string, string>) => buildDeb({ control: { ...control, Description: `round ${round}` } });
const lab = (version: string) => ({ name: "lab", version, text: `of round ${round}\n` });
const sha256At = (path: string) => sha256Of(readFileSync(join(site.folder, path)));

/** The paragraphs of an index of a repo, by name of package. */
async function indexOf(repo: string, path: string) {
  const answer = await fetch(`${packhouse.url}/apt/${repo}/dists/stable/main/${path}.gz`);
  expect(answer.status).toBe(200);
  const text = gunzipSync(await answer.arrayBuffer()).toString("utf8");
  return new Map(parseParagraphs(text).map(({ fields }) => [fieldOf(fields, "Package") ?? "", fields] as const));
}

/** A repo that took over an upstream has its source package: every file is where its Sources say. */
async function expectSource(name: string, files: readonly string[]) {
  const repo = await upstreams.repoOf(name);
  const listed = (await indexOf(repo, "source/Sources")).get("lab") ?? [];
  const dsc = files.find((file) => file.endsWith(".dsc")) ?? "";
  const directory = `source/${sha256At(`pool/${dsc}`)}`;
  expect(fieldOf(listed, "Directory")).toBe(directory);
  const sums = fieldOf(listed, "Checksums-Sha256") ?? "";
  expect(sums.trim().split("\n")).toHaveLength(files.length);
  for (const file of files) {
    expect(sums).toContain(` ${sha256At(`pool/${file}`)} `);
    const answer = await fetch(`${packhouse.url}/apt/${repo}/${directory}/${file}`);
    expect([file, answer.status]).toEqual([file, 200]);
    expect(sha256Of(new Uint8Array(await answer.arrayBuffer()))).toBe(sha256At(`pool/${file}`));
  }
}

describe("source packages", () => {
  test("are synced with all their files where `source` is asked for, beside the binaries", async () => {
    const files = site.addSource(lab("1:1.0-1"));
    site.index();
    const name = await upstreams.make(site.url, { architectures: ["amd64", "source"] });
    expect(await upstreams.ended(name)).toMatchObject({ state: "done", packages: { done: 4, total: 4 }, errors: [] });
    expect(await upstreams.names(name)).toEqual(["alpha", "lab"]);
    await expectSource(name, files);
  });

  test("are left out where they are not asked for", async () => {
    site.addSource(lab("1.0-1"));
    site.index();
    const name = await upstreams.make(site.url);
    expect(await upstreams.ended(name)).toMatchObject({ state: "done" });
    expect(await upstreams.names(name)).toEqual(["alpha"]);
  });

  test("of an index with MD5 alone are read to learn what they are", async () => {
    const files = site.addSource(lab("1.0-1"));
    const fields = ["Checksums-Sha1", "Checksums-Sha256", "Checksums-Sha512"];
    site.index({ edit: (index) => withoutFields(index, ...fields) });
    const name = await upstreams.make(site.url, { architectures: ["source"] });
    expect(await upstreams.ended(name)).toMatchObject({ state: "done", errors: [] });
    await expectSource(name, files);
    // What was learned stays: a re-sync fetches the new revision's own files alone.
    const more = site.addSource(lab("1.0-2")).filter((file) => !files.includes(file));
    site.index({ edit: (index) => withoutFields(index, ...fields) });
    site.asked();
    await upstreams.again(name);
    expect(await upstreams.ended(name)).toMatchObject({ state: "done", commit: 2 });
    const fetched = new Set(site.asked().filter((path) => path.startsWith("pool/")));
    expect([...fetched].sort()).toEqual(expect.arrayContaining(more.map((file) => `pool/${file}`)));
    expect(fetched.has("pool/lab_1.0-1.dsc")).toBe(false);
  });

  test("without a .dsc are refused, naming the package", async () => {
    site.addSource(lab("1.0-1"));
    site.index({
      edit: (index) => writeFileSync(index, readFileSync(index, "utf8").replace(/^ .*\.dsc\n/gm, "")),
    });
    const name = await upstreams.make(site.url, { architectures: ["source"] });
    const job = await upstreams.ended(name);
    expect(job.errors).toEqual([{ message: expect.stringMatching(/^lab 1.0-1 \(line 1\) lists no \.dsc$/) }]);
  });

  test("that the Release does not list end the job, which says what there is", async () => {
    site.index();
    const name = await upstreams.make(site.url, { architectures: ["amd64", "source"] });
    const [error] = (await upstreams.ended(name)).errors;
    expect(error.message).toMatch(/dists\/stable\/Release: .*no index of architecture source; there are: amd64/);
  });
});

describe("a flat repository", () => {
  test.each([
    [["./"], "."],
    [["some/dir/"], "some/dir"],
    [["./some/dir"], "some/dir"],
  ])("of series %s is synced, its files by their paths from the root", async (series, flat) => {
    const files = site.addSource(lab("2-1"));
    mkdirSync(join(site.folder, flat), { recursive: true });
    site.index({ flat });
    const name = await upstreams.make(site.url, { series, architectures: ["amd64", "source"] });
    expect(await upstreams.ended(name)).toMatchObject({ state: "done", errors: [] });
    expect(await upstreams.names(name)).toEqual(["alpha", "lab"]);
    await expectSource(name, files);
  });

  test("that lists ./Packages is synced all the same; of its one index what was asked for is taken", async () => {
    site.add("beta_1_arm64.deb", deb({ Package: "beta", Version: "1", Architecture: "arm64" }));
    site.add("gamma_1_all.deb", deb({ Package: "gamma", Version: "1", Architecture: "all" }));
    site.index({ flat: "." });
    const release = join(site.folder, "Release");
    writeFileSync(release, readFileSync(release, "utf8").replace(/ (Packages\S*)$/gm, " ./$1"));
    const name = await upstreams.make(site.url, { series: ["./"], architectures: ["amd64"] });
    expect(await upstreams.ended(name)).toMatchObject({ state: "done", errors: [] });
    expect(await upstreams.names(name)).toEqual(["alpha", "gamma"]);
    const every = await upstreams.make(site.url, { series: ["./"] });
    expect(await upstreams.ended(every)).toMatchObject({ state: "done", errors: [] });
    expect(await upstreams.names(every)).toEqual(["alpha", "beta", "gamma"]);
  });

  test("without a Release is an error that says what is missing", async () => {
    site.index({ flat: "." });
    rmSync(join(site.folder, "Release"));
    const name = await upstreams.make(site.url, { series: ["./"] });
    expect(await upstreams.ended(name)).toMatchObject({
      state: "failed",
      errors: [
        {
          url: `${site.url}/Release`,
          message: `${site.url}/Release: expected an InRelease or Release there, which names the indexes by their SHA-256, got 404`,
        },
      ],
    });
  });
});

test.each(["../stable", "sta ble", "/etc/../x/"])("series %s is refused by name", async (series) => {
  const name = await upstreams.make(site.url, { series: [series] });
  const job = await upstreams.ended(name);
  expect(job).toMatchObject({ state: "failed" });
  expect(job.errors[0].message).toContain(`series ${JSON.stringify(series)}`);
});

test("a series without any package is synced", async () => {
  site.remove("alpha_1_amd64.deb");
  site.index();
  expect(execFileSync("cat", [join(site.folder, "dists/stable/main/binary-amd64/Packages")]).length).toBe(0);
  const name = await upstreams.make(site.url);
  expect(await upstreams.ended(name)).toMatchObject({ state: "done", errors: [] });
  rmSync(join(site.folder, "dists/stable/main/binary-amd64/Packages.xz"));
  rmSync(join(site.folder, "dists/stable/main/binary-amd64/Packages.gz"));
  const plain = await upstreams.make(site.url);
  expect(await upstreams.ended(plain)).toMatchObject({ state: "done", errors: [] });
});
