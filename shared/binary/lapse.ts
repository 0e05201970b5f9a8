import type { Context } from "../context.ts";
import { findUploadJob, putUploadJob, uploadJobId } from "../job/upload-job.ts";
import { keys } from "../store/keys.ts";
import { forgetHash } from "./hash-upload.ts";
import { type AwaitedUpload, ancestorsOf, type Binary, touchLevel, writeBinary } from "./node.ts";

/** A PUT that began in time may end long after: its address is good for the beginning alone. */
const LATE_SECONDS = 6 * 3600;

/** Milliseconds until an upload may be forgotten, when it did not come. */
export function leftOf(awaited: AwaitedUpload, now: Date): number {
  const late = awaited.parts === undefined ? LATE_SECONDS * 1000 : 0;
  return Date.parse(awaited.expiresAt) + late - now.getTime();
}

/** Takes back that a binary awaits its bytes; one that has none is gone. False when somebody else wrote it meanwhile. */
export async function releaseBinary(ctx: Context, segments: readonly string[], binary: Binary): Promise<boolean> {
  const released = binary.stored
    ? (await writeBinary(ctx, segments, binary, { stored: binary.stored })) !== undefined
    : await ctx.table.delete(keys.node(segments), { equals: { revision: binary.revision } });
  if (!released) return false;
  const at = ctx.now().toISOString();
  for (const level of ancestorsOf(segments)) await touchLevel(ctx, level, at);
  return true;
}

/** Ends the job of an upload that will not come any more, unless it has ended. */
export async function endJob(
  ctx: Context,
  uploadId: string,
  segments: readonly string[],
  error: string,
): Promise<void> {
  const path = segments.join("/");
  const job = uploadJobId(uploadId, path);
  if (await findUploadJob(ctx, job)) return;
  const at = ctx.now().toISOString();
  await putUploadJob(ctx, job, { binary: path, state: "failed", error, notes: [], repos: [], at });
}

/** Leaves nothing of an upload in parts, whatever became of it. */
export async function sweepParts(ctx: Context, uploadId: string): Promise<void> {
  await ctx.objects.abortAllParts(uploadId);
  await ctx.objects.deleteIncoming(uploadId);
  await forgetHash(ctx, uploadId);
}
