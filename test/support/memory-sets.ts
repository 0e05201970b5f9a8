import { sha256Of } from "../../shared/blob.ts";
import { commitDelta, headOf } from "../../shared/commit.ts";
import { listedPackages } from "../../shared/repo/listing.ts";
import { createRepo, type Repo, type RepoSettings } from "../../shared/repo/repo.ts";
import type { WantedPackage } from "../../shared/repo/wanted.ts";
import { keys } from "../../shared/store/keys.ts";
import type { Entry } from "../../shared/tree/entry.ts";
import { editHashes } from "../../shared/tree/hashes.ts";
import { EMPTY_ROOT, readTree } from "../../shared/tree/root.ts";
import type { MemoryContext } from "./memory-context.ts";
import { entriesIn } from "./memory-trees.ts";

export const BY = { by: "somebody" };

export function newRepo(ctx: MemoryContext, type: Repo["type"], name: string, settings: RepoSettings = {}) {
  return createRepo(ctx, { type, name }, settings, "somebody");
}

/** Something else that has commits, as far as they are concerned. */
export async function newUpstream(ctx: MemoryContext, type: Repo["type"], name: string) {
  const upstream = { kind: "upstream", id: `upstream-${name}`, type, name, createdBy: "somebody" };
  await ctx.table.put({ ...keys.repo(type, name), ...upstream });
  await ctx.table.put({ ...keys.upstreamListing(type, name) });
  return upstream;
}

type Named = Pick<Repo, "id" | "type" | "name" | "createdBy">;

export async function hold(
  ctx: MemoryContext,
  chain: Named,
  entries: readonly Entry[],
  remove: readonly string[] = [],
) {
  const delta = { put: entries.map((entry) => ({ entry, replace: true })), remove };
  return (await commitDelta(ctx, chain, delta, { ...BY, message: "hold" })).commit;
}

/** The set as GET tells it. */
export async function mapOf(ctx: MemoryContext, repo: Named): Promise<WantedPackage[]> {
  const wanted: WantedPackage[] = [];
  for await (const listed of listedPackages(ctx, repo.type, await headOf(ctx, repo))) {
    const { sha256, name, version, filename, places } = listed;
    wanted.push({ sha256, name, version, filename, places });
  }
  return wanted;
}

export async function entriesOfHead(ctx: MemoryContext, chain: Named): Promise<Entry[]> {
  return entriesIn(ctx.objects, await readTree(ctx.objects, (await headOf(ctx, chain)).tree));
}

/** What the index by hash of a head should be, made anew from its tree. */
export async function hashesAnew(ctx: MemoryContext, chain: Named): Promise<string> {
  const empty = await readTree(ctx.objects, EMPTY_ROOT);
  const added = await entriesOfHead(ctx, chain);
  return (await editHashes(ctx.objects, empty, { removed: [], added })).root;
}

export const text = (value: string) => Buffer.from(value);

export function debEntry(name: string, { suite = "stable", holds = name, version = "1" } = {}): Entry {
  const sha256 = sha256Of(holds);
  const stanza = `Package: ${name}\nVersion: ${version}\nDepends: libc6 (>= 2), x | y\nFilename: pool/${sha256}/${name}.deb\n\n`;
  return {
    key: `${suite}/main/amd64/${name}_${version}`,
    files: [{ name: `${name}.deb`, sha256, sizeBytes: holds.length }],
    chunks: { Packages: text(stanza) },
  };
}

export function sourceEntry(name: string, suite = "stable", holds = ""): Entry {
  const files = [`${name}_1.dsc`, `${name}_1.orig.tar.gz`, `${name}_1.debian.tar.xz`].map((file) => {
    // One tarball is that of every source package here.
    const bytes = file.endsWith("orig.tar.gz") ? "tarball" : `${file}${holds}`;
    return { name: file, sha256: sha256Of(bytes), sizeBytes: bytes.length };
  });
  return {
    key: `${suite}/main/source/${name}_1`,
    files,
    chunks: { Sources: text(`Package: ${name}\nVersion: 1\n\n`) },
  };
}

export function rpmEntry(name: string, holds = name): Entry {
  const sha256 = sha256Of(holds);
  const xml = `<package type="rpm"><name>${name}</name><format><rpm:requires><rpm:entry name="bash" flags="GE" epoch="0" ver="4.0"/></rpm:requires></format></package>\n`;
  return {
    key: `x86_64/${name}-1%3A2-3`,
    files: [{ name: `${name}.rpm`, sha256, sizeBytes: holds.length }],
    chunks: { primary: text(xml), filelists: text(`<f n="${name}"/>\n`), other: text(`<o n="${name}"/>\n`) },
  };
}

export function fileEntry(path: string, holds: string): Entry {
  const sha256 = sha256Of(holds);
  const files = [{ name: path, sha256, sizeBytes: holds.length }];
  const key = path.split("/").map(encodeURIComponent).join("/");
  return { key, files, chunks: { SHA256SUMS: text(`${sha256}  ${path}\n`) } };
}
