import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { globSync, mkdtempSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { rangesOf, sha256Of } from "../../shared/blob.ts";
import { type IndexedRpm, type IndexKind, packageChunks } from "../../shared/yum/chunks.ts";
import { readRpm } from "../../shared/yum/rpm.ts";

export const KINDS: readonly IndexKind[] = ["primary", "filelists", "other"];
const FILE_TIME = 1_750_000_000;

export type Chunks = Record<IndexKind, string>;

export function scratchFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `packhouse-${name}-`));
}

/** Writes the rpms into a folder of their own and has createrepo_c index them: what stands for each in each index, by file name. */
export function createrepo(rpms: Readonly<Record<string, Uint8Array>>): {
  folder: string;
  chunks: Map<string, Chunks>;
} {
  const folder = scratchFolder("createrepo");
  for (const [name, bytes] of Object.entries(rpms)) {
    writeFileSync(join(folder, name), bytes);
    utimesSync(join(folder, name), FILE_TIME, FILE_TIME);
  }
  execFileSync(
    "createrepo_c",
    ["--no-database", "--general-compress-type=gz", "--simple-md-filenames", "--quiet", folder],
    {
      env: { ...process.env, LC_ALL: "C.UTF-8" },
      stdio: ["ignore", "ignore", "ignore"],
    },
  );
  const byId = (kind: IndexKind) => new Map(chunksOf(indexText(folder, kind)).map((chunk) => [pkgIdOf(chunk), chunk]));
  const [primary, filelists, other] = [byId("primary"), byId("filelists"), byId("other")];
  const chunks = new Map(
    Object.entries(rpms).map(([name, bytes]) => {
      const id = createHash("sha256").update(bytes).digest("hex");
      const of = (kind: Map<string, string>) => kind.get(id) ?? "";
      return [name, { primary: of(primary), filelists: of(filelists), other: of(other) }];
    }),
  );
  return { folder, chunks };
}

export function indexText(folder: string, kind: IndexKind): string {
  const [file] = globSync(join(folder, `repodata/*${kind}.xml.gz`));
  if (file === undefined) throw new Error(`createrepo_c wrote no ${kind} into ${folder}`);
  return gunzipSync(readFileSync(file)).toString("utf8");
}

/** The same file as createrepo_c has it in front of it. */
export async function indexed(name: string, bytes: Uint8Array): Promise<IndexedRpm> {
  const rpm = await readRpm(rangesOf(bytes));
  return { rpm, sha256: sha256Of(bytes), sizeBytes: bytes.length, href: name, fileTime: FILE_TIME };
}

export async function ours(name: string, bytes: Uint8Array): Promise<Chunks> {
  return packageChunks(await indexed(name, bytes));
}

function chunksOf(index: string): string[] {
  return index.match(/<package [\s\S]*?<\/package>\n/g) ?? [];
}

function pkgIdOf(chunk: string): string {
  return /(?:pkgid="|pkgid="YES">)([0-9a-f]{64})/.exec(chunk)?.[1] ?? "";
}
