import type { Sha256 } from "../blob.ts";
import { type Commit, commitAt } from "../commit.ts";
import type { Context } from "../context.ts";
import { findRepo, REPO_TYPES, type Repo } from "../repo/repo.ts";
import { dirKey } from "../tree/layout.ts";
import { readRows } from "../tree/leaf.ts";
import { leafIndexOf, readTree } from "../tree/root.ts";
import { type Manifest, readManifest } from "./manifest.ts";
import { manifestAt, publishedOf } from "./publish.ts";

/** A blob that a client's path leads to. `lasting`: that path will lead there for ever. */
export type Resolved = { readonly sha256: Sha256; readonly filename: string; readonly lasting: boolean };

const CLIENT_PATH = /^\/(apt|yum|dir)\/([a-z0-9][a-z0-9._-]{0,99})(?:@([A-Za-z0-9:._-]{1,100}))?\/(.*)$/s;
const NUMBER = /^\d{1,12}$/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?Z$/;

/**
 * What no hash and no pointer tells: paths at a commit (`@NUMBER`, `@TIME`, `@latest`), indexes by their plain names, and
 * the files of a plain directory. Undefined where there is nothing.
 */
export async function resolvePath(ctx: Context, path: string): Promise<Resolved | undefined> {
  const [, typeName, name, ref, rest] = CLIENT_PATH.exec(path) ?? [];
  const type = REPO_TYPES.find((known) => known === typeName);
  if (type === undefined || name === undefined || rest === undefined) return undefined;
  const repo = await findRepo(ctx, { type, name });
  if (!repo) return undefined;
  const manifest = await manifestOf(ctx, repo, ref);
  if (!manifest) return undefined;
  const filename = rest.split("/").at(-1) ?? rest;
  const found = (sha256: Sha256): Resolved => ({ sha256, filename, lasting: ref !== undefined && NUMBER.test(ref) });

  const file = manifest.files.find((one) => one.path === (type === "dir" && rest === "" ? "index.html" : rest));
  if (file) return { ...found(file.sha256), filename: file.path };
  const packed = rest.endsWith(".gz") ? manifest.indexes[rest.slice(0, -".gz".length)]?.packed : undefined;
  if (packed) return found(packed.sha256);
  return type === "dir" ? fileOfDirectory(ctx, repo, manifest, rest).then((sha) => sha && found(sha)) : undefined;
}

async function manifestOf(ctx: Context, repo: Repo, ref: string | undefined): Promise<Manifest | undefined> {
  if (ref !== undefined && NUMBER.test(ref)) return manifestAt(ctx, repo, Number(ref));
  const published = await publishedOf(ctx, repo);
  if (!published) return undefined;
  if (ref === undefined || ref === "latest") return readManifest(ctx, published.manifest);
  if (!TIME.test(ref)) return undefined;
  const commit = await newestAt(ctx, repo, published.commit, new Date(ref).toISOString());
  return commit && manifestAt(ctx, repo, commit.number);
}

/** The newest published commit at or before a time: times rise with numbers, so a few reads find it. */
async function newestAt(ctx: Context, repo: Repo, last: number, time: string): Promise<Commit | undefined> {
  let low = 0;
  let high = last;
  let found: Commit | undefined;
  while (low <= high) {
    const middle = Math.floor((low + high) / 2);
    const commit = await commitAt(ctx, repo.id, middle);
    if (!commit || commit.at <= time) {
      found = commit ?? found;
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  return found;
}

async function fileOfDirectory(
  ctx: Context,
  repo: Repo,
  manifest: Manifest,
  path: string,
): Promise<Sha256 | undefined> {
  const commit = await commitAt(ctx, repo.id, manifest.commit);
  if (!commit) return undefined;
  const tree = await readTree(ctx.objects, commit.tree);
  const key = dirKey(path);
  const leaf = tree.leaves[leafIndexOf(tree, key)];
  const row = leaf && (await readRows(ctx.objects, leaf)).find((one) => one.key === key);
  return row?.files[0]?.sha256;
}
