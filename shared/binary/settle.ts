import pMap from "p-map";
import { type Commit, commitDelta } from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { putUploadJobs, type UploadJob } from "../job/upload-job.ts";
import { findPackage, parsedOf } from "../package.ts";
import { type BinaryPath, placesFor } from "../repo/accepts.ts";
import { announce } from "../repo/announce.ts";
import { canHold, entriesFor } from "../repo/entries.ts";
import type { Repo } from "../repo/repo.ts";
import type { Entry } from "../tree/entry.ts";
import { SOURCE } from "../tree/layout.ts";
import { inTurn } from "../turns.ts";
import { acceptingRepos } from "./accepting.ts";
import { forgetWaited, sortOut } from "./changes.ts";
import type { Known, Unsettled } from "./ingest.ts";
import { overtaken } from "./leave.ts";
import { type Binary, findBinary, type StoredBinary, touchAbove, writeBinary } from "./node.ts";
import { binaryPathOf } from "./path.ts";
import { writeHints } from "./search-hints.ts";
import { settleWhole } from "./whole.ts";

const PARALLEL = 8;

/** One binary on its way into the repos that accept it. */
type Work = Unsettled & { readonly at: BinaryPath; readonly job: UploadJob };

/** What has to be read again may be large, and is in memory until the repos have it. */
const MOST_UNREAD = 10;

/**
 * Moves the time of the levels above stored binaries, has these found, commits them to the repos that accept them, one commit a
 * repo for all whose bytes were just read, has those published, and closes their jobs. Safe to repeat: what a repo has already is no
 * change.
 */
export async function settle(ctx: Context, unsettled: readonly Unsettled[]): Promise<void> {
  for (const group of groupsOf(unsettled)) await settleGroup(ctx, group);
}

function* groupsOf(unsettled: readonly Unsettled[]): Generator<readonly Unsettled[]> {
  let group: Unsettled[] = [];
  for (const one of unsettled) {
    if (!one.known && group.filter(({ known }) => !known).length === MOST_UNREAD) {
      yield group;
      group = [];
    }
    group.push(one);
  }
  if (group.length > 0) yield group;
}

async function settleGroup(ctx: Context, unsettled: readonly Unsettled[]): Promise<void> {
  const levels = unsettled.map(({ segments, stored }) => ({ segments, at: stored.at }));
  await Promise.all([touchAbove(ctx, levels), writeHints(ctx, unsettled)]);
  const { alone, whole, waited } = await sortOut(ctx, unsettled);
  const works = await pMap(alone, (one) => open(ctx, one), { concurrency: PARALLEL });
  const takers = works.filter(({ known, stored }) => known || stored.replaces);
  const repos = await acceptingRepos(
    ctx,
    takers.map(({ segments: [name = ""] }) => name),
  );
  await pMap(repos, (repo) => takeInto(ctx, repo, works), { concurrency: PARALLEL });
  // What these bring along ends before them: should the process die, their messages come again.
  const own = new Set(unsettled.map(({ segments }) => segments.join("/")));
  const isOwn = ({ segments }: Pick<Unsettled, "segments">) => own.has(segments.join("/"));
  await pMap(whole, (one) => settleWhole(ctx, one, isOwn), { concurrency: PARALLEL });
  const again: Unsettled[] = [];
  for (const some of [works.filter((work) => !isOwn(work)), works.filter(isOwn)]) {
    again.push(...(await closeAll(ctx, some)));
  }
  await forgetWaited(ctx, waited);
  if (again.length > 0) await settle(ctx, again);
}

async function open(ctx: Context, one: Unsettled): Promise<Work> {
  const at = binaryPathOf(one.segments);
  const { problem } = one.stored;
  const known = problem === undefined ? (one.known ?? (await knownOf(ctx, one))) : undefined;
  return {
    ...one,
    at,
    known,
    job: {
      binary: one.segments.join("/"),
      state: problem === undefined ? "done" : "failed",
      ...(problem === undefined ? {} : { error: `${at.binary} is stored, but no repo takes it: ${problem}` }),
      notes: known ? disagreements(at, known) : [],
      repos: [],
      at: ctx.now().toISOString(),
    },
  };
}

async function knownOf(ctx: Context, { stored }: Unsettled): Promise<Known | undefined> {
  const pkg = await findPackage(ctx, stored.sha256);
  return pkg && { pkg, parsed: await parsedOf(ctx, pkg) };
}

/** What a control file says otherwise than the URL. Packages for every architecture lie under any. */
function disagreements(at: BinaryPath, { pkg, parsed }: Known): string[] {
  if (parsed.format === "file") return [];
  const notes: string[] = [];
  const file = { deb: "control file", dsc: ".dsc", changes: ".changes", rpm: "header" }[parsed.format];
  if (pkg.name !== at.name) notes.push(`the ${file} names the package ${pkg.name}, the URL ${at.name}`);
  const anywhere = ["all", "noarch", "src", "nosrc", SOURCE].includes(pkg.architecture);
  if (pkg.architecture !== at.architecture && !anywhere) {
    notes.push(`the ${file} says architecture ${pkg.architecture}, the URL ${at.architecture}`);
  }
  return notes.map((note) => `${note}: the ${file} decides`);
}

async function takeInto(ctx: Context, repo: Repo, works: readonly Work[]): Promise<void> {
  const takers = new Map<Entry, Work>();
  for (const work of works) {
    for (const entry of entriesOf(repo, work)) takers.set(entry, work);
  }
  const replacing = works.filter(({ stored }) => stored.replaces);
  if (takers.size === 0 && replacing.length === 0) return;
  const put = [...takers].map(([entry, { stored, segments }]) => ({
    entry,
    replace: stored.replace,
    giver: segments.join("/"),
  }));
  const change = async (head: Commit) => ({ put, remove: [], leave: await overtaken(ctx, head, works) });
  const message = takers.size > 0 ? `add ${namesOf([...takers.values()])}` : `remove ${namesOf(replacing)}`;
  const terms = { by: "ingest", message };
  const { commit, refused } = await inTurn(ctx, repo.id, () => commitDelta(ctx, repo, change, terms));
  await announce(ctx, repo, commit);
  const losers = new Set(refused.map(({ entry }) => takers.get(entry)));
  for (const work of new Set(takers.values())) {
    if (losers.has(work)) {
      const { pkg } = work.known ?? {};
      work.job.notes.push(
        `repo ${repo.name} already holds ${pkg?.name} ${pkg?.version} ${pkg?.architecture} with other bytes; it keeps them`,
      );
    } else {
      work.job.repos.push({ id: repo.id, type: repo.type, name: repo.name, commit: commit.number });
    }
  }
}

function namesOf(works: readonly Work[]): string {
  const names = [...new Set(works)].map(({ segments }) => segments.at(-1));
  return `${names.slice(0, 5).join(", ")}${names.length > 5 ? ` and ${names.length - 5} more` : ""}`;
}

function entriesOf(repo: Repo, work: Work): Entry[] {
  const { at, known } = work;
  if (!known || !canHold(repo.type, known.pkg.format)) return [];
  try {
    const places = placesFor(repo, at);
    if (places.length === 0) return [];
    return entriesFor(repo, { ...known, filename: at.binary, places });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    work.job.notes.push(`repo ${repo.name} does not take it: ${error.message}`);
    return [];
  }
}

/**
 * Tells what became of them, and then that all is done. Answers what is there in their place by now, if anything is: the repos were
 * told of the wrong ones.
 */
async function closeAll(ctx: Context, works: readonly Work[]): Promise<Unsettled[]> {
  if (works.length === 0) return [];
  await putUploadJobs(
    ctx,
    works.map(({ stored, job }) => [stored.job, job] as const),
  );
  const next = await pMap(works, (work) => markSettled(ctx, work), { concurrency: PARALLEL });
  const uploads = works.flatMap(({ uploadId }) => uploadId ?? []);
  if (uploads.length > 0) await ctx.objects.deleteIncoming(...uploads);
  return next.filter((one) => one !== undefined);
}

async function markSettled(ctx: Context, { segments, stored, leaf }: Unsettled): Promise<Unsettled | undefined> {
  // Most often it is as it was: then the write itself is the look.
  if (leaf?.stored?.job === stored.job && (await writeSettled(ctx, segments, leaf, leaf.stored))) return undefined;
  for (;;) {
    const binary = await findBinary(ctx, segments);
    const now = binary?.stored;
    if (!now) {
      await ctx.queues.worker({ kind: "leave", path: segments.join("/") });
      return undefined;
    }
    if (now.job !== stored.job) return { segments, stored: { ...now, replaces: true } };
    if (now.settled) return undefined;
    // Else somebody wrote the leaf meanwhile, or it is gone.
    if (await writeSettled(ctx, segments, binary, now)) return undefined;
  }
}

function writeSettled(
  ctx: Context,
  segments: readonly string[],
  leaf: Binary,
  stored: StoredBinary,
): Promise<Binary | undefined> {
  const { awaited } = leaf;
  return writeBinary(ctx, segments, leaf, { ...(awaited ? { awaited } : {}), stored: { ...stored, settled: true } });
}
