import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import type { Entry } from "../../shared/tree/entry.ts";
import { aptKey } from "../../shared/tree/layout.ts";
import { xzBlockOf, xzStreamOf } from "../../shared/xz-encode/stream.ts";
import { openApt } from "../support/clients-apt.ts";
import { type Beside, repoWith as published } from "../support/clients-carried.ts";
import { openSite, type Site } from "../support/clients-site.ts";

const SHORT = "greets whoever comes";
const LONG = " It does so at length,\n in words that only a translation has.\n";
const MD5 = createHash("md5").update(`${SHORT}\n${LONG}`).digest("hex");
const SUITE = { suite: "stable", component: "main" };

let site: Site;

beforeAll(async () => {
  site = await openSite("apt-carried");
});
afterAll(() => site.close());

/** As a mirror has it: the long description stands in Translation-en alone. */
function greeter(): Entry {
  const sha256 = sha256Of("greeter");
  const stanza = `Package: greeter
Version: 1.0
Architecture: amd64
Description: ${SHORT}
Description-md5: ${MD5}
Filename: pool/${sha256}/greeter_1.0_amd64.deb
Size: 7
SHA256: ${sha256}

`;
  return {
    key: aptKey(SUITE, "amd64", "greeter", "1.0"),
    files: [{ name: "greeter_1.0_amd64.deb", sha256, sizeBytes: 7 }],
    chunks: { Packages: Buffer.from(stanza) },
  };
}

function numbered(number: number): Entry {
  const { files, chunks } = greeter();
  const name = `greeter-${number}`;
  const stanza = String(chunks.Packages).replace("Package: greeter", `Package: ${name}`);
  return { key: aptKey(SUITE, "amd64", name, "1.0"), files, chunks: { Packages: Buffer.from(stanza) } };
}

function source(): Entry {
  const sha256 = sha256Of("dsc");
  const stanza = `Package: greeter
Binary: greeter
Version: 1.0
Architecture: any
Format: 3.0 (native)
Directory: source/${sha256}
Files:
 ${createHash("md5").update("dsc").digest("hex")} 3 greeter_1.0.dsc
Checksums-Sha256:
 ${sha256} 3 greeter_1.0.dsc

`;
  return {
    key: aptKey(SUITE, "source", "greeter", "1.0"),
    files: [{ name: "greeter_1.0.dsc", sha256, sizeBytes: 3 }],
    chunks: { Sources: Buffer.from(stanza) },
  };
}

const repoWith = (
  name: string,
  entries: readonly Entry[],
  beside: readonly Beside[],
  settings: Readonly<Record<string, unknown>> = {},
) => published(site, { name, type: "apt" }, { entries, beside }, { architectures: ["amd64"], ...settings });

const xz = async (text: string) => xzStreamOf([await xzBlockOf(Buffer.from(text))]);
const TRANSLATION = `Package: greeter\nDescription-md5: ${MD5}\nDescription-en: ${SHORT}\n${LONG}\n`;
const OPEN = { openSha256: sha256Of(TRANSLATION), openSizeBytes: Buffer.byteLength(TRANSLATION) };
const ready = async (repo: string) => ({ sources: (await site.read(`/apt/${repo}/packhouse.sources`)).toString() });
const english = (...more: string[]) => ({
  settings: ['Acquire::Languages { "en"; }', `Acquire::http::Proxy "${site.proxy.url}"`, ...more],
});

test.each([
  ["xz", () => xz(TRANSLATION)],
  ["gz", async () => gzipSync(TRANSLATION)],
  ["plain", async () => Buffer.from(TRANSLATION)],
] as const)("apt shows the description that only a translation in %s has", async (packing, pack) => {
  const path = `main/i18n/Translation-en${packing === "plain" ? "" : `.${packing}`}`;
  await repoWith(`translated-${packing}`, [greeter()], [{ suite: "stable", path, bytes: await pack(), ...OPEN }]);
  const apt = await openApt(site.bench, `translated-${packing}`, await ready(`translated-${packing}`), english());
  site.proxy.seen.length = 0;
  await apt.update();
  expect(site.proxy.seen.join("\n")).toMatch(/^200 .*\/main\/i18n\/by-hash\/SHA256\/[0-9a-f]{64}$/m);
  const { output } = await apt.run("apt-cache", "show", "greeter");
  expect(output).toContain("in words that only a translation has.");
});

test("apt finds Contents by its path, and by its hash", async () => {
  const contents = gzipSync("usr/bin/greeter  main/greeter\n");
  const open = { openSha256: sha256Of("usr/bin/greeter  main/greeter\n"), openSizeBytes: 30 };
  const file = { suite: "stable", path: "main/Contents-amd64.gz", bytes: contents, ...open };
  await repoWith("contents", [greeter()], [file]);
  const target = `Acquire::IndexTargets::deb::Contents-deb {
    MetaKey "$(COMPONENT)/Contents-$(ARCHITECTURE)"; ShortDescription "Contents"; Description "contents"; KeepCompressed "true"; }`;
  for (const byHash of ["yes", "no"]) {
    const options = english(target, `Acquire::By-Hash "${byHash}"`);
    const apt = await openApt(site.bench, `contents-${byHash}`, await ready("contents"), options);
    site.proxy.seen.length = 0;
    await apt.update();
    const path = byHash === "yes" ? `main/by-hash/SHA256/${sha256Of(contents)}` : "main/Contents-amd64.gz";
    expect(site.proxy.seen.join("\n")).toMatch(new RegExp(`^[23]0[02] /apt/contents/dists/stable/${path}$`, "m"));
    const lists = await apt.run("apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Contents-deb");
    const [filename = ""] = lists.output.trim().split("\n");
    const shown = await site.bench.run("/usr/lib/apt/apt-helper", ["cat-file", filename]);
    expect(shown.output).toBe("usr/bin/greeter  main/greeter\n");
  }
});

test("apt reads an index in xz rather than in gz where the repo has both, with packages of several leaves", async () => {
  const many = Array.from({ length: 1500 }, (_, number) => numbered(number));
  await repoWith("both", many, [], { indexes: ["gz", "xz"], components: ["empty"] });
  const release = (await site.read("/apt/both/dists/stable/InRelease")).toString();
  const [, hash] = /^ ([0-9a-f]{64}) +\d+ main\/binary-amd64\/Packages\.xz$/m.exec(release) ?? [];
  for (const byHash of ["yes", "no"]) {
    const apt = await openApt(
      site.bench,
      `both-${byHash}`,
      await ready("both"),
      english(`Acquire::By-Hash "${byHash}"`),
    );
    site.proxy.seen.length = 0;
    await apt.update();
    const path = byHash === "yes" ? `by-hash/SHA256/${hash}` : "Packages.xz";
    expect(site.proxy.seen.join("\n")).toContain(`/apt/both/dists/stable/main/binary-amd64/${path}`);
    expect((await apt.visible()).length).toBe(1500);
  }
});

test("apt reads sources by packhouse.sources where there are any", async () => {
  await repoWith("sources", [greeter(), source()], []);
  const apt = await openApt(site.bench, "sources", await ready("sources"));
  await apt.update();
  expect((await apt.run("apt-cache", "showsrc", "greeter")).output).toMatch(/^Directory: source\/[0-9a-f]{64}$/m);
});
