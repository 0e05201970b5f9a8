import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { findUploadJob, readUploadJobId, type UploadJob } from "../job/upload-job.ts";
import { publishedOf } from "../publication/publish.ts";
import { findBinary } from "./node.ts";
import { trySplitPath } from "./path.ts";
import { waitNotes } from "./waiting.ts";

export type JobState = "awaiting" | "waiting" | "working" | "publishing" | "done" | "failed" | "superseded";

export type JobView = {
  readonly id: string;
  readonly state: JobState;
  readonly binary: string;
  readonly error?: string;
  readonly notes: readonly string[];
  readonly repos: Readonly<Record<string, { readonly commit: number; readonly published_commit: number | null }>>;
};

/** What is true of a job now; `done`, `failed` and `superseded` are for good. */
export async function viewJob(ctx: Context, id: string): Promise<JobView> {
  const named = readUploadJobId(id);
  const path = named && trySplitPath(named.path);
  if (!named || !path) throw unknownJob(id);
  const job = await findUploadJob(ctx, id);
  if (job) return viewOf(ctx, id, job);
  const binary = await findBinary(ctx, path);
  const waiting = { id, binary: path.join("/"), notes: [], repos: {} };
  if (binary?.awaited?.id === named.uploadId) return { ...waiting, state: "awaiting" };
  const { stored } = binary ?? {};
  if (stored?.job === id && stored.parts === "waiting") {
    return { ...waiting, notes: await waitNotes(ctx, path, stored), state: "waiting" };
  }
  if (stored?.job === id) return { ...waiting, state: "working" };
  if (!binary) throw unknownJob(id);
  // It may have ended between the two reads; else a later upload took its place.
  const ended = await findUploadJob(ctx, id);
  return ended ? viewOf(ctx, id, ended) : { ...waiting, state: "superseded" };
}

async function viewOf(ctx: Context, id: string, job: UploadJob): Promise<JobView> {
  let pending = false;
  const repos: Record<string, { commit: number; published_commit: number | null }> = {};
  for (const { id: repoId, type, name, commit } of job.repos) {
    const published = await publishedOf(ctx, { id: repoId, type, name });
    pending ||= (published?.commit ?? -1) < commit;
    // Names are one namespace a type: only the second of a name needs its type told.
    repos[Object.hasOwn(repos, name) ? `${type}/${name}` : name] = {
      commit,
      published_commit: published?.commit ?? null,
    };
  }
  const state = job.state === "done" && pending ? "publishing" : job.state;
  return {
    id,
    state,
    binary: job.binary,
    ...(job.error === undefined ? {} : { error: job.error }),
    notes: job.notes,
    repos,
  };
}

function unknownJob(id: string): AppError {
  return new AppError("not_found", `no job ${JSON.stringify(id.slice(0, 80))}`);
}
