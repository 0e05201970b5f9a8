import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { XMLParser } from "fast-xml-parser";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rangesOf } from "../../shared/blob.ts";
import { indexFooter, indexHeader } from "../../shared/yum/chunks.ts";
import { Rpm, readRpm } from "../../shared/yum/rpm.ts";
import { type Chunks, createrepo, indexText, KINDS, ours, scratchFolder } from "../support/createrepo.ts";
import { readAll, rpmbuild, type SpecFile } from "../support/rpmbuild.ts";

const latin1 = (text: string) => Buffer.from(text, "latin1");

const EVERY_DEPENDENCY = `
Epoch: 2
URL: https://example.org/?a=b&c=<d>
Packager: Ann "the" O'Hara <ann@example.org>
Vendor: A & B
Group: Tools/<All>
Requires: bash >= 1:2.0-3, /bin/sh, /etc/own.conf, dup, dup, dup >= 2, meets(it) = 1, opt < 4, opt2 <= 4, opt3 > 1-2
Requires: (foo or bar), ((a >= 1 with a < 2) if (x or z))
Requires: libc.so.6(GLIBC_2.4)(64bit), libc.so.6(GLIBC_2.14)(64bit), libc.so.6()(64bit), libc.so.6(GLIBC_PRIVATE)
Requires(pre): shadow
Requires(post): post >= 3
Requires(preun): before-removal
Requires(postun): after-removal
Requires(pretrans): before-all
Provides: meets(it) = 1, plain, virtual(e) = 3:4-5
Recommends: rec > 1, (r1 and r2)
Suggests: sug < 2~rc1
Supplements: (sup1 and sup2), sup3
Enhances: enh = 1^git-1
Conflicts: con <= 5, (con2 with con3)
Obsoletes: obs < 3`;

const TREE = `mkdir -p %{buildroot}/etc/d %{buildroot}/usr/bin/ghosts %{buildroot}/usr/lib %{buildroot}/opt/kerberos/sbin %{buildroot}/var/log
cd %{buildroot}
touch etc/own.conf "etc/d/a&b <c> 'd'.conf" usr/bin/tool usr/lib/sendmail opt/kerberos/sbin/k opt/über.txt var/log/g.log
ln -s tool usr/bin/link`;

const FILES = `%config(noreplace) /etc/own.conf
%dir /etc/d
"/etc/d/a&b <c> 'd'.conf"
/usr/bin/*
/usr/lib/sendmail
/opt/kerberos
/opt/über.txt
%ghost /var/log/g.log
%ghost %dir /usr/bin/ghosts`;

/** Newest first, several on one day, so that dates must be told apart. */
const CHANGELOG = Array.from({ length: 25 }, (_, i) => {
  const day = 25 - Math.floor(i / 3);
  return `* ${["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][(day + 3) % 7]} Dec ${day} 2022 Zoë "Z" <z&z@example.org> - 1.${25 - i}-1\n- fix <${i}> & more\n  and a second line\n\n`;
}).join("");

const SPECS: SpecFile[] = [
  {
    name: "everything",
    preamble: `Version: 1.0~rc1^20260101git\nRelease: 1.el9\nSummary: Every kind & <all> "of" it's tëxt${EVERY_DEPENDENCY}`,
    description: "  Indented & <b>\n\n\ttabbed \"quoted\" 'it' é 😀\n  ]]> <!-- no comment -->",
    install: TREE,
    files: FILES,
    rest: `\n%pre\necho\n%post -p /sbin/ldconfig\n%changelog\n${CHANGELOG}`,
  },
  { name: "no-files", preamble: "Epoch: 0\n", files: "" },
  { name: "machine", target: "x86_64", install: TREE, files: FILES, rest: "%triggerin -- bash\necho\n" },
  ...["w9.gzdio", "w7.xzdio", "w3.zstdio", "w9.bzdio"].map((payload) => ({
    name: `payload-${payload.slice(3, -3)}`,
    defines: { _binary_payload: payload },
    install: TREE,
    files: FILES,
  })),
  { name: "old-digests", defines: { _binary_filedigest_algorithm: "1" }, install: TREE, files: FILES },
  {
    name: "source",
    build: "-bs",
    preamble: "Source0: a.txt\nBuildRequires: gcc >= 4, (x or y)\n",
    sources: { "a.txt": "a" },
  },
  {
    name: "no-source",
    build: "-bs",
    preamble: "Source0: a.txt\nSource1: b.txt\nNoSource: 1\n",
    sources: { "a.txt": "a", "b.txt": "b" },
  },
  {
    name: "latin-1",
    preamble: latin1("Summary: caf\xe9 \x93quoted\x94\nPackager: J\xfcrgen\nRequires: r\xe9quis\n"),
    files: "",
    rest: latin1("%changelog\n* Mon Dec 26 2022 Jos\xe9 <j@x> - 1\n- se\xf1or\n"),
  },
  {
    name: "kernel",
    target: "i686",
    preamble:
      "Version: 6.0.1\nRelease: 2\nProvides: super_kernel = 6.0.0, not_so_super_kernel < 5.8.0, kernel(x) >= 1\nRequires: bzip2 >= 1.0.0, expat\nRequires(pre): expat\nConflicts: kernel, super_kernel = 5.0.0\nObsoletes: kernel, super_kernel = 5.9.0\n",
    files: "",
  },
];

let folder: string;
let rpms: Record<string, Buffer>;
let indexes: { folder: string; chunks: Map<string, Chunks> };

beforeAll(() => {
  folder = scratchFolder("rpmbuild");
  const built = SPECS.map((spec) => rpmbuild(folder, spec));
  built.push(signed(folder));
  rpms = readAll(built);
  indexes = createrepo(rpms);
});

afterAll(() => {
  for (const path of [folder, indexes?.folder].filter(Boolean)) rmSync(path, { recursive: true, force: true });
});

function signed(folder: string): string {
  const gnupg = join(folder, "gnupg");
  mkdirSync(gnupg);
  chmodSync(gnupg, 0o700);
  const env = { ...process.env, GNUPGHOME: gnupg, HOME: folder };
  const gpg = ["--batch", "--passphrase", "", "--quick-generate-key", "signer", "rsa2048", "sign"];
  execFileSync("gpg", gpg, { env, stdio: "ignore" });
  const built = rpmbuild(folder, { name: "signed", install: TREE, files: FILES });
  // Debian's rpm looks for gpg2, which Debian does not have.
  const defines = ["_gpg_name signer", "__gpg /usr/bin/gpg"].flatMap((define) => ["--define", define]);
  execFileSync("rpmsign", [...defines, "--addsign", built], { env, stdio: "ignore" });
  execFileSync("gpgconf", ["--kill", "all"], { env });
  return built;
}

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  trimValues: false,
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: true,
  htmlEntities: true,
});

/** rpmbuild's names hold the version, so specs are told apart by the name before it. */
function fileOf(name: string): string {
  const file = Object.keys(rpms).find((one) => one.startsWith(`${name}-`));
  if (file === undefined) throw new Error(`no rpm of ${name}`);
  return file;
}

function bytesOf(name: string): Buffer {
  return rpms[fileOf(name)] ?? Buffer.alloc(0);
}

describe("against createrepo_c", () => {
  const names = [...SPECS.map(({ name }) => name), "signed"];

  for (const kind of KINDS)
    it.each(names)(`${kind} of %s is what createrepo_c writes, byte for byte`, async (name) => {
      const chunk = (await ours(fileOf(name), bytesOf(name)))[kind];
      const theirs = indexes.chunks.get(fileOf(name))?.[kind] ?? "";
      expect(theirs).toMatch(/^<package .*<\/package>\n$/s);
      expect(parser.parse(chunk)).toEqual(parser.parse(theirs));
      expect(chunk).toBe(theirs);
    });

  it.each(KINDS)("a whole %s index of joined chunks is createrepo_c's", async (kind) => {
    const text = indexText(indexes.folder, kind);
    const mine = new Map<string, string>();
    for (const [name, bytes] of Object.entries(rpms)) mine.set(name, (await ours(name, bytes))[kind]);
    const position = ([, chunk]: [string, string]) => text.indexOf(chunk);
    const inTheirOrder = [...mine].sort((a, b) => position(a) - position(b));
    const joined = inTheirOrder.map(([, chunk]) => chunk).join("");
    expect(indexHeader(kind, mine.size) + joined + indexFooter(kind)).toBe(text);
  });
});

describe("what is read", () => {
  const read = (name: string) => readRpm(rangesOf(bytesOf(name)));

  it("a signed rpm says so and an unsigned one does not", async () => {
    expect((await read("signed")).signed).toBe(true);
    expect((await read("machine")).signed).toBe(false);
  });

  it("a source package's architecture is src, whatever it may not hold", async () => {
    expect((await read("source")).architecture).toBe("src");
    expect((await read("no-source")).architecture).toBe("src");
  });

  it("survives being kept as JSON", async () => {
    const rpm = await read("everything");
    expect(Rpm.parse(JSON.parse(JSON.stringify(rpm)))).toEqual(rpm);
  });

  it("tells epoch, version, release and header range", async () => {
    const { epoch, version, release, headerStart, headerEnd, changelogs } = await read("everything");
    expect({ epoch, version, release }).toEqual({ epoch: 2, version: "1.0~rc1^20260101git", release: "1.el9" });
    expect(bytesOf("everything").readUInt32BE(headerStart)).toBe(0x8eade801);
    expect(headerEnd).toBeGreaterThan(headerStart);
    expect(new Set(changelogs.map(({ date }) => date)).size).toBe(10);
  });
});
