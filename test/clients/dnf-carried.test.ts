import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { decompress } from "../../shared/compression.ts";
import { type Beside, repoWith } from "../support/clients-carried.ts";
import { type DnfClient, openDnf } from "../support/clients-dnf.ts";
import { type BuiltRpm, rpm } from "../support/clients-rpms.ts";
import { openSite, type Site } from "../support/clients-site.ts";

const COMPS = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">
<comps>
  <group><id>greeters</id><name>All who greet</name><description>d</description><default>false</default>
    <uservisible>true</uservisible><packagelist><packagereq type="mandatory">hello</packagereq></packagelist></group>
</comps>
`;
const UPDATEINFO = `<?xml version="1.0" encoding="UTF-8"?>
<updates>
  <update from="lab@example.org" status="stable" type="security" version="1">
    <id>LAB-2026-1</id><title>hello</title><severity>Important</severity><issued date="2026-11-01 00:00:00"/>
    <description>mended</description>
    <pkglist><collection short="lab"><name>lab</name>
      <package name="hello" version="2.0" release="1" epoch="0" arch="noarch" src="hello-2.0-1.src.rpm">
        <filename>hello-2.0-1.noarch.rpm</filename></package>
    </collection></pkglist>
  </update>
</updates>
`;
const MODULES = `---
document: modulemd
version: 2
data:
  name: greeting
  stream: "7"
  version: 20261101000000
  context: deadbeef
  arch: x86_64
  summary: How to greet
  description: How to greet
  license: {module: [MIT]}
  artifacts: {rpms: ["hello-0:2.0-1.noarch"]}
  profiles: {common: {rpms: [hello]}}
...
`;

let site: Site;
let hello: BuiltRpm;
let newer: BuiltRpm;

beforeAll(async () => {
  site = await openSite("dnf-carried");
  hello = rpm(site.bench.folder, { name: "hello" });
  newer = rpm(site.bench.folder, { name: "hello", version: "2.0-1" });
});
afterAll(() => site.close());

/** Comps, updateinfo and modules as createrepo_c and modifyrepo_c pack and name them. */
async function records(packing: string): Promise<Beside[]> {
  const { bench } = site;
  const folder = join(bench.folder, `made-${packing}`);
  const comps = await bench.file(`made-${packing}/comps.xml`, COMPS);
  const run = async (command: string, ...args: string[]) => {
    const { code, output } = await bench.run(command, args);
    if (code !== 0) throw new Error(`${command}: ${output}`);
  };
  const compress = ["--compress-type", packing];
  await run("createrepo_c", "--groupfile", comps, "--general-compress-type", packing, folder);
  for (const [name, text] of [
    ["updateinfo.xml", UPDATEINFO],
    ["modules.yaml", MODULES],
  ] as const) {
    const type = name.startsWith("modules") ? ["--mdtype", "modules"] : [];
    await run(
      "modifyrepo_c",
      ...compress,
      ...type,
      await bench.file(`given-${packing}/${name}`, text),
      join(folder, "repodata"),
    );
  }
  const names = await readdir(join(folder, "repodata"));
  const texts = { group: COMPS, updateinfo: UPDATEINFO, modules: MODULES };
  const files = {
    group: `comps.xml.${packing}`,
    updateinfo: `updateinfo.xml.${packing}`,
    modules: `modules.yaml.${packing}`,
  };
  const beside: Beside[] = [];
  for (const record of ["group", "updateinfo", "modules"] as const) {
    const found = names.find((name) => name.endsWith(`-${files[record]}`)) ?? "";
    const bytes = await readFile(join(folder, "repodata", found));
    const text = texts[record];
    const open = { openSha256: sha256Of(text), openSizeBytes: Buffer.byteLength(text) };
    beside.push({ record, path: files[record], bytes, ...open });
  }
  return beside;
}

async function clientOf(name: string): Promise<DnfClient> {
  const repoFile = (await site.read(`/yum/${name}/packhouse.repo`)).toString();
  return openDnf(site.bench, name, { [`${name}.repo`]: repoFile }, { settings: { proxy: site.proxy.url } });
}

test.each(["gz", "xz"])(
  "dnf lists groups, advisories and modules of what a repo carries, packed as %s",
  async (packing) => {
    const name = `carrying-${packing}`;
    const beside = await records(packing);
    await repoWith(site, { name, type: "yum" }, { beside }, { accepts: [`hello/*/${packing}/*`] });
    await site.publish(hello, packing);
    const dnf = await clientOf(name);
    expect((await dnf.run("install", "hello")).code).toBe(0);
    await site.publish(newer, packing);
    await dnf.age(61);
    expect((await dnf.run("group", "list")).output).toContain("All who greet");
    expect((await dnf.run("updateinfo", "list")).output).toMatch(
      /LAB-2026-1\s+Important\/Sec\.\s+hello-2\.0-1\.noarch/,
    );
    expect((await dnf.run("module", "list")).output).toMatch(/greeting\s+7\s+common\s+How to greet/);
    for (const { path, bytes } of beside)
      expect((await site.read(`/yum/${name}/repodata/${path}`)).equals(bytes)).toBe(true);
  },
);

test("dnf reads all indexes in xz where the repo has them so, and installs", async () => {
  await site.repo("packed", "yum", { accepts: ["hello/*/packed/*"], indexes: ["gz", "xz"] });
  await site.publish(hello, "packed");
  await site.publish(newer, "packed");
  const dnf = await clientOf("packed");
  site.proxy.seen.length = 0;
  expect(await dnf.query()).toEqual([hello.nevra, newer.nevra]);
  const asked = site.proxy.seen.join("\n");
  for (const kind of ["primary", "filelists"])
    expect(asked).toMatch(new RegExp(`/repodata/[0-9a-f]{64}-${kind}\\.xml\\.xz$`, "m"));
  expect(asked).not.toMatch(/\.gz$/m);
  expect((await dnf.run("install", "hello")).code).toBe(0);
  expect((await dnf.run("repoquery", "--changelogs", "hello")).code).toBe(0);
});

test("indexes in xz hold what those in gz hold, each found by its name", async () => {
  for (const kind of ["primary", "filelists", "other"]) {
    const at = (packing: string) => site.read(`/yum/packed/repodata/${kind}.xml.${packing}`);
    const [gz, xz] = await Promise.all([at("gz"), at("xz")]);
    const limits = { maxBytes: 1_000_000 };
    const text = Buffer.from(await decompress("xz", xz, limits)).toString();
    expect(text).toBe(Buffer.from(await decompress("gz", gz, limits)).toString());
    expect(text).toContain("<package");
  }
});
