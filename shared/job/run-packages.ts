import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { setPackages } from "../repo/change.ts";
import { readMapBlob } from "../repo/map-blob.ts";
import { findRepo } from "../repo/repo.ts";
import { findPackagesJob, hasEndedPackages, type PackagesJob, tellPackagesJob } from "./packages-job.ts";

/**
 * Makes a repo's set what the job's map says, in one commit or not at all. Safe to repeat, also at the same time: the commit names
 * its job, and who finds it made makes no other.
 */
export async function runPackagesJob(ctx: Context, id: string): Promise<void> {
  const job = await findPackagesJob(ctx, id);
  if (!job || hasEndedPackages(job)) return;
  try {
    await tellPackagesJob(ctx, job, { state: "working", phase: "map" });
    const repo = await findRepo(ctx, job.repo);
    if (repo?.id !== job.repo.id) throw new AppError("not_found", `repo ${job.repo.name} is gone`);
    const wanted = await readMapBlob(ctx, job.map);
    const total = wanted.length;
    await tellPackagesJob(ctx, job, { phase: "commit", packages: { done: 0, total } });
    const commit = await setPackages(ctx, repo, wanted, {
      by: job.by,
      onlyOn: job.onlyOn,
      force: job.force,
      job: { id, since: job.since, hasEnded: () => endedMeanwhile(ctx, job) },
    });
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

async function endedMeanwhile(ctx: Context, { id }: PackagesJob): Promise<boolean> {
  const job = await findPackagesJob(ctx, id);
  return job === undefined || hasEndedPackages(job);
}
