import pMap from "p-map";
import { commitDelta } from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { putUploadJob, type UploadJob } from "../job/upload-job.ts";
import { findPackage, type Package, type Parsed, parsedOf } from "../package.ts";
import { type BinaryPath, placesFor } from "../repo/accepts.ts";
import { announce } from "../repo/announce.ts";
import { canHold, entriesFor } from "../repo/entries.ts";
import { findRepo, REPO_TYPES, type Repo, type RepoRef } from "../repo/repo.ts";
import { everyItem } from "../store/dynamo.ts";
import { partitions } from "../store/keys.ts";
import type { Entry } from "../tree/entry.ts";
import type { Unsettled } from "./ingest.ts";
import { findBinary, touchAbove, writeBinary } from "./node.ts";
import { binaryPathOf } from "./path.ts";
import { writeHints } from "./search-hints.ts";

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
  const works = await pMap(unsettled, (one) => open(ctx, one), { concurrency: PARALLEL });
  const repos = await acceptingRepos(ctx, works);
  await pMap(repos, (repo) => takeInto(ctx, repo, works), { concurrency: PARALLEL });
  await pMap(works, (work) => close(ctx, work), { concurrency: PARALLEL });
}

async function open(ctx: Context, one: Unsettled): Promise<Work> {
  const at = binaryPathOf(one.segments);
  const pkg = one.stored.format === "unreadable" ? undefined : await findPackage(ctx, one.stored.sha256);
  const known = pkg && { at, pkg, parsed: await parsedOf(ctx, pkg) };
  const { problem } = one.stored;
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
  const file = parsed.format === "deb" ? "control file" : "header";
  if (pkg.name !== at.name) notes.push(`the ${file} names the package ${pkg.name}, the URL ${at.name}`);
  const anywhere = ["all", "noarch", "src", "nosrc"].includes(pkg.architecture);
  if (pkg.architecture !== at.architecture && !anywhere) {
    notes.push(`the ${file} says architecture ${pkg.architecture}, the URL ${at.architecture}`);
  }
  return notes.map((note) => `${note}: the ${file} decides`);
}

/** The repos whose patterns may take any of these: those kept for the name, and those that take every name. */
async function acceptingRepos(ctx: Context, works: readonly Work[]): Promise<Repo[]> {
  const names = new Set(works.flatMap(({ known }) => (known ? [known.at.name, "*"] : [])));
  const refs = new Map<string, RepoRef>();
  for (const name of names) {
    for await (const { sk } of everyItem(ctx.table, partitions.accepts(name))) {
      const type = REPO_TYPES.find((known) => sk.startsWith(`${known}#`));
      if (type) refs.set(sk, { type, name: sk.slice(type.length + 1) });
    }
  }
  const repos = await pMap([...refs.values()], (ref) => findRepo(ctx, ref), { concurrency: PARALLEL });
  return repos.filter((repo) => repo !== undefined);
}

async function takeInto(ctx: Context, repo: Repo, works: readonly Work[]): Promise<void> {
  const takers = new Map<Entry, Work>();
  for (const work of works) {
    for (const entry of entriesOf(repo, work)) takers.set(entry, work);
  }
  if (takers.size === 0) return;
  const names = [...new Set(takers.values())].map(({ segments }) => segments.at(-1));
  const { commit, refused } = await commitDelta(
    ctx,
    repo,
    { put: [...takers].map(([entry, work]) => ({ entry, replace: work.stored.replace })), remove: [] },
    {
      by: "ingest",
      message: `add ${names.slice(0, 5).join(", ")}${names.length > 5 ? ` and ${names.length - 5} more` : ""}`,
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

async function close(ctx: Context, work: Work): Promise<void> {
  await putUploadJob(ctx, work.stored.job, work.job);
  const binary = await findBinary(ctx, work.segments);
  if (binary?.stored?.job === work.stored.job && !binary.stored.settled) {
    // When somebody else wrote the leaf meanwhile, settling is asked for again with what it says then.
    await writeBinary(ctx, work.segments, binary, {
      ...(binary.awaited ? { awaited: binary.awaited } : {}),
      stored: { ...binary.stored, settled: true },
    });
  }
  if (work.uploadId !== undefined) await ctx.objects.deleteIncoming(work.uploadId);
}
