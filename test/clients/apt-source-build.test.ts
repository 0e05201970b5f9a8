import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openApt } from "../support/clients-apt.ts";
import { openSite, type Site } from "../support/clients-site.ts";
import { smallKey } from "../support/small-key.ts";
import { type NamedBytes, sourceBuild } from "../support/sources.ts";
import { heldBy, jobIn, send } from "../support/surface-changes.ts";

let site: Site;
const LEVEL = "lab/debian/sid/source";

beforeAll(async () => {
  site = await openSite("apt-source-build");
  await site.repo("builds", "apt", { ...(await smallKey()), accepts: [LEVEL] });
});
afterAll(() => site.close());

async function upload(files: readonly NamedBytes[], force = false): Promise<{ state: string; error?: string }> {
  const changes = files.find(({ name }) => name.endsWith(".changes"))?.name ?? "";
  const jobs = await Promise.all(files.map((file) => send(site.packhouse, file, { level: LEVEL, changes, force })));
  const ended = await Promise.all(jobs.map((job) => jobIn(site.packhouse, job, "done", "failed")));
  return ended[files.findIndex(({ name }) => name === changes)];
}

test("what dpkg-buildpackage made goes in, is unpacked by apt-get source, and a damaged build changes nothing", async () => {
  const files = sourceBuild({ name: "lab", version: "1.0-1", fields: { "Build-Depends": "debhelper-compat (= 13)" } });
  expect(files.map(({ name }) => name.replace(/^.*(?=\.)/, "")).sort()).toEqual([
    ".buildinfo",
    ".changes",
    ".dsc",
    ".gz",
    ".xz",
  ]);
  expect(await upload(files)).toMatchObject({ state: "done" });
  expect(await heldBy(site.packhouse, "builds")).toEqual({ commit: 1, held: ["lab_1.0-1.dsc"] });

  const next = sourceBuild({ name: "lab", version: "2.0-1", text: "second\n" });
  const damaged = next.map((file) =>
    file.name.endsWith(".buildinfo") ? { ...file, bytes: Buffer.from(file.bytes).fill(" ", 0, 1) } : file,
  );
  const refused = await upload(damaged);
  expect(refused).toMatchObject({
    state: "failed",
    error: expect.stringContaining("lab_2.0-1_source.buildinfo has SHA-256"),
  });
  expect((await heldBy(site.packhouse, "builds")).commit).toBe(1);

  const apt = await openApt(site.bench, "apt", {
    sources: (await site.read("/apt/builds/packhouse.sources")).toString(),
  });
  await apt.update();
  const folder = join(site.bench.folder, "unpacked");
  await mkdir(folder);
  // In a process of its own: the server is in this one.
  const script = 'cd "$1"; APT_CONFIG="$2" apt-get source lab';
  const got = await site.bench.run("sh", ["-ec", script, "sh", folder, apt.config]);
  expect([got.code, got.output]).toEqual([0, expect.stringContaining("extracting lab in lab-1.0")]);
  expect(await readFile(join(folder, "lab-1.0/README"), "utf8")).toBe("of the lab\n");

  const mended = next.filter(({ name }) => /\.(?:buildinfo|changes)$/.test(name));
  expect(await upload(mended, true)).toMatchObject({ state: "done" });
  expect((await heldBy(site.packhouse, "builds")).held).toEqual(["lab_1.0-1.dsc", "lab_2.0-1.dsc"]);
  await apt.update();
  expect((await apt.run("apt-cache", "showsrc", "lab")).output.match(/^Version: .*$/gm)?.sort()).toEqual([
    "Version: 1.0-1",
    "Version: 2.0-1",
  ]);
});
