import pMap from "p-map";
import type { Commit } from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { announce } from "../repo/announce.ts";
import { type ChangeTerms, commitOfJob, isCommitOf, setPackages } from "../repo/change.ts";
import { findChain, type HeadChain } from "../repo/heads.ts";
import { readMapBlob } from "../repo/map-blob.ts";
import { mergeInto } from "../repo/merge.ts";
import { findRepo, type Repo } from "../repo/repo.ts";
import { findPackagesJob, hasEndedPackages, type PackagesJob, tellPackagesJob } from "./packages-job.ts";

const PARALLEL = 8;

/**
 * Makes a repo's set what the job's map says, or what its sources hold together, in one commit or not at all. Safe to repeat, also at
 * the same time: the commit names its job, and who finds it made makes no other.
 */
export async function runPackagesJob(ctx: Context, id: string): Promise<void> {
  const job = await findPackagesJob(ctx, id);
  if (!job || hasEndedPackages(job)) return;
  try {
    const repo = await findRepo(ctx, job.repo);
    if (repo?.id !== job.repo.id) throw new AppError("not_found", `repo ${job.repo.name} is gone`);
    const terms: ChangeTerms = {
      by: job.by,
      onlyOn: job.onlyOn,
      force: job.force,
      job: { id, since: job.since, hasEnded: () => endedMeanwhile(ctx, job) },
    };
    const { commit, total } = await (job.merge
      ? mergeSources(ctx, job, job.merge, repo, terms)
      : setToMap(ctx, job, repo, terms));
    // One that was given up meanwhile made nothing.
    if (!isCommitOf(job, commit) && (await endedMeanwhile(ctx, job))) return;
    await tellPackagesJob(ctx, job, {
      state: "done",
      phase: "end",
      packages: { done: total, total },
      commit: commit.number,
    });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const { message, details } = error;
    await tellPackagesJob(ctx, job, { state: "failed", phase: "end", error: { message, details } });
  }
}

type Done = { readonly commit: Commit; readonly total: number };

async function setToMap(ctx: Context, job: PackagesJob, repo: Repo, terms: ChangeTerms): Promise<Done> {
  if (job.map === undefined) throw new Error(`job ${job.id} has neither a map nor sources`);
  await tellPackagesJob(ctx, job, { state: "working", phase: "map" });
  const wanted = await readMapBlob(ctx, job.map);
  const total = wanted.length;
  await tellPackagesJob(ctx, job, { phase: "commit", packages: { done: 0, total } });
  return { commit: await setPackages(ctx, repo, wanted, terms), total };
}

async function mergeSources(
  ctx: Context,
  job: PackagesJob,
  { sources, onConflict }: NonNullable<PackagesJob["merge"]>,
  repo: Repo,
  terms: ChangeTerms,
): Promise<Done> {
  await tellPackagesJob(ctx, job, { state: "working", phase: "merge" });
  // Its sources may be gone since.
  const made = terms.job && (await commitOfJob(ctx, repo, terms.job));
  if (made) {
    await announce(ctx, repo, made);
    return { commit: made, total: made.count };
  }
  const chains = await pMap(sources, (source) => sourceOf(ctx, repo, source), { concurrency: PARALLEL });
  const commit = await mergeInto(ctx, repo, chains, onConflict, terms);
  return { commit, total: commit.count };
}

async function sourceOf(
  ctx: Context,
  { type }: Repo,
  { id, kind, name }: Pick<HeadChain, "id" | "kind" | "name">,
): Promise<HeadChain> {
  const chain = await findChain(ctx, { type, name });
  if (chain?.id !== id) throw new AppError("not_found", `${kind} ${name} is gone`);
  return chain;
}

async function endedMeanwhile(ctx: Context, { id }: PackagesJob): Promise<boolean> {
  const job = await findPackagesJob(ctx, id);
  return job === undefined || hasEndedPackages(job);
}
