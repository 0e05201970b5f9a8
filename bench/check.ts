import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { sha256Of } from "../shared/blob.ts";
import type { BenchPackhouse } from "./server/packhouse.ts";

/** What apt would see: the index that a signed InRelease leads to, each hash on the way checked. Stanza by stanza. */
export async function readPublished(packhouse: BenchPackhouse, name: string, suite = "stable"): Promise<string[]> {
  const root = `${packhouse.url}/apt/${name}`;
  const [signed, key] = await Promise.all([bytesAt(`${root}/dists/${suite}/InRelease`), bytesAt(`${root}/key.gpg`)]);
  const release = verified(signed, key);
  const listed = (path: string) =>
    new RegExp(`^ ([0-9a-f]{64}) +(\\d+) ${path}$`, "m").exec(release)?.[1] ?? refuse(`no ${path} in InRelease`);
  const packed = listed("main/binary-amd64/Packages.gz");
  const bytes = await bytesAt(`${root}/dists/${suite}/main/binary-amd64/by-hash/SHA256/${packed}`);
  if (sha256Of(bytes) !== packed) refuse("Packages.gz is not what InRelease says");
  const plain = gunzipSync(bytes);
  if (sha256Of(plain) !== listed("main/binary-amd64/Packages")) refuse("Packages is not what InRelease says");
  return plain
    .toString("utf8")
    .split("\n\n")
    .filter((stanza) => stanza !== "");
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
