import type { Context } from "../context.ts";
import { findUnsettled, storeUpload, type Unsettled } from "./ingest.ts";
import { endJob, leftOf, releaseBinary, sweepParts } from "./lapse.ts";
import { type AwaitedUpload, type Binary, findBinary, remakeAbove } from "./node.ts";
import { splitPath } from "./path.ts";

const LOOK_AGAIN_SECONDS = 900;

/**
 * Looks for an upload whose event never came, over and over until its deadline; then forgets one that never came itself.
 * `uploadId` names one in parts, of which nothing stays in the store once nobody awaits it.
 */
export async function lookForUpload(ctx: Context, path: string, uploadId?: string): Promise<Unsettled | undefined> {
  const segments = splitPath(path);
  const binary = await findBinary(ctx, segments);
  const awaited = binary?.awaited;
  if (uploadId !== undefined && awaited?.id !== uploadId) return afterwards(ctx, segments, binary, uploadId);
  if (!binary || !awaited) return findUnsettled(ctx, path);
  const found = await storeUpload(ctx, awaited.id);
  if (found) return found;
  const after = await findBinary(ctx, segments);
  if (after?.awaited?.id !== awaited.id) return findUnsettled(ctx, path);
  if (leftOf(after.awaited, ctx.now()) > 0 || (await ctx.objects.headIncoming(awaited.id))) {
    return lookAgain(ctx, path, after.awaited, uploadId);
  }
  return forgetUpload(ctx, segments, after, after.awaited);
}

async function lookAgain(ctx: Context, path: string, awaited: AwaitedUpload, uploadId?: string): Promise<undefined> {
  await remakeAbove(ctx, splitPath(path));
  const leftSeconds = leftOf(awaited, ctx.now()) / 1000;
  // What is here past its deadline is being verified.
  const seconds = leftSeconds > 0 ? Math.min(LOOK_AGAIN_SECONDS, leftSeconds + 1) : LOOK_AGAIN_SECONDS;
  await ctx.queues.ingest({ kind: "look", path, ...(uploadId === undefined ? {} : { upload: uploadId }) }, seconds);
  return undefined;
}

/** The store was looked at and does not have it; with parts it is asked once more, when no one can complete them any more. */
async function forgetUpload(
  ctx: Context,
  segments: readonly string[],
  binary: Binary,
  awaited: AwaitedUpload,
): Promise<undefined> {
  const { id, parts, expiresAt } = awaited;
  if (parts) {
    await ctx.objects.abortParts({ uploadId: id, multipartId: parts.multipartId });
    if (await ctx.objects.headIncoming(id)) return lookAgain(ctx, segments.join("/"), awaited, id);
  }
  if (!(await releaseBinary(ctx, segments, binary))) throw new Error(`${segments.join("/")} changed meanwhile`);
  await endJob(ctx, id, segments, `no bytes came until ${expiresAt}`);
  if (parts) await sweepParts(ctx, id);
  return undefined;
}

/** What is left to do when nobody awaits an upload in parts any more. */
async function afterwards(
  ctx: Context,
  segments: readonly string[],
  binary: Binary | undefined,
  uploadId: string,
): Promise<Unsettled | undefined> {
  const { stored } = binary ?? {};
  // What waits for others needs its upload no more, and may wait for long.
  if (stored && !stored.settled && stored.parts !== "waiting") return { segments, stored, uploadId };
  await sweepParts(ctx, uploadId);
  // Whoever ended it died before this was said. Another's upload in its place says so by itself.
  if (!binary) await endJob(ctx, uploadId, segments, "the upload ended without its bytes");
  return undefined;
}

/** The worker's share: what takes longer than the function that is told of uploads has. */
export async function verifyUpload(ctx: Context, uploadId: string): Promise<Unsettled | undefined> {
  const end = ctx.now().getTime() + ctx.uploadTerms.workSeconds * 1000;
  return storeUpload(ctx, uploadId, () => ctx.now().getTime() >= end);
}
