import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fieldsOf, openApt } from "../support/clients-apt.ts";
import { type BuiltDeb, everyKindOfDeb } from "../support/clients-debs.ts";
import { openSite, type Site } from "../support/clients-site.ts";

let site: Site;
const debs: BuiltDeb[] = everyKindOfDeb();

beforeAll(async () => {
  site = await openSite("apt-packages");
  await site.repo("kinds", "apt", { accepts: ["**"] });
  await Promise.all(debs.map((one) => site.publish(one)));
});

afterAll(() => site.close());

const versionsOf = (architecture: string) =>
  debs
    .filter((one) => one.architecture === architecture || one.architecture === "all")
    .map(({ name, version }) => `${name}=${version}`)
    .sort();

async function sources(): Promise<{ sources: string }> {
  return { sources: (await site.read("/apt/kinds/packhouse.sources")).toString() };
}

test.each(["amd64", "arm64"])(
  "apt of %s sees its own packages and those for all, in their exact versions",
  async (architecture) => {
    const apt = await openApt(site.bench, `own-${architecture}`, await sources(), { architectures: [architecture] });
    await apt.update();
    expect(await apt.visible()).toEqual(versionsOf(architecture));
  },
);

test("an architecture with packages for all alone has those", async () => {
  await site.repo("declared", "apt", { accepts: ["everything/*/*/*"], architectures: ["amd64", "riscv64"] });
  const source = { sources: (await site.read("/apt/declared/packhouse.sources")).toString() };
  const apt = await openApt(site.bench, "declared", source, { architectures: ["riscv64"] });
  await expect
    .poll(async () => apt.update().then(apt.visible), { timeout: 10_000 })
    .toEqual(["everything=1:2.0+git~rc1-0.1~bpo12+1"]);
});

test("apt of amd64 with foreign arm64 sees both, each told from the other", async () => {
  const apt = await openApt(site.bench, "multi", await sources(), { architectures: ["amd64", "arm64"] });
  await apt.update();
  const seen = await apt.visible();
  expect(seen).toEqual(expect.arrayContaining([...versionsOf("amd64"), "foreign:arm64=1.0-1", "both:arm64=1.0-1"]));
  expect(seen).not.toContain("foreign=1.0-1");
});

test("apt downloads each package byte for byte, whatever its version and file name hold", async () => {
  const apt = await openApt(site.bench, "download", await sources(), { architectures: ["amd64", "arm64"] });
  await apt.update();
  const wanted = debs.map(({ name, architecture }) => (architecture === "arm64" ? `${name}:arm64` : name));
  const folder = await site.bench.file("downloaded/.here", "");
  const ran = await site.bench.run("sh", [
    "-ec",
    `cd "$1"; shift; exec env APT_CONFIG="$1" apt-get download $2`,
    "sh",
    folder.replace(/\/\.here$/, ""),
    apt.config,
    wanted.join(" "),
  ]);
  expect(ran.output).not.toMatch(/^E:/m);
  for (const { name, version, architecture, bytes } of debs) {
    const path = `downloaded/${name}_${version.replaceAll(":", "%3a")}_${architecture}.deb`;
    expect((await readFile(join(site.bench.folder, path))).equals(bytes), path).toBe(true);
  }
});

test.each(["amd64", "arm64"])("the index of %s says field by field what apt-ftparchive says", async (architecture) => {
  const own = debs.filter((one) => one.architecture === architecture || one.architecture === "all");
  for (const one of own) await site.bench.file(`ftparchive-${architecture}/${one.name}.deb`, one.bytes);
  const path = `${site.bench.folder}/ftparchive-${architecture}`;
  const theirs = await site.bench.run("apt-ftparchive", ["--no-md5", "--no-sha1", "--no-sha512", "packages", path]);
  const packed = await site.read(`/apt/kinds/dists/stable/main/binary-${architecture}/Packages.gz`);
  expect(paragraphs(gunzipSync(packed).toString())).toEqual(paragraphs(theirs.output));
});

/** By name; in each the fields in their order. Where a file lies and weak hashes are left out. */
function paragraphs(index: string): Record<string, [string, string][]> {
  const notCompared = ["Filename", "MD5sum", "SHA1", "SHA512", "Description-md5"];
  const all = index
    .split("\n\n")
    .filter((one) => one.trim() !== "")
    .map(fieldsOf);
  return Object.fromEntries(
    all.map((fields) => [fields.Package, Object.entries(fields).filter(([name]) => !notCompared.includes(name))]),
  );
}
