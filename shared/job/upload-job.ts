import { z } from "zod";
import type { Context } from "../context.ts";
import { REPO_TYPES } from "../repo/repo.ts";
import { keys } from "../store/keys.ts";

/**
 * The job of an upload is told by its id alone (`UPLOAD ID-PATH`), so that asking for an upload costs one write; what
 * became of it is written down when the bytes have come.
 */
const ID = /^([0-9a-f]{32})-([A-Za-z0-9_-]{1,1500})$/;

/** The two parts of an id; undefined where it is none of ours. */
export function readUploadJobId(id: string): { uploadId: string; path: string } | undefined {
  const [, uploadId, encoded] = ID.exec(id) ?? [];
  if (uploadId === undefined || encoded === undefined) return undefined;
  return { uploadId, path: Buffer.from(encoded, "base64url").toString("utf8") };
}

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

/** The same for several, by id: a request for each 25. */
export async function putUploadJobs(
  ctx: Context,
  jobs: Iterable<readonly [id: string, job: UploadJob]>,
): Promise<void> {
  await ctx.table.putMany([...jobs].map(([id, job]) => ({ ...keys.job(id), ...job })));
}

export async function findUploadJob(ctx: Context, id: string): Promise<UploadJob | undefined> {
  const item = await ctx.table.get(keys.job(id));
  return item && UploadJobItem.parse(item);
}
