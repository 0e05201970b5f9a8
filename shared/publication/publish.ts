import { setTimeout as wait } from "node:timers/promises";
import pMap from "p-map";
import { z } from "zod";
import { type Sha256, sha256Of } from "../blob.ts";
import { type Commit, commitAt, commitSameTree, headOf } from "../commit.ts";
import type { Context } from "../context.ts";
import type { PointerKey, PointerState } from "../objects/s3.ts";
import { keyringOf } from "../repo/keyring.ts";
import { findRepo, type Repo, type RepoRef } from "../repo/repo.ts";
import { keys } from "../store/keys.ts";
import { readTree, type Tree } from "../tree/root.ts";
import { buildAptPublication } from "./apt.ts";
import type { Build, BuildInput } from "./build.ts";
import { unpublish } from "./bury.ts";
import { buildDirPublication } from "./dir.ts";
import { type Manifest, publicationOf, readManifest, recordPublication } from "./manifest.ts";
import { Underway } from "./underway.ts";
import { buildYumPublication } from "./yum.ts";

const Published = z.object({
  repoId: z.string(),
  commit: z.number().int(),
  date: z.number().int(),
  manifest: z.custom<Sha256>((value) => typeof value === "string"),
  at: z.string(),
});
export type Published = z.infer<typeof Published>;

type ManifestFile = Manifest["files"][number];

/** A client that asks again within a second of a change could be told by If-Modified-Since that there was none. */
const REST_MS = 1000;
const MOST_ATTEMPTS = 10;
const PARALLEL_HEADS = 8;
const PARALLEL_FILES = 4;
/** apt refuses what is dated ten seconds ahead. */
const MOST_AHEAD_SECONDS = 2;

/** What clients of a repo read now; undefined before its first publication. */
export async function publishedOf(ctx: Context, repo: RepoRef & { id: string }): Promise<Published | undefined> {
  const published = await lastOf(ctx, repo);
  return published?.repoId === repo.id ? published : undefined;
}

/** Of whatever repo has or had this name. */
async function lastOf(ctx: Context, { type, name }: RepoRef): Promise<Published | undefined> {
  const item = await ctx.table.get(keys.published(type, name));
  return item && Published.parse(item);
}

/**
 * Brings what clients read up to the head of a repo. Where nothing changed, nothing is written. Safe to run at any time and
 * many times at once: blobs and the manifest first, then the pointers, each written only where nobody wrote it since this
 * run began, so that a late publisher loses and begins anew.
 */
export async function publishRepo(ctx: Context, ref: RepoRef): Promise<void> {
  const suspects = new Set<string>();
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
    if (await publishOnce(ctx, ref, suspects)) return;
  }
  throw new Error(`other publishers of ${ref.type} ${ref.name} were always first`);
}

/**
 * Whether all is published now; if not, another publisher was in the way, and `suspects` has the paths that it may have
 * written without our knowing of them.
 */
async function publishOnce(ctx: Context, ref: RepoRef, suspects: Set<string>): Promise<boolean> {
  const [repo, found] = await Promise.all([findRepo(ctx, ref), lastOf(ctx, ref)]);
  if (!repo) return true;
  const published = found?.repoId === repo.id ? found : undefined;
  if (published) await rest(ctx, published);
  // A repo of this name that was before may have left what clients would read still.
  else await unpublish(ctx, repo, repo.id);
  const before = published && (await readManifest(ctx, published.manifest));
  const held = await pointerStates(ctx, repo, [...(before?.files.map(({ path }) => path) ?? []), ...suspects]);
  const isHeld = ({ path, sha256 }: ManifestFile) => held.get(path)?.metadata.sha256 === sha256;
  const commit = await headOf(ctx, repo);
  if (published && published.commit >= commit.number) {
    if (before?.files.every(isHeld)) return true;
    return publishAnew(ctx, repo);
  }

  const date = nextDate(ctx, [published?.date, ...[...held.values()].map(dateOf)]);
  // Settings and keys are stored before the commit that is for them: those read before the head may be older than it.
  const [current, recorded] = await Promise.all([findRepo(ctx, repo), recordedAs(ctx, repo, commit.number)]);
  if (current?.id !== repo.id || current.version !== repo.version) return false;
  const made = recorded ?? (await madeNow(ctx, repo, commit, { before, date, isCurrent: isHeld }));
  const { files } = made.manifest;
  const isLate = (file: ManifestFile) => !isHeld(file) && dateOf(held.get(file.path)) >= made.manifest.date;
  if (files.some(isLate)) return publishAnew(ctx, repo);
  const write = async (file: ManifestFile): Promise<boolean> => {
    const state = held.get(file.path) ?? { etag: undefined, metadata: {} };
    const metadata = { sha256: file.sha256, date: String(made.manifest.date), commit: String(commit.number) };
    const bytes = made.bytes.get(file.sha256) ?? (await ctx.objects.getBlob(file.sha256));
    return ctx.objects.putPointer(pointer(repo, file.path), bytes, state, metadata);
  };
  const changed = files.filter((file) => !isHeld(file));
  // The last is what leads clients to the rest.
  const written = await pMap(changed.slice(0, -1), write, { concurrency: PARALLEL_FILES });
  const last = changed.at(-1);
  if (!written.every(Boolean) || (last && !(await write(last)))) {
    for (const { path } of files) suspects.add(path);
    return false;
  }
  const now: Published = {
    repoId: repo.id,
    commit: commit.number,
    date: made.manifest.date,
    manifest: made.sha256,
    at: ctx.now().toISOString(),
  };
  return ctx.table.put(
    { ...keys.published(repo.type, repo.name), ...now },
    { less: { attribute: "date", than: now.date } },
  );
}

/**
 * The head cannot be published as it was recorded: a publisher that was overtaken wrote what a newer one had left as it
 * was, or its files are dated as late as the head's. A commit is published once and time only rises, so the same tree
 * becomes a commit more.
 */
async function publishAnew(ctx: Context, repo: Repo): Promise<false> {
  await commitSameTree(ctx, repo, "publish anew what two publishers wrote at once");
  return false;
}

/**
 * The publication of any kept commit, for `@NUMBER`: as it was recorded, or made now for one that was merged into a later
 * publication. The head's is left to its publisher, who knows what date it must have. Undefined where there is none.
 */
export async function manifestAt(ctx: Context, repo: Repo, number: number): Promise<Manifest | undefined> {
  const recorded = await recordedAs(ctx, repo, number);
  if (recorded) return recorded.manifest;
  const [commit, published] = await Promise.all([commitAt(ctx, repo.id, number), publishedOf(ctx, repo)]);
  if (!commit || !published || number > published.commit) return undefined;
  const before = await readManifest(ctx, published.manifest);
  const date = Math.floor(Date.parse(commit.at) / 1000);
  return (await madeNow(ctx, repo, commit, { before, date, isCurrent: () => true })).manifest;
}

/** `bytes`: of the files that were made just now. */
type Made = { readonly manifest: Manifest; readonly sha256: Sha256; readonly bytes: ReadonlyMap<Sha256, Uint8Array> };

async function recordedAs(ctx: Context, repo: Repo, number: number): Promise<Made | undefined> {
  const sha256 = await publicationOf(ctx, repo.id, number);
  return sha256 && { manifest: await readManifest(ctx, sha256), sha256, bytes: new Map() };
}

async function madeNow(
  ctx: Context,
  repo: Repo,
  commit: Commit,
  {
    before,
    date,
    isCurrent,
  }: {
    before: Manifest | undefined;
    date: number;
    /** Whether clients read this file of the publication before: only then it may stay as it is. */
    isCurrent: (file: ManifestFile) => boolean;
  },
): Promise<Made> {
  const [tree, keyring] = await Promise.all([readTree(ctx.objects, commit.tree), keyringOf(ctx, repo)]);
  const underway = new Underway();
  let treeBefore: Promise<Tree | undefined> | undefined;
  const build = await buildOf(ctx, {
    repo,
    commit,
    tree,
    date: new Date(date * 1000),
    keyring,
    url: `${ctx.publicUrl}/${repo.type}/${repo.name}`,
    before,
    treeBefore: () => (treeBefore ??= treeOf(ctx, repo, before)),
    underway,
  });
  const earlier = new Map(before?.files.map((file) => [file.path, file]));
  const bytes = new Map<Sha256, Uint8Array>();
  const files = await pMap(
    build.files,
    async (file): Promise<ManifestFile> => {
      const kept = earlier.get(file.path);
      if (kept?.inputs === file.inputs && isCurrent(kept)) return kept;
      const made = await file.bytes();
      const sha256 = sha256Of(made);
      bytes.set(sha256, made);
      return { path: file.path, inputs: file.inputs, sha256 };
    },
    { concurrency: PARALLEL_FILES },
  );
  const { indexes, carried } = build;
  const recording = { commit: commit.number, date, files, indexes, carried };
  return { ...(await recordPublication(ctx, repo.id, recording, { bytes, underway })), bytes };
}

/** Two reads. */
async function treeOf(ctx: Context, repo: Repo, published: Manifest | undefined): Promise<Tree | undefined> {
  const commit = published && (await commitAt(ctx, repo.id, published.commit));
  return commit && readTree(ctx.objects, commit.tree);
}

function buildOf(ctx: Context, input: BuildInput): Promise<Build> {
  switch (input.repo.type) {
    case "apt":
      return buildAptPublication(ctx, input);
    case "yum":
      return buildYumPublication(ctx, input);
    case "dir":
      return buildDirPublication(ctx.objects, input);
    default:
      return input.repo.type satisfies never;
  }
}

function pointer(repo: RepoRef, path: string): PointerKey {
  return { kind: "pointer", type: repo.type, repo: repo.name, path };
}

async function pointerStates(
  ctx: Context,
  repo: RepoRef,
  paths: readonly string[],
): Promise<Map<string, PointerState>> {
  return new Map(
    await pMap(
      [...new Set(paths)],
      async (path) => [path, await ctx.objects.headPointer(pointer(repo, path))] as const,
      {
        concurrency: PARALLEL_HEADS,
      },
    ),
  );
}

/** When what a pointer holds was published; 0 where there is nothing. */
function dateOf(state: PointerState | undefined): number {
  const date = Number(state?.metadata.date);
  return Number.isSafeInteger(date) && date > 0 ? date : 0;
}

/** Seconds since 1970: later than all before. Where the clock went back, this fails until it has caught up. */
function nextDate(ctx: Context, earlier: readonly (number | undefined)[]): number {
  const last = Math.max(0, ...earlier.map((date) => date ?? 0));
  const now = Math.floor(ctx.now().getTime() / 1000);
  if (last + 1 > now + MOST_AHEAD_SECONDS) {
    throw new Error(`the last publication is dated ${last + 1 - now} s ahead of this clock`);
  }
  return Math.max(now, last + 1);
}

/** Waits until a second has passed since the last publication; changes that come meanwhile are merged into this one. */
async function rest(ctx: Context, published: Published): Promise<void> {
  const left = Date.parse(published.at) + REST_MS - ctx.now().getTime();
  if (left > 0) await wait(Math.min(left, REST_MS));
}
