import pMap from "p-map";
import { commitDelta } from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { putUploadJob, type UploadJob } from "../job/upload-job.ts";
import { findPackage, type Package, type Parsed, parsedOf } from "../package.ts";
import { type BinaryPath, placesFor } from "../repo/accepts.ts";
import { announce } from "../repo/announce.ts";
import { canHold, entriesFor } from "../repo/entries.ts";
import type { Repo } from "../repo/repo.ts";
import type { Entry } from "../tree/entry.ts";
import { SOURCE } from "../tree/layout.ts";
import { acceptingRepos } from "./accepting.ts";
import { forgetWaited, sortOut } from "./changes.ts";
import type { Unsettled } from "./ingest.ts";
import { overtaken } from "./leave.ts";
import { findBinary, touchAbove, writeBinary } from "./node.ts";
import { binaryPathOf } from "./path.ts";
import { writeHints } from "./search-hints.ts";
import { settleWhole } from "./whole.ts";

const PARALLEL = 8;

type Known = { readonly at: BinaryPath; readonly pkg: Package; readonly parsed: Parsed };

/** One binary on its way into the repos that accept it. */
type Work = Unsettled & { readonly known: Known | undefined; readonly job: UploadJob };

/**
 * Moves the time of the levels above stored binaries, has these found, commits them to the repos that accept them, one commit a
 * repo for all of them, has those published, and closes their jobs. Safe to repeat: what a repo has already is no change.
 */
export async function settle(ctx: Context, unsettled: readonly Unsettled[]): Promise<void> {
  await touchAbove(
    ctx,
    unsettled.map(({ segments, stored }) => ({ segments, at: stored.at })),
  );
  await writeHints(ctx, unsettled);
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
    const closed = await pMap(some, (work) => close(ctx, work), { concurrency: PARALLEL });
    again.push(...closed.filter((one) => one !== undefined));
  }
  await forgetWaited(ctx, waited);
  if (again.length > 0) await settle(ctx, again);
}

async function open(ctx: Context, one: Unsettled): Promise<Work> {
  const at = binaryPathOf(one.segments);
  const { problem } = one.stored;
  const pkg = problem === undefined ? await findPackage(ctx, one.stored.sha256) : undefined;
  const known = pkg && { at, pkg, parsed: await parsedOf(ctx, pkg) };
  return {
    ...one,
    known,
    job: {
      binary: one.segments.join("/"),
      state: problem === undefined ? "done" : "failed",
      ...(problem === undefined ? {} : { error: `${at.binary} is stored, but no repo takes it: ${problem}` }),
      notes: known ? disagreements(known) : [],
      repos: [],
      at: ctx.now().toISOString(),
    },
  };
}

/** What a control file says otherwise than the URL. Packages for every architecture lie under any. */
function disagreements({ at, pkg, parsed }: Known): string[] {
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
  const { commit, refused } = await commitDelta(
    ctx,
    repo,
    async (head) => ({ put, remove: [], leave: await overtaken(ctx, head, works) }),
    {
      by: "ingest",
      message: takers.size > 0 ? `add ${namesOf([...takers.values()])}` : `remove ${namesOf(replacing)}`,
    },
  );
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
  const { known } = work;
  if (!known || !canHold(repo.type, known.pkg.format)) return [];
  try {
    const places = placesFor(repo, known.at);
    if (places.length === 0) return [];
    return entriesFor(repo, { pkg: known.pkg, parsed: known.parsed, filename: known.at.binary, places });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    work.job.notes.push(`repo ${repo.name} does not take it: ${error.message}`);
    return [];
  }
}

/** What is there in its place by now, if anything is: the repos were told of the wrong one. */
async function close(ctx: Context, work: Work): Promise<Unsettled | undefined> {
  await putUploadJob(ctx, work.stored.job, work.job);
  const next = await markSettled(ctx, work);
  if (work.uploadId !== undefined) await ctx.objects.deleteIncoming(work.uploadId);
  return next;
}

async function markSettled(ctx: Context, { segments, stored }: Unsettled): Promise<Unsettled | undefined> {
  for (;;) {
    const binary = await findBinary(ctx, segments);
    const now = binary?.stored;
    if (!now) {
      await ctx.queues.worker({ kind: "leave", path: segments.join("/") });
      return undefined;
    }
    if (now.job !== stored.job) return { segments, stored: { ...now, replaces: true } };
    if (now.settled) return undefined;
    const { awaited } = binary;
    const settled = { ...(awaited ? { awaited } : {}), stored: { ...now, settled: true } };
    // Somebody else wrote the leaf meanwhile, or it is gone.
    if (await writeBinary(ctx, segments, binary, settled)) return undefined;
  }
}
