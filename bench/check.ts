import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { isDeepStrictEqual } from "node:util";
import { createGunzip } from "node:zlib";
import { sha256Of } from "../shared/blob.ts";
import { isAdded } from "./inputs/added.ts";
import type { BenchPackhouse } from "./server/packhouse.ts";

/**
 * What apt would see: the index that a signed InRelease leads to, each hash on the way checked. Stanza by stanza, of any size, for it is
 * never unpacked as a whole.
 */
export async function* publishedStanzas(
  packhouse: BenchPackhouse,
  name: string,
  suite = "stable",
): AsyncGenerator<string> {
  const { bytes, plainSha256 } = await indexOf(packhouse, name, suite);
  const hash = createHash("sha256");
  const decoder = new TextDecoder();
  let rest = "";
  for await (const part of Readable.from([bytes]).pipe(createGunzip())) {
    hash.update(part);
    const stanzas = (rest + decoder.decode(part, { stream: true })).split("\n\n");
    rest = stanzas.pop() ?? "";
    for (const stanza of stanzas) if (stanza !== "") yield stanza;
  }
  if (hash.digest("hex") !== plainSha256) refuse("Packages is not what InRelease says");
  if (rest !== "") yield rest;
}

export async function readPublished(packhouse: BenchPackhouse, name: string, suite = "stable"): Promise<string[]> {
  const stanzas: string[] = [];
  for await (const stanza of publishedStanzas(packhouse, name, suite)) stanzas.push(stanza);
  return stanzas;
}

export function packageOf(stanza: string): string {
  return /^Package: (.*)$/m.exec(stanza)?.[1] ?? "";
}

/** The names in the same, sorted. */
export async function readNames(packhouse: BenchPackhouse, name: string, suite = "stable"): Promise<string[]> {
  const names: string[] = [];
  for await (const stanza of publishedStanzas(packhouse, name, suite)) names.push(packageOf(stanza));
  return names.sort();
}

/** Throws unless the repo publishes so many packages, those that were added while measuring being these. */
export async function expectAdded(
  packhouse: BenchPackhouse,
  name: string,
  expected: { readonly count: number; readonly added: readonly string[] },
): Promise<void> {
  const names = await readNames(packhouse, name);
  const added = names.filter(isAdded);
  const wanted = expected.added.toSorted();
  if (names.length !== expected.count || !isDeepStrictEqual(added, wanted)) {
    refuse(`${names.length} packages, ${expected.count} expected; added are ${added}, not ${wanted}`);
  }
}

async function indexOf(packhouse: BenchPackhouse, name: string, suite: string) {
  const root = `${packhouse.url}/apt/${name}`;
  const [signed, key] = await Promise.all([bytesAt(`${root}/dists/${suite}/InRelease`), bytesAt(`${root}/key.gpg`)]);
  const release = verified(signed, key);
  const listed = (path: string) =>
    new RegExp(`^ ([0-9a-f]{64}) +(\\d+) ${path}$`, "m").exec(release)?.[1] ?? refuse(`no ${path} in InRelease`);
  const packed = listed("main/binary-amd64/Packages.gz");
  const bytes = await bytesAt(`${root}/dists/${suite}/main/binary-amd64/by-hash/SHA256/${packed}`);
  if (sha256Of(bytes) !== packed) refuse("Packages.gz is not what InRelease says");
  return { bytes, plainSha256: listed("main/binary-amd64/Packages") };
}

/** Throws unless the published stanzas are the given ones, apart from order, file names and hashes that only one of them has. */
export function expectStanzas(published: readonly string[], expected: readonly string[]): void {
  const found = new Set(published.map(bare));
  const missing = expected.map(bare).filter((stanza) => !found.delete(stanza));
  if (missing.length > 0 || found.size > 0 || published.length !== expected.length) {
    const [one] = [...missing, ...found];
    refuse(`${published.length} published, ${expected.length} expected; ${missing.length} missing, such as:\n${one}`);
  }
}

function bare(stanza: string): string {
  return stanza
    .split("\n")
    .filter((line) => !/^(?:Filename|MD5sum|SHA1|SHA512):/.test(line))
    .sort()
    .join("\n");
}

function verified(signed: Buffer, key: Buffer): string {
  const folder = mkdtempSync(join(tmpdir(), "packhouse-bench-check-"));
  try {
    const [file, ring, out] = ["InRelease", "key.gpg", "Release"].map((one) => join(folder, one)) as [
      string,
      string,
      string,
    ];
    writeFileSync(file, signed);
    writeFileSync(ring, key);
    execFileSync("gpgv", ["--quiet", "--keyring", ring, "--output", out, file], { stdio: "pipe" });
    return signed.toString("utf8");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function bytesAt(url: string): Promise<Buffer> {
  const response = await fetch(url);
  if (response.status !== 200) refuse(`${url}: ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

function refuse(what: string): never {
  throw new Error(`wrong result: ${what}`);
}
