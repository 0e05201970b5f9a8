import type { Sha256 } from "../blob.ts";
import type { Commit } from "../commit.ts";
import type { Context } from "../context.ts";
import type { Repo } from "../repo/repo.ts";
import { type FileRef, type Row, segmentsOf } from "../tree/entry.ts";
import { rowsHolding } from "../tree/hashes.ts";
import { dirKey, SOURCE } from "../tree/layout.ts";
import { readRows } from "../tree/leaf.ts";
import { leafIndexOf, readTree } from "../tree/root.ts";
import { commitsRead } from "./reference.ts";

/** A file of a repo's commit; where rows that hold it say that its bytes can be had at several places, each once. */
export type HeldFile = { readonly commit: number; readonly refs: readonly [FileRef, ...FileRef[]] };

const MOST_PLACES = 5;

/** A file by its hash. Undefined where none of the commits that clients read holds it. */
export async function heldByHash(
  ctx: Context,
  repo: Repo,
  ref: string | undefined,
  sha256: Sha256,
): Promise<HeldFile | undefined> {
  for await (const commit of commitsRead(ctx, repo, ref)) {
    const held = await heldIn(ctx, commit, sha256);
    if (held) return held;
  }
  return undefined;
}

/** A file by its hash, of one commit. */
export async function heldIn(ctx: Context, commit: Commit, sha256: Sha256): Promise<HeldFile | undefined> {
  const rows = await rowsHolding(ctx.objects, await readTree(ctx.objects, commit.hashes), sha256);
  return heldOf(
    commit,
    rows.flatMap(({ files }) => files),
  );
}

/** A file by its name, of the source package whose .dsc has that hash. */
export async function heldBySource(
  ctx: Context,
  repo: Repo,
  ref: string | undefined,
  { dsc, name }: { dsc: Sha256; name: string },
): Promise<HeldFile | undefined> {
  for await (const commit of commitsRead(ctx, repo, ref)) {
    const rows = await rowsHolding(ctx.objects, await readTree(ctx.objects, commit.hashes), dsc);
    const row = rows.find(({ key, files }) => segmentsOf(key)[2] === SOURCE && files[0]?.name.endsWith(".dsc"));
    if (!row) continue;
    const whole = await rowAt(ctx, commit, row.key);
    return heldOf(commit, whole?.files.filter((file) => file.name === name) ?? []);
  }
  return undefined;
}

/** A file by its path in a plain directory. */
export async function heldByPath(ctx: Context, commit: Commit, path: string): Promise<HeldFile | undefined> {
  return heldOf(commit, (await rowAt(ctx, commit, dirKey(path)))?.files ?? []);
}

async function rowAt(ctx: Context, commit: Commit, key: string): Promise<Row | undefined> {
  const tree = await readTree(ctx.objects, commit.tree);
  const leaf = tree.leaves[leafIndexOf(tree, key)];
  return leaf && (await readRows(ctx.objects, leaf)).find((row) => row.key === key);
}

function heldOf(commit: Commit, files: readonly FileRef[]): HeldFile | undefined {
  const places = new Map(files.map((file) => [`${file.upstream} ${file.url}`, file]));
  const [first, ...more] = [...places.values()].slice(0, MOST_PLACES);
  return first && { commit: commit.number, refs: [first, ...more] };
}
