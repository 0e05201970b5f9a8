import { isSha256, type Sha256 } from "../blob.ts";
import { commitAt } from "../commit.ts";
import type { Context } from "../context.ts";
import { findRepo, REPO_TYPES, type Repo, type RepoRef } from "../repo/repo.ts";
import { type HeldFile, heldByHash, heldByPath, heldBySource } from "./held-file.ts";
import { fileIn, type Manifest, readManifest } from "./manifest.ts";
import { manifestAt, publishedOf } from "./publish.ts";
import { isLasting, numberOf } from "./reference.ts";

/** A blob that a client's path leads to. `lasting`: that path will lead there for ever. */
export type Resolved = {
  readonly sha256: Sha256;
  readonly filename: string;
  readonly lasting: boolean;
  /** Of a package, whose bytes may not be ours yet. */
  readonly held?: (HeldFile & { readonly repo: RepoRef }) | undefined;
};

const CLIENT_PATH = /^\/(apt|yum|dir)\/([a-z0-9][a-z0-9._-]{0,99})(?:@([A-Za-z0-9:._-]{1,100}))?\/(.*)$/s;
/** What only a blob can answer. */
const INDEX_BY_HASH = /(?:^|\/)by-hash\/SHA256\/[0-9a-f]{64}$|^repodata\/[0-9a-f]{64}-/;
const PACKAGE_BY_HASH = /^(pool|source)\/([0-9a-f]{64})\/([^/]+)$/;

/**
 * What no hash and no pointer tells: paths at a commit (`@NUMBER`, `@TIME`, `@latest`), indexes by their plain names, the
 * files of a plain directory, those of source packages, and packages whose bytes are not ours yet. Undefined where there is
 * nothing.
 */
export async function resolvePath(ctx: Context, path: string): Promise<Resolved | undefined> {
  const [, typeName, name, ref, rest] = CLIENT_PATH.exec(path) ?? [];
  const type = REPO_TYPES.find((known) => known === typeName);
  if (type === undefined || name === undefined || rest === undefined) return undefined;
  if (type !== "dir" && INDEX_BY_HASH.test(rest)) return undefined;
  const repo = await findRepo(ctx, { type, name });
  if (!repo) return undefined;
  return type === "dir" ? inDirectory(ctx, repo, ref, rest) : inRepository(ctx, repo, ref, rest);
}

async function inRepository(
  ctx: Context,
  repo: Repo,
  ref: string | undefined,
  rest: string,
): Promise<Resolved | undefined> {
  const [, kind, sha256 = "", name = ""] = PACKAGE_BY_HASH.exec(rest) ?? [];
  if (!isSha256(sha256)) return inManifest(await manifestOf(ctx, repo, ref), ref, rest);
  const held =
    kind === "pool"
      ? await heldByHash(ctx, repo, ref, sha256)
      : await heldBySource(ctx, repo, ref, { dsc: sha256, name });
  return held && resolved(repo, held, true);
}

async function inDirectory(
  ctx: Context,
  repo: Repo,
  ref: string | undefined,
  rest: string,
): Promise<Resolved | undefined> {
  const manifest = await manifestOf(ctx, repo, ref);
  if (!manifest) return undefined;
  const index = inManifest(manifest, ref, rest === "" ? "index.html" : rest);
  if (index) return index;
  const commit = await commitAt(ctx, repo.id, manifest.commit);
  const held = commit && (await heldByPath(ctx, commit, rest));
  if (held) return { ...resolved(repo, held, isLasting(ref)), filename: rest };
  const [, kind, sha256 = ""] = PACKAGE_BY_HASH.exec(rest) ?? [];
  if (kind !== "pool" || !isSha256(sha256)) return undefined;
  const byHash = await heldByHash(ctx, repo, ref, sha256);
  return byHash && resolved(repo, byHash, true);
}

function inManifest(manifest: Manifest | undefined, ref: string | undefined, path: string): Resolved | undefined {
  const sha256 = manifest && fileIn(manifest, path);
  return sha256 && { sha256, filename: path, lasting: isLasting(ref) };
}

function resolved({ type, name }: Repo, held: HeldFile, lasting: boolean): Resolved {
  const [file] = held.refs;
  return { sha256: file.sha256, filename: file.name, lasting, held: { ...held, repo: { type, name } } };
}

async function manifestOf(ctx: Context, repo: Repo, ref: string | undefined): Promise<Manifest | undefined> {
  if (ref === undefined || ref === "latest") {
    const published = await publishedOf(ctx, repo);
    return published && readManifest(ctx, published.manifest);
  }
  const number = await numberOf(ctx, repo, ref);
  return number === undefined ? undefined : manifestAt(ctx, repo, number);
}
