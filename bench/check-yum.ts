import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { sha256Of } from "../shared/blob.ts";
import { createrepo, KINDS } from "../test/support/createrepo.ts";
import { listedRpms } from "./inputs/rpms.ts";
import type { BenchPackhouse } from "./server/packhouse.ts";

type Kind = (typeof KINDS)[number];

/** Throws unless the metadata that dnf would be led to lists exactly the packages of these hashes, in each of its three files. */
export async function expectRpms(packhouse: BenchPackhouse, name: string, expected: readonly string[]): Promise<void> {
  for (const kind of KINDS) {
    const plain = await readKind(packhouse, name, kind);
    const found = [...plain.toString("utf8").matchAll(/pkgid="(?:YES">)?([0-9a-f]{64})/g)].map(
      ([, sha256 = ""]) => sha256,
    );
    const others = new Set(found);
    const missing = expected.filter((sha256) => !others.delete(sha256));
    if (missing.length > 0 || others.size > 0 || found.length !== expected.length) {
      throw new Error(
        `wrong result: ${kind} lists ${found.length} packages, ${expected.length} expected, ${missing.length} are missing`,
      );
    }
  }
}

const SAMPLE = 50;

/** Throws unless some of a folder's rpms, evenly spread, are told as createrepo_c tells them; where a file lies and since when is ours. */
export async function expectAsCreaterepo(packhouse: BenchPackhouse, name: string, folder: string): Promise<void> {
  const listed = listedRpms(folder);
  const step = Math.max(1, Math.floor(listed.length / SAMPLE));
  const sample = listed.filter((_, index) => index % step === 0);
  const files = sample.map(({ filename }) => [filename, readFileSync(join(folder, "packages", filename))] as const);
  const theirs = createrepo(Object.fromEntries(files));
  rmSync(theirs.folder, { recursive: true, force: true });
  for (const kind of KINDS) {
    const plain = await readKind(packhouse, name, kind);
    for (const { filename, sha256 } of sample) {
      const expected = unplaced(theirs.chunks.get(filename)?.[kind] ?? "");
      const found = unplaced(chunkOf(plain, sha256));
      if (expected === "" || found !== expected)
        throw new Error(`wrong result: ${kind} tells of ${filename}\n${found}\ncreaterepo_c\n${expected}`);
    }
  }
}

function chunkOf(plain: Buffer, sha256: string): string {
  const at = plain.indexOf(sha256);
  const end = plain.indexOf("</package>", at);
  return at < 0 ? "" : plain.subarray(plain.lastIndexOf("<package ", at), end).toString("utf8");
}

function unplaced(chunk: string): string {
  return chunk
    .replace(/<location href="[^"]*"/, "<location")
    .replace(/<time file="\d+"/, "<time")
    .replace(/<\/package>\s*$/, "")
    .trim();
}

/** One of the three, unpacked, both its hashes compared. */
async function readKind(packhouse: BenchPackhouse, name: string, kind: Kind): Promise<Buffer> {
  const [root = ""] = (await packhouse.ask("GET", `/yum/${name}/mirrorlist`)).text.trim().split("\n");
  const repomd = (await packhouse.ask("GET", `${root}repodata/repomd.xml`)).text;
  const record = new RegExp(`<data type="${kind}">(.*?)</data>`, "s").exec(repomd)?.[1] ?? "";
  const href = /<location href="([^"]+)"/.exec(record)?.[1] ?? "";
  const sum = /<checksum type="sha256">([0-9a-f]{64})</.exec(record)?.[1];
  const open = /<open-checksum type="sha256">([0-9a-f]{64})</.exec(record)?.[1];
  const bytes = Buffer.from(await (await fetch(`${root}${href}`)).arrayBuffer());
  const plain = gunzipSync(bytes);
  if (sha256Of(bytes) !== sum || sha256Of(plain) !== open)
    throw new Error(`wrong result: ${href} is not what repomd.xml says`);
  return plain;
}
