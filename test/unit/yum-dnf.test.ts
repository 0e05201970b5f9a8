import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { indexFooter, indexHeader, packageChunks } from "../../shared/yum/chunks.ts";
import { renderRepoFile } from "../../shared/yum/repo-file.ts";
import { type RepomdRecord, renderRepomd } from "../../shared/yum/repomd.ts";
import { createrepo, indexed, KINDS, scratchFolder } from "../support/createrepo.ts";
import { buildRpm } from "../support/rpm-builder.ts";
import { readAll, rpmbuild, type SpecFile } from "../support/rpmbuild.ts";

const SPECS: SpecFile[] = [
  {
    name: "server",
    preamble: `Version: 2.0~rc1^git7
Release: 3.el9
Epoch: 1
Summary: A server & <more> "of" it
Requires: bash >= 1:2.0-3, /bin/sh, (foo or bar), ((a >= 1 with a < 2) if c)
Requires(pre): shadow
Provides: virtual = 3:4-5, plain, server(x) = 2~a
Recommends: rec > 1
Suggests: sug < 2
Supplements: (s1 and s2)
Enhances: enh = 1-1
Conflicts: con <= 5
Obsoletes: obs < 3`,
    install: `cd %{buildroot}
mkdir -p usr/bin usr/share/über etc/server
touch usr/bin/server usr/share/über/é.txt "usr/share/a b & <c>.txt" etc/server/x.conf
ln -s server usr/bin/alias`,
    files: `%dir /etc/server
/etc/server/x.conf
/usr/bin/*
/usr/share/über
"/usr/share/a b & <c>.txt"
%ghost /var/log/server.log`,
    rest: "\n%changelog\n* Tue Jan 02 2024 Zoë <z@example.org> - 2\n- fix & <that>\n* Mon Jan 01 2024 Zoë <z@example.org> - 1\n- begin\n",
  },
  { name: "machine", target: "x86_64", files: "" },
  { name: "empty", files: "" },
];

/** rpm's queries and dnf's of the same name. */
const LISTS = [
  "requires",
  "provides",
  "conflicts",
  "obsoletes",
  "recommends",
  "suggests",
  "supplements",
  "enhances",
  "list",
];

let folder: string;
let rpms: Record<string, Buffer>;

beforeAll(async () => {
  folder = scratchFolder("dnf");
  rpms = readAll(SPECS.map((spec) => rpmbuild(folder, spec)));
  mkdirSync(join(folder, "repo/repodata"), { recursive: true });
  for (const [name, bytes] of Object.entries(rpms)) writeFileSync(join(folder, "repo", name), bytes);
  // Names that only we can take in: dnf must read them.
  const odd = buildRpm({
    name: "odd",
    summary: Buffer.from("bell \x07 and \xe9", "latin1"),
    files: [{ path: "/usr/bin/odd\ufffe" }],
  });
  await publish({ ...rpms, "odd.rpm": odd });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Metadata of our own making, each index in several gzip members as a publication has it. */
async function publish(all: Record<string, Uint8Array>, href?: string): Promise<void> {
  const chunks = await Promise.all(
    Object.entries(all).map(async ([name, bytes]) =>
      packageChunks({ ...(await indexed(name, bytes)), ...(href && { href }) }),
    ),
  );
  const records = KINDS.map((type): RepomdRecord => {
    const parts = [indexHeader(type, chunks.length), ...chunks.map((chunk) => chunk[type]), indexFooter(type)];
    const packed = Buffer.concat(parts.map((part) => gzipSync(part)));
    const plain = Buffer.from(parts.join(""));
    const path = `repodata/${sha256Of(packed)}-${type}.xml.gz`;
    writeFileSync(join(folder, "repo", path), packed);
    const open = { openSha256: sha256Of(plain), openSizeBytes: plain.length };
    return { type, sha256: sha256Of(packed), sizeBytes: packed.length, ...open, timestamp: 1_750_000_000, href: path };
  });
  const repomd = renderRepomd({ revision: 1_750_000_000, records, tags: { content: ["a & b"] } });
  writeFileSync(join(folder, "repo/repodata/repomd.xml"), repomd);
}

function options(id: string, url: string): string[] {
  return [
    "--quiet",
    "--releasever=9",
    "--forcearch=x86_64",
    `--installroot=${join(folder, `root-${id}`)}`,
    `--setopt=cachedir=${join(folder, `cache-${id}`)}`,
    "--setopt=reposdir=/nonexistent",
    `--repofrompath=${id},${url}`,
    `--repo=${id}`,
  ];
}

function dnf(...args: string[]): string[] {
  const all = [...options("ours", `file://${join(folder, "repo")}`), ...args];
  return lines(execFileSync("dnf", all, { encoding: "utf8", env: { ...process.env, LC_ALL: "C.UTF-8" } }));
}

function rpm(...args: string[]): string[] {
  return lines(
    execFileSync("rpm", ["-qp", "--nosignature", ...args], {
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C.UTF-8" },
    }),
  );
}

function lines(output: string): string[] {
  return output.split("\n").filter((line) => line !== "" && !line.startsWith("rpmlib("));
}

describe("dnf reads our metadata", () => {
  it("and finds every package", () => {
    const format = "%{name}-%{epoch}:%{version}-%{release}.%{arch}";
    expect(dnf("repoquery", "--qf", format)).toEqual([
      "empty-0:1.0-1.noarch",
      "machine-0:1.0-1.x86_64",
      "odd-0:1.0-1.noarch",
      "server-1:2.0~rc1^git7-3.el9.noarch",
    ]);
  });

  it.each(LISTS)("and says what rpm says to --%s", (list) => {
    const file = Object.keys(rpms).find((one) => one.startsWith("server-")) ?? "";
    const said = rpm(`--${list}`, join(folder, "repo", file));
    expect(said).not.toHaveLength(0);
    expect(dnf("repoquery", `--${list}`, "server").toSorted()).toEqual([...new Set(said)].toSorted());
  });

  it("and shows texts, sizes and changelogs", () => {
    expect(dnf("repoquery", "--qf", "%{summary}|%{sourcerpm}", "server")).toEqual([
      'A server & <more> "of" it|server-2.0~rc1^git7-3.el9.src.rpm',
    ]);
    expect(dnf("repoquery", "--changelogs", "server").join("\n")).toContain("- fix & <that>");
    expect(dnf("repoquery", "--qf", "%{summary}", "odd")).toEqual(["bell  and é"]);
  });

  it("and finds who has a file, by the primary list and by the whole one", () => {
    expect(dnf("repoquery", "--qf", "%{name}", "--file", "/usr/bin/server")).toEqual(["server"]);
    expect(dnf("repoquery", "--qf", "%{name}", "--file", "/usr/share/über/é.txt")).toEqual(["server"]);
  });

  it("and installs what it names", () => {
    dnf("install", "--assumeyes", "--nogpgcheck", "machine", "empty");
    const root = join(folder, "root-ours");
    const installed = execFileSync("rpm", ["--root", root, "--query", "--all"], { encoding: "utf8" });
    expect(lines(installed).toSorted()).toEqual(["empty-1.0-1.noarch", "machine-1.0-1.x86_64"]);
  });
});

describe("dnf asks for a package", () => {
  it("by its href percent-encoded, whatever is in it, so that we write it as it is", async () => {
    const [name, bytes] = Object.entries(rpms).find(([file]) => file.startsWith("empty-")) ?? ["", Buffer.alloc(0)];
    const href = "pool/a b+c~d^e:f%20g#h?i&é.rpm";
    await publish({ [name]: bytes }, href);
    const asked: string[] = [];
    const server = createServer(({ url = "" }, response) => {
      if (url.startsWith("/pool/")) asked.push(decodeURIComponent(url.slice(1)));
      response.end(url.startsWith("/pool/") ? bytes : readFileSync(join(folder, "repo", url)));
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const { port } = server.address() as AddressInfo;
    const args = ["install", "--assumeyes", "--nogpgcheck", "--downloadonly", "empty"];
    await promisify(execFile)("dnf", [...options("asked", `http://127.0.0.1:${port}`), ...args]);
    server.closeAllConnections();
    server.close();
    expect(asked).toEqual([href]);
  });
});

describe("dnf reads our .repo file", () => {
  it("and has its settings over those of a stock dnf.conf", () => {
    const repos = join(folder, "repos.d");
    mkdirSync(repos);
    const mirrorlistUrl = "http://127.0.0.1:9/yum/tools/mirrorlist";
    const keyUrl = "http://127.0.0.1:9/yum/tools/key.asc";
    const text = renderRepoFile({ id: "packhouse-tools", name: "Tools", mirrorlistUrl, keyUrl, gpgcheck: false });
    writeFileSync(join(repos, "packhouse.repo"), text);
    writeFileSync(join(folder, "dnf.conf"), `[main]\ngpgcheck=1\nbest=True\nreposdir=${repos}\n`);
    const script = `
import dnf, json, sys
base = dnf.Base()
base.conf.read(sys.argv[1])
base.conf.substitutions["releasever"] = "9"
base.read_all_repos()
names = ["enabled", "gpgcheck", "repo_gpgcheck", "metadata_expire", "mirrorlist", "name"]
print(json.dumps({repo.id: [{n: getattr(repo, n) for n in names}, list(repo.gpgkey)] for repo in base.repos.iter_enabled()}))`;
    const said = execFileSync("/usr/bin/python3", ["-c", script, join(folder, "dnf.conf")], { encoding: "utf8" });
    const settings = {
      enabled: true,
      gpgcheck: false,
      repo_gpgcheck: true,
      metadata_expire: 60,
      mirrorlist: mirrorlistUrl,
      name: "Tools",
    };
    expect(JSON.parse(said)).toEqual({ "packhouse-tools": [settings, [keyUrl]] });
  });
});

describe("repomd.xml", () => {
  it("is createrepo_c's, byte for byte", () => {
    const { folder: theirs } = createrepo(rpms);
    const text = execFileSync("cat", [join(theirs, "repodata/repomd.xml")], { encoding: "utf8" });
    rmSync(theirs, { recursive: true });
    const value = (block: string, pattern: RegExp) => pattern.exec(block)?.[1] ?? "";
    const records = (text.match(/<data [\s\S]*?<\/data>/g) ?? []).map((block) => ({
      type: value(block, /type="(.*?)"/),
      sha256: value(block, /<checksum type="sha256">(.*?)</) as RepomdRecord["sha256"],
      openSha256: value(block, /<open-checksum type="sha256">(.*?)</) as RepomdRecord["sha256"],
      sizeBytes: Number(value(block, /<size>(.*?)</)),
      openSizeBytes: Number(value(block, /<open-size>(.*?)</)),
      timestamp: Number(value(block, /<timestamp>(.*?)</)),
      href: value(block, /href="(.*?)"/),
    }));
    expect(records).toHaveLength(3);
    expect(renderRepomd({ revision: value(text, /<revision>(.*?)</), records })).toBe(text);
  });

  it("leaves out what an unpacked file has not and writes tags", () => {
    const sha256 = sha256Of("x");
    const text = renderRepomd({
      revision: 7,
      records: [{ type: "group", sha256, sizeBytes: 1, timestamp: 2, href: "repodata/a&b.xml" }],
      tags: { repo: ["r<s"], distro: [{ cpeid: "cpe:/o:x:1", name: "X & Y" }] },
    });
    expect(text).not.toContain("open-");
    expect(text).toContain('<location href="repodata/a&amp;b.xml"/>');
    expect(text).toContain('<distro cpeid="cpe:/o:x:1">X &amp; Y</distro>');
    expect(text).toContain("<repo>r&lt;s</repo>");
  });
});
