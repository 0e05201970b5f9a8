import { z } from "zod";
import { findBinary } from "../binary/node.ts";
import { splitPath } from "../binary/path.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { publishedOf } from "../publication/publish.ts";
import { REPO_TYPES } from "../repo/repo.ts";
import { keys } from "../store/keys.ts";

/**
 * The job of an upload is told by its id alone (`UPLOAD ID-PATH`), so that asking for an upload costs one write; what
 * became of it is written down when the bytes have come.
 */
const ID = /^([0-9a-f]{32})-([A-Za-z0-9_-]{1,1500})$/;

export function uploadJobId(uploadId: string, path: string): string {
  return `${uploadId}-${Buffer.from(path).toString("base64url")}`;
}

const UploadJobItem = z.object({
  binary: z.string(),
  state: z.enum(["done", "failed"]),
  error: z.string().optional(),
  notes: z.array(z.string()),
  repos: z.array(z.object({ id: z.string(), type: z.enum(REPO_TYPES), name: z.string(), commit: z.number().int() })),
  at: z.string(),
});
export type UploadJob = z.infer<typeof UploadJobItem>;

export async function putUploadJob(ctx: Context, id: string, job: UploadJob): Promise<void> {
  await ctx.table.put({ ...keys.job(id), ...job });
}

export async function findUploadJob(ctx: Context, id: string): Promise<UploadJob | undefined> {
  const item = await ctx.table.get(keys.job(id));
  return item && UploadJobItem.parse(item);
}

export type JobState = "awaiting" | "working" | "publishing" | "done" | "failed" | "superseded";

export type JobView = {
  readonly id: string;
  readonly state: JobState;
  readonly binary: string;
  readonly error?: string;
  readonly notes: readonly string[];
  readonly repos: Readonly<Record<string, { readonly commit: number; readonly published_commit: number | null }>>;
};

/** What is true of a job now; `done` and `failed` are for good. */
export async function viewJob(ctx: Context, id: string): Promise<JobView> {
  const [, uploadId, encoded] = ID.exec(id) ?? [];
  const path = encoded === undefined ? undefined : decoded(encoded);
  if (uploadId === undefined || path === undefined) throw unknownJob(id);
  const job = await findUploadJob(ctx, id);
  if (job) return viewOf(ctx, id, job);
  const binary = await findBinary(ctx, path);
  const waiting = { id, binary: path.join("/"), notes: [], repos: {} };
  if (binary?.awaited?.id === uploadId) return { ...waiting, state: "awaiting" };
  if (binary?.stored?.job === id) return { ...waiting, state: "working" };
  throw unknownJob(id);
}

async function viewOf(ctx: Context, id: string, job: UploadJob): Promise<JobView> {
  let pending = false;
  const repos: Record<string, { commit: number; published_commit: number | null }> = {};
  for (const { id: repoId, type, name, commit } of job.repos) {
    const published = await publishedOf(ctx, { id: repoId, type, name });
    pending ||= (published?.commit ?? -1) < commit;
    // Names are one namespace a type: only the second of a name needs its type told.
    repos[name in repos ? `${type}/${name}` : name] = { commit, published_commit: published?.commit ?? null };
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

function decoded(encoded: string): readonly string[] | undefined {
  try {
    return splitPath(Buffer.from(encoded, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}

function unknownJob(id: string): AppError {
  return new AppError("not_found", `no job ${JSON.stringify(id.slice(0, 80))}`);
}
