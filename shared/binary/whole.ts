import pMap from "p-map";
import { type Commit, commitDelta } from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { putUploadJob, type UploadJob } from "../job/upload-job.ts";
import { findPackages, type Package, type Parsed, parsedOf } from "../package.ts";
import { type BinaryPath, placesFor } from "../repo/accepts.ts";
import { announce } from "../repo/announce.ts";
import { canHold, entriesFor } from "../repo/entries.ts";
import type { Repo } from "../repo/repo.ts";
import type { Delta } from "../tree/edit.ts";
import { inTurn } from "../turns.ts";
import { acceptingRepos } from "./accepting.ts";
import { isFile } from "./beside.ts";
import type { Unsettled } from "./ingest.ts";
import { overtaken, storedAt } from "./leave.ts";
import { type Gathered, gather } from "./parts.ts";
import { binaryPathOf } from "./path.ts";
import { amend } from "./waiting.ts";

/** A .changes all of whose files are here. */
export type WholeChanges = { readonly changes: Unsettled; readonly gathered: Gathered };

/** A file that a .changes names, or that one itself, as repos take it. */
type Member = Unsettled & {
  readonly pkg: Package;
  readonly parsed: Parsed;
  readonly filename: string;
};

const PARALLEL = 8;

/**
 * Commits all of a .changes to each repo whose patterns take that .changes, in one commit or not at all, has that published, and
 * closes the jobs of all of it. Those that `isLast` tells are closed last: their messages lead here again, should the process die.
 * Safe to repeat.
 */
export async function settleWhole(
  ctx: Context,
  whole: WholeChanges,
  isLast: (one: Pick<Unsettled, "segments">) => boolean,
): Promise<void> {
  const { changes } = whole;
  const job: UploadJob = {
    binary: changes.segments.join("/"),
    state: "done",
    notes: [],
    repos: [],
    at: ctx.now().toISOString(),
  };
  const at = binaryPathOf(changes.segments);
  const repos = await acceptingRepos(ctx, [at.name]);
  if (repos.length > 0) {
    const members = await membersOf(ctx, whole);
    await pMap(repos, (repo) => takeInto(ctx, repo, at, members, job), { concurrency: PARALLEL });
    await leaveChanged(ctx, members);
  }
  const parts = partsToClose(whole);
  const closeAll = (some: readonly Unsettled[]) =>
    pMap(some, (part) => closePart(ctx, part, whole, job), { concurrency: PARALLEL });
  await closeAll(parts.filter((part) => !isLast(part)));
  await close(ctx, changes, job);
  await closeAll(parts.filter(isLast));
}

/** What a .changes that is whole consists of, with what is parsed of it. */
async function membersOf(ctx: Context, { changes, gathered }: WholeChanges): Promise<Member[]> {
  const parts = [...gathered.here.values()].flatMap(({ segments, binary: { stored } }) =>
    stored ? [{ segments, stored }] : [],
  );
  const all = [changes, ...parts];
  const packages = await findPackages(
    ctx,
    all.map(({ stored }) => stored),
  );
  const members = await pMap(
    all,
    async ({ segments, stored }): Promise<Member[]> => {
      const pkg = packages.get(stored.sha256);
      if (!pkg) return [];
      return [{ segments, stored, pkg, parsed: await parsedOf(ctx, pkg), filename: segments.at(-1) ?? "" }];
    },
    { concurrency: PARALLEL },
  );
  return members.flat();
}

/** What a .changes puts into a repo; nothing where the repo's patterns do not take it. @throws AppError where it can not go there */
function putsFor(repo: Repo, at: BinaryPath, members: readonly Member[]): Delta["put"] {
  const places = placesFor(repo, at);
  if (places.length === 0) return [];
  const replaceAll = members.some(({ segments, stored }) => segments.at(-1) === at.binary && stored.replace);
  return members
    .filter(({ pkg }) => canHold(repo.type, pkg.format))
    .flatMap(({ segments, stored, ...member }) =>
      entriesFor(repo, { ...member, places }).map((entry) => ({
        entry,
        replace: replaceAll || stored.replace,
        giver: segments.join("/"),
      })),
    );
}

async function takeInto(
  ctx: Context,
  repo: Repo,
  at: BinaryPath,
  members: readonly Member[],
  told: Pick<UploadJob, "notes" | "repos">,
): Promise<void> {
  try {
    const put = putsFor(repo, at, members);
    if (put.length === 0) return;
    const replacing = members.filter(({ stored }) => stored.replaces);
    const change = async (head: Commit) => ({ put, remove: [], leave: await overtaken(ctx, head, replacing) });
    const message = `add all that ${at.binary} names`;
    const terms = { by: "ingest", message, wholly: true };
    const { commit } = await inTurn(ctx, repo.id, () => commitDelta(ctx, repo, change, terms));
    await announce(ctx, repo, commit);
    told.repos.push({ id: repo.id, type: repo.type, name: repo.name, commit: commit.number });
  } catch (error) {
    if (!(error instanceof AppError) || error.kind === "unavailable") throw error;
    told.notes.push(`repo ${repo.name} takes nothing of it: ${error.message}`);
  }
}

/** What was removed or replaced while it went in is taken out again, as if it had been there before. */
async function leaveChanged(ctx: Context, members: readonly Member[]): Promise<void> {
  const paths = members.map(({ segments }) => segments.join("/"));
  const now = await storedAt(ctx, paths);
  for (const { segments, stored } of members) {
    const path = segments.join("/");
    if (now.get(path)?.sha256 !== stored.sha256) await ctx.queues.worker({ kind: "leave", path });
  }
}

/** Those that went in with it, and the .dsc that still waited for parts of its own. */
function partsToClose({ changes, gathered }: WholeChanges): Unsettled[] {
  const name = changes.segments.at(-1);
  const parts = new Map(gathered.parts.map((part) => [part.name, part]));
  return gathered.named.flatMap(({ segments, binary }) => {
    const { stored } = binary;
    const part = parts.get(segments.at(-1) ?? "");
    if (!stored || !part || !isFile(part, binary)) return [];
    const isWaiting = stored.changes === undefined && stored.parts === "waiting" && !stored.settled;
    return stored.changes === name || isWaiting ? [{ segments, stored }] : [];
  });
}

async function closePart(ctx: Context, part: Unsettled, { changes }: WholeChanges, job: UploadJob): Promise<void> {
  const notes = [`it went in with ${changes.segments.at(-1)}`, ...job.notes];
  await close(ctx, part, { ...job, binary: part.segments.join("/"), notes });
}

async function close(ctx: Context, one: Unsettled, job: UploadJob): Promise<void> {
  await putUploadJob(ctx, one.stored.job, job);
  await amend(ctx, one, ({ problem: _, ...now }) => ({ ...now, parts: "here", settled: true }));
  if (one.uploadId !== undefined) await ctx.objects.deleteIncoming(one.uploadId);
}

/** Takes a .changes that is whole into a repo whose patterns have come to take it: all of it, in one commit, or nothing. */
export async function takeLater(ctx: Context, repo: Repo, changes: Unsettled): Promise<void> {
  if (changes.stored.parts !== "here") return;
  const at = binaryPathOf(changes.segments);
  const gathered = await gather(ctx, changes.segments, changes.stored);
  if (gathered.missing.length > 0 || gathered.wrong !== undefined) return;
  const members = await membersOf(ctx, { changes, gathered });
  await takeInto(ctx, repo, at, members, { notes: [], repos: [] });
  await leaveChanged(ctx, members);
}
