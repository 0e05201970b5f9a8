import { expect } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { commitDelta, headOf } from "../../shared/commit.ts";
import { readManifest } from "../../shared/publication/manifest.ts";
import { publishedOf } from "../../shared/publication/publish.ts";
import { createRepo, findRepo, type Repo, type RepoRef, type RepoSettings } from "../../shared/repo/repo.ts";
import { generateSigningKey } from "../../shared/signing/openpgp.ts";
import { keys } from "../../shared/store/keys.ts";
import type { Entry } from "../../shared/tree/entry.ts";
import { type MemoryContext, memoryContext } from "./memory-context.ts";

export const TYPES = ["apt", "yum", "dir"] as const;

let key: Promise<{ keyId: string; privateKeyArmored: string }> | undefined;

/** A repo as a POST makes it, but with a small key, since thousands of signatures are made. */
export async function repoInMemory(
  type: Repo["type"],
  settings: RepoSettings = {},
): Promise<{ ctx: MemoryContext; ref: RepoRef }> {
  const ctx = memoryContext();
  const ref = { type, name: "tools" };
  const repo = await createRepo(ctx, ref, settings, "somebody");
  key ??= generateSigningKey({ userId: "tools", algorithm: "ed25519Legacy", now: ctx.now() });
  const { keyId, privateKeyArmored } = await key;
  const sealed = await ctx.sealer.seal(Buffer.from(privateKeyArmored), repo.id);
  await ctx.table.put({ ...keys.signingKey(repo.id, repo.createdAt), keyId, sealed });
  return { ctx, ref };
}

export async function repoOf(ctx: MemoryContext, ref: RepoRef): Promise<Repo> {
  const repo = await findRepo(ctx, ref);
  if (!repo) throw new Error("the repo is gone");
  return repo;
}

/** What a package adds to a repo of that type; in apt to the suite named. */
export function packageEntry(type: Repo["type"], name: string, suite = "stable"): Entry {
  const files = [{ name, sha256: sha256Of(name), sizeBytes: name.length }];
  switch (type) {
    case "apt":
      return { key: `${suite}/main/amd64/${name}_1`, files, chunks: { Packages: Buffer.from(`Package: ${name}\n\n`) } };
    case "yum": {
      const text = Buffer.from(`<package name="${name}"/>\n`);
      return { key: `noarch/${name}-0:1-1`, files, chunks: { primary: text, filelists: text, other: text } };
    }
    case "dir":
      return { key: name, files, chunks: { SHA256SUMS: Buffer.from(`${sha256Of(name)}  ${name}\n`) } };
  }
}

export async function commitPackages(ctx: MemoryContext, ref: RepoRef, entries: readonly Entry[]): Promise<number> {
  const delta = { put: entries.map((entry) => ({ entry, replace: false })), remove: [] };
  const { commit } = await commitDelta(ctx, await repoOf(ctx, ref), delta, { by: "somebody", message: "add" });
  return commit.number;
}

/** What clients read is the head, and every file of it is there, of one publication. */
export async function expectPublished(ctx: MemoryContext, ref: RepoRef): Promise<void> {
  const repo = await repoOf(ctx, ref);
  const [head, published] = [await headOf(ctx, repo), await publishedOf(ctx, repo)];
  expect(published?.commit).toBe(head.number);
  if (!published) throw new Error("nothing is published");
  const manifest = await readManifest(ctx, published.manifest);
  const read = manifest.files.map(({ path, sha256 }) => {
    const pointer = ctx.pointers.get(`pointers/${ref.type}/${ref.name}/${path}`);
    return { path, wanted: sha256, found: pointer && sha256Of(pointer.bytes) };
  });
  expect(read.filter(({ wanted, found }) => wanted !== found)).toEqual([]);
  for (const { packed } of Object.values(manifest.indexes)) expect(ctx.blobs.held.has(packed.sha256)).toBe(true);
}

/** Watches that no pointer is ever overwritten by an older one, neither by what we note of it nor by what clients read. */
export function expectRisingDates(ctx: MemoryContext): void {
  const set = ctx.pointers.set.bind(ctx.pointers);
  ctx.pointers.set = (path, pointer) => {
    const earlier = ctx.pointers.get(path);
    if (earlier) {
      expect(Number(pointer.metadata.date)).toBeGreaterThan(Number(earlier.metadata.date));
      const [was, is] = [dateWithin(earlier.bytes), dateWithin(pointer.bytes)];
      if (was !== undefined) expect(is).toBeGreaterThan(was);
    }
    return set(path, pointer);
  };
}

/** The time that a Release file or repomd.xml tells of itself. */
function dateWithin(bytes: Buffer): number | undefined {
  const [, release, revision] = /^Date: (.+)$|<revision>(\d+)</m.exec(String(bytes)) ?? [];
  return revision === undefined ? (release === undefined ? undefined : Date.parse(release) / 1000) : Number(revision);
}
