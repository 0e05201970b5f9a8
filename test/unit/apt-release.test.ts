import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { readDeb } from "../../shared/apt/deb.ts";
import { parseRelease, type Release, renderRelease } from "../../shared/apt/release.ts";
import { renderDeb822Sources } from "../../shared/apt/sources.ts";
import { packagesStanza } from "../../shared/apt/stanza.ts";
import { rangesOf, sha256Of } from "../../shared/blob.ts";
import { buildDeb } from "../support/deb-builder.ts";

const EMPTY = sha256Of("");
const RELEASE: Release = {
  origin: "Lab Inc.",
  label: "tools",
  suite: "stable/rc",
  codename: "stable/rc",
  date: new Date("2026-11-05T06:07:08.900Z"),
  architectures: ["amd64", "arm64"],
  components: ["main", "extra/x"],
  description: "Tools, für alle",
  acquireByHash: true,
  files: [
    { path: "main/binary-amd64/Packages", sizeBytes: 0, sha256: EMPTY },
    { path: "main/binary-amd64/Packages.gz", sizeBytes: 12_345_678_901, sha256: sha256Of("x") },
  ],
};

test("a Release is written in Debian's order, with SHA256 as its only hash", () => {
  expect(renderRelease({ ...RELEASE, notAutomatic: true, butAutomaticUpgrades: true, validUntil: new Date(0) })).toBe(
    `Origin: Lab Inc.
Label: tools
Suite: stable/rc
Codename: stable/rc
Date: Thu, 05 Nov 2026 06:07:08 UTC
Valid-Until: Thu, 01 Jan 1970 00:00:00 UTC
NotAutomatic: yes
ButAutomaticUpgrades: yes
Acquire-By-Hash: yes
Architectures: amd64 arm64
Components: main extra/x
Description: Tools, für alle
SHA256:
 ${EMPTY}                0 main/binary-amd64/Packages
 ${sha256Of("x")}      12345678901 main/binary-amd64/Packages.gz
`,
  );
});

test("what is written is read back", () => {
  const read = parseRelease(renderRelease({ ...RELEASE, validUntil: new Date("2027-01-02T00:00:00Z") }));
  expect(read).toMatchObject({
    date: new Date("2026-11-05T06:07:08Z"),
    validUntil: new Date("2027-01-02T00:00:00Z"),
    acquireByHash: true,
    architectures: RELEASE.architectures,
    components: RELEASE.components,
    files: RELEASE.files,
  });
});

test("a Release of apt-ftparchive is read: every hash it lists", () => {
  const folder = mkdtempSync(join(tmpdir(), "packhouse-release-"));
  try {
    mkdirSync(join(folder, "main/binary-amd64"), { recursive: true });
    writeFileSync(join(folder, "main/binary-amd64/Packages"), "Package: x\n");
    const options = ["-o", "APT::FTPArchive::Release::Suite=stable", "-o", "APT::FTPArchive::Release::Components=main"];
    const text = execFileSync("apt-ftparchive", [...options, "release", "."], { cwd: folder, encoding: "utf8" });
    const read = parseRelease(text);
    expect(read.files).toContainEqual({
      path: "main/binary-amd64/Packages",
      sizeBytes: 11,
      sha256: sha256Of("Package: x\n"),
    });
    expect(read.components).toEqual(["main"]);
    expect(Math.abs(Date.now() - (read.date?.getTime() ?? 0))).toBeLessThan(60_000);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a path that begins at the Release's own folder is the same without", () => {
  const read = parseRelease(`Suite: x\nSHA256:\n ${EMPTY} 0 ./Packages\n ${EMPTY} 0 ././main/Contents-amd64\n`);
  expect(read.files.map(({ path }) => path)).toEqual(["Packages", "main/Contents-amd64"]);
});

describe("refused", () => {
  test.each([
    ["a label of two lines", { label: "tools\nSHA512: x" }, /Label of a Release must be one line/],
    ["a component with a space", { components: ["main x"] }, /"main x" can not be one of a Release's Components/],
    ["a path with a space", { files: [{ path: "a b", sizeBytes: 1, sha256: EMPTY }] }, /"a b" can not be listed/],
  ])("to write %s", (_, change, message) => {
    expect(() => renderRelease({ ...RELEASE, ...change })).toThrow(message);
  });

  test.each([
    ["a path that leads out", ` ${EMPTY} 0 ../../etc/passwd`],
    ["an absolute path", ` ${EMPTY} 0 /etc/passwd`],
    ["a folder", ` ${EMPTY} 0 ./`],
    ["a path that leads out behind a dot", ` ${EMPTY} 0 ./../x`],
    ["no size", ` ${EMPTY} main/Packages`],
    ["a short hash", " abc 0 main/Packages"],
    ["a negative size", ` ${EMPTY} -1 main/Packages`],
    ["a field too many", ` ${EMPTY} 1 main/Packages x`],
  ])("to read %s", (_, line) => {
    expect(() => parseRelease(`Suite: x\nSHA256:\n${line}\n`)).toThrow(/field SHA256/);
  });

  test("to read a date that is none", () => {
    expect(() => parseRelease("Date: soon\n")).toThrow('field Date: "soon" is no date');
  });

  test("a source entry with white space in it", () => {
    const entry = { types: ["deb"] as const, uri: "http://x/ y", suites: ["a"], components: ["b"], armoredKey: "" };
    expect(() => renderDeb822Sources(entry)).toThrow(/URIs can not hold/);
  });
});

const ARMORED = `-----BEGIN PGP PUBLIC KEY BLOCK-----
Comment: lab

mDMEYCQjIxYJKwYBBAHaRw8BAQdAD/P5Nvvnvk66SxBBHDbhRml9ORg1WV5CvzKY
=IE0r
-----END PGP PUBLIC KEY BLOCK-----
`;

test("a .sources file holds the key, an empty line of it as ` .`", () => {
  const text = renderDeb822Sources({
    types: ["deb"],
    uri: "https://lab.example.org/apt/tools",
    suites: ["stable"],
    components: ["main", "extra"],
    armoredKey: ARMORED.replaceAll("\n", "\r\n"),
  });
  expect(text).toBe(`Types: deb
URIs: https://lab.example.org/apt/tools
Suites: stable
Components: main extra
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 Comment: lab
 .
 mDMEYCQjIxYJKwYBBAHaRw8BAQdAD/P5Nvvnvk66SxBBHDbhRml9ORg1WV5CvzKY
 =IE0r
 -----END PGP PUBLIC KEY BLOCK-----
`);
});

test("apt trusts the key in the .sources file, takes the Release and the stanza, and finds the package by them", async () => {
  const folder = mkdtempSync(join(tmpdir(), "packhouse-apt-"));
  const write = (path: string, content: string | Uint8Array) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  };
  const gpg = (args: readonly string[], input = "") =>
    execFileSync("gpg", ["--homedir", join(folder, "gnupg"), "--batch", "--quiet", ...args], {
      input,
      encoding: "utf8",
      stdio: ["pipe", "pipe", "ignore"],
    });
  const apt = (program: string, ...args: string[]) => {
    const settings = {
      "Dir::Etc": `${folder}/etc`,
      "Dir::Etc::SourceList": "/dev/null",
      "Dir::Etc::SourceParts": `${folder}/parts`,
      "Dir::State::Lists": `${folder}/lists`,
      "Dir::State::Status": `${folder}/status`,
      "Dir::Cache": `${folder}/cache`,
      "APT::Architecture": "amd64",
      "APT::Sandbox::User": "root",
    };
    const options = Object.entries(settings).flatMap(([name, setting]) => ["-o", `${name}=${setting}`]);
    return execFileSync(program, [...options, ...args], { cwd: folder, encoding: "utf8", stdio: "pipe" });
  };
  try {
    for (const name of ["lists/partial", "cache/archives/partial", "etc"])
      mkdirSync(join(folder, name), { recursive: true });
    mkdirSync(join(folder, "gnupg"), { mode: 0o700 });
    const [key = "", stranger = ""] = ["lab@example.org", "stranger@example.org"].map((user) => {
      gpg(["--passphrase", "", "--quick-generate-key", user, "ed25519", "sign", "never"]);
      return gpg(["--armor", "--export", user]);
    });

    const description = "short\n long\n .\n more";
    const bytes = buildDeb({ control: { Version: "2:1.0~rc1+b-1", Architecture: "all", Description: description } });
    const file = { filename: "pool/lab.deb", sizeBytes: bytes.length, sha256: sha256Of(bytes) };
    const packages = packagesStanza(await readDeb(rangesOf(bytes)), file);
    const path = "main/binary-amd64/Packages";
    const files = [{ path, sizeBytes: Buffer.byteLength(packages), sha256: sha256Of(packages) }];
    const names = { suite: "stable", codename: "stable", architectures: ["amd64"], components: ["main"] };
    const release = renderRelease({ ...RELEASE, ...names, date: new Date(), files });
    write("repo/pool/lab.deb", bytes);
    write(`repo/dists/stable/${path}`, packages);
    write("repo/dists/stable/InRelease", gpg(["--clearsign", "--local-user", "lab@example.org"], release));
    write("status", "");
    const entry = { types: ["deb"] as const, uri: `file:${folder}/repo`, suites: ["stable"], components: ["main"] };

    write("parts/lab.sources", renderDeb822Sources({ ...entry, armoredKey: stranger }));
    expect(() => apt("apt-get", "update")).toThrow(/NO_PUBKEY/);
    write("parts/lab.sources", renderDeb822Sources({ ...entry, armoredKey: key }));
    apt("apt-get", "update");
    // apt computes the Description-md5 that it shows.
    expect(apt("apt-cache", "show", "lab").replace(/^Description-md5: .*\n/m, "")).toBe(packages);
    apt("apt-get", "download", "lab");
    expect(sha256Of(readFileSync(join(folder, "lab_2%3a1.0~rc1+b-1_all.deb")))).toBe(file.sha256);
  } finally {
    execFileSync("gpgconf", ["--homedir", join(folder, "gnupg"), "--kill", "all"]);
    rmSync(folder, { recursive: true, force: true });
  }
});
