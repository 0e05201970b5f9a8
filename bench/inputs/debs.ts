import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { sha256Of } from "../../shared/blob.ts";
import { arOf, DEBIAN_BINARY, tarOf } from "../../test/support/deb-builder.ts";
import { gnupgHome } from "../peers/programs.ts";
import { addedName } from "./added.ts";
import { keptFolder } from "./folder.ts";
import type { Source, Stanza } from "./stanzas.ts";

const EMPTY_TAR = gzipSync(tarOf([]));

/** A .deb of about a kilobyte: the control data, and no files. */
export function debOf(control: string): Buffer {
  const packed = gzipSync(
    tarOf([
      { name: "./", type: "5" },
      { name: "./control", content: control },
    ]),
  );
  return arOf([
    DEBIAN_BINARY,
    { name: "control.tar.gz", content: packed },
    { name: "data.tar.gz", content: EMPTY_TAR },
  ]);
}

/** As Debian names files: without the epoch. */
export function debName({ name, version, architecture }: Pick<Stanza, "name" | "version" | "architecture">): string {
  return `${name}_${version.replace(/^\d+:/, "")}_${architecture}.deb`;
}

/** A package that is in none of the inputs; each number is another one. */
export function newDeb(number: number): { name: string; filename: string; bytes: Buffer } {
  const stanza = { name: addedName(number), version: "1.0-1", architecture: "amd64" };
  const control =
    `Package: ${stanza.name}\nVersion: 1.0-1\nArchitecture: amd64\nMaintainer: Bench <bench@example.org>\n` +
    "Depends: libc6 (>= 2.36)\nSection: misc\nPriority: optional\nDescription: added while measuring\n";
  return { name: stanza.name, filename: debName(stanza), bytes: debOf(control) };
}

/**
 * An apt repository of so many stand-ins, as a web server would offer it: `pool/`, and `dists/bookworm` with its index plain, in gz
 * and in xz. Its `Packages` is the list of hashes: no file has to be read again.
 */
export async function debsFolder(source: Source, count: number): Promise<string> {
  return keptFolder(`debs-${source.id}-${count}`, (folder) => {
    const index: string[] = [];
    const made = new Set<string>();
    for (const stanza of source.take(count)) {
      const bytes = debOf(stanza.control);
      const sha256 = sha256Of(bytes);
      const pool = `pool/${sha256.slice(0, 2)}`;
      if (!made.has(pool)) mkdirSync(join(folder, pool), { recursive: true });
      made.add(pool);
      const path = `${pool}/${debName(stanza)}`;
      writeFileSync(join(folder, path), bytes);
      const md5 = createHash("md5").update(bytes).digest("hex");
      index.push(`${stanza.control}Filename: ${path}\nSize: ${bytes.length}\nMD5sum: ${md5}\nSHA256: ${sha256}\n\n`);
    }
    const binary = join(folder, "dists/bookworm/main/binary-amd64");
    mkdirSync(binary, { recursive: true });
    writeFileSync(join(binary, "Packages"), index.join(""));
    execFileSync("gzip", ["-k", "-9", "-n", join(binary, "Packages")]);
    execFileSync("xz", ["-k", "-6", join(binary, "Packages")]);
    const fields = { Suite: "bookworm", Codename: "bookworm", Architectures: "amd64", Components: "main" };
    const options = Object.entries(fields).flatMap(([name, value]) => [
      "-o",
      `APT::FTPArchive::Release::${name}=${value}`,
    ]);
    const release = execFileSync("apt-ftparchive", [...options, "release", join(folder, "dists/bookworm")]);
    writeFileSync(join(folder, "dists/bookworm/Release"), release);
  });
}

/** Signs the repository with a key that nobody keeps, as upstreams are signed; once. */
export function signRelease(folder: string): void {
  const dist = join(folder, "dists/bookworm");
  if (existsSync(join(dist, "InRelease"))) return;
  const home = gnupgHome();
  const sign = ["--homedir", home, "--batch", "--yes", "--clearsign", "--output", join(dist, "InRelease.new")];
  execFileSync("gpg", [...sign, join(dist, "Release")], { stdio: "pipe" });
  renameSync(join(dist, "InRelease.new"), join(dist, "InRelease"));
}

/** The plain index of a folder of stand-ins. */
export function debsIndex(folder: string): string {
  return join(folder, "dists/bookworm/main/binary-amd64/Packages");
}

export function readIndex(folder: string): string[] {
  return readFileSync(debsIndex(folder), "utf8")
    .split("\n\n")
    .filter((stanza) => stanza !== "");
}
