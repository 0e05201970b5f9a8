import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { findUploadJob, putUploadJob, uploadJobId } from "../job/upload-job.ts";
import type { Incoming } from "../objects/s3.ts";
import { type Package, parsePackage, putPackage } from "../package.ts";
import { ancestorsOf, type Binary, findBinary, type StoredBinary, touchLevel, writeBinary } from "./node.ts";
import { LEVELS, splitPath, trySplitPath } from "./path.ts";

const LOOK_AGAIN_SECONDS = 900;

/** A binary whose bytes are stored, and whose repos have to be told. */
export type Unsettled = {
  readonly segments: readonly string[];
  readonly stored: StoredBinary;
  /** The upload to forget when all is done; absent where the bytes were known. */
  readonly uploadId?: string;
};

/**
 * Takes in an upload that arrived: has the store copy it to the address of its hash, reads its head, and lets the binary
 * name it. Nothing refers to the bytes before their hash is known to be right. Undefined when nothing is left to do:
 * the event came twice, or a later upload took this one's place.
 */
export async function storeUpload(ctx: Context, uploadId: string): Promise<Unsettled | undefined> {
  const incoming = await ctx.objects.headIncoming(uploadId);
  if (!incoming) return undefined;
  const segments = trySplitPath(incoming.binary ?? "");
  const binary = segments?.length === LEVELS.length ? await findBinary(ctx, segments) : undefined;
  if (!segments || !binary) return forget(ctx, uploadId);
  const job = uploadJobId(uploadId, segments.join("/"));
  if (binary.awaited?.id !== uploadId) {
    // Died after the leaf was written, or superseded, or done.
    if (binary.stored?.job === job && !(await findUploadJob(ctx, job))) {
      return { segments, stored: binary.stored, uploadId };
    }
    return forget(ctx, uploadId);
  }
  const { awaited } = binary;
  const sha256 = incoming.sha256 ?? (await ctx.objects.hashIncoming(uploadId, incoming));
  const fresh = incoming.sha256 ? incoming : await ctx.objects.headIncoming(uploadId);
  if (!fresh) throw new Error("an upload vanished while it was hashed");
  const refusal = refusalOf(awaited, sha256, fresh);
  if (refusal !== undefined) {
    await failJob(ctx, job, segments, refusal);
    return forget(ctx, uploadId);
  }
  await ctx.objects.takeIn(uploadId, fresh, sha256);
  const stored: StoredBinary = {
    ...(await describe(ctx, segments, sha256, fresh.sizeBytes)),
    job,
    replace: awaited.force,
    settled: false,
    at: ctx.now().toISOString(),
  };
  if (!(await writeBinary(ctx, segments, binary, { stored }))) {
    // An event that came twice at once: the other one stored it, and tells the repos.
    if ((await findBinary(ctx, segments))?.stored?.job === job) return undefined;
    throw new Error(`${segments.join("/")} changed while its upload was taken in`);
  }
  for (const level of ancestorsOf(segments)) await touchLevel(ctx, level, stored.at);
  return { segments, stored, uploadId };
}

/** What is left to do for a binary whose bytes are stored, if anything. */
export async function findUnsettled(ctx: Context, path: string): Promise<Unsettled | undefined> {
  const segments = splitPath(path);
  const stored = (await findBinary(ctx, segments))?.stored;
  return stored && !stored.settled ? { segments, stored } : undefined;
}

/** Looks for an upload whose event never came; forgets one that never came itself. */
export async function lookForUpload(ctx: Context, path: string): Promise<Unsettled | undefined> {
  const segments = splitPath(path);
  const binary = await findBinary(ctx, segments);
  if (!binary?.awaited) return findUnsettled(ctx, path);
  const found = await storeUpload(ctx, binary.awaited.id);
  if (found) return found;
  const left = Date.parse(binary.awaited.expiresAt) - ctx.now().getTime();
  if (left > 0) await ctx.queues.ingest({ kind: "look", path }, Math.min(LOOK_AGAIN_SECONDS, left / 1000 + 1));
  return undefined;
}

function refusalOf(awaited: NonNullable<Binary["awaited"]>, sha256: Sha256, incoming: Incoming): string | undefined {
  if (awaited.sha256 !== undefined && awaited.sha256 !== sha256) {
    return `the uploaded bytes have SHA-256 ${sha256}, announced was ${awaited.sha256}`;
  }
  if (awaited.sizeBytes !== undefined && awaited.sizeBytes !== incoming.sizeBytes) {
    return `${incoming.sizeBytes} bytes were uploaded, announced were ${awaited.sizeBytes}`;
  }
  return undefined;
}

/** Reads what the bytes say of themselves; a file that cannot be read stays a file, with what is wrong with it. */
async function describe(
  ctx: Context,
  segments: readonly string[],
  sha256: Sha256,
  sizeBytes: number,
): Promise<Pick<StoredBinary, "sha256" | "sizeBytes" | "signed" | "format" | "problem">> {
  const filename = segments.at(-1) ?? "";
  try {
    const parsed = await parsePackage(await ctx.objects.blobSource(sha256), filename);
    const pkg: Package = await putPackage(ctx, parsed, { sha256, sizeBytes, filename, heldBy: segments.join("/") });
    return { sha256, sizeBytes, signed: pkg.signed, format: pkg.format };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { sha256, sizeBytes, signed: false, format: "unreadable", problem: error.message };
  }
}

async function failJob(ctx: Context, job: string, segments: readonly string[], error: string): Promise<void> {
  await putUploadJob(ctx, job, {
    binary: segments.join("/"),
    state: "failed",
    error,
    notes: [],
    repos: [],
    at: ctx.now().toISOString(),
  });
}

async function forget(ctx: Context, uploadId: string): Promise<undefined> {
  await ctx.objects.deleteIncoming(uploadId);
  return undefined;
}
