import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { findUploadJob, putUploadJob, uploadJobId } from "../job/upload-job.ts";
import { type Package, type Parsed, parsePackage, putPackage } from "../package.ts";
import { digestsOf } from "./digests.ts";
import { releaseBinary } from "./lapse.ts";
import { sendLeaving } from "./leave.ts";
import { markArrived } from "./multipart.ts";
import { type Binary, findBinary, type StoredBinary, writeBinary } from "./node.ts";
import { LEVELS, splitPath, trySplitPath } from "./path.ts";
import { forgetHints } from "./search-hints.ts";
import { refusalOf, takeIn } from "./take-in.ts";

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
 * the event came twice, or a later upload took this one's place; or when the worker has to go on with it. `isOver` is the
 * worker's: asked now and then whether to stop and hand it on.
 */
export async function storeUpload(
  ctx: Context,
  uploadId: string,
  isOver?: () => boolean,
): Promise<Unsettled | undefined> {
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
  const sizeRefusal = refusalOf(awaited, { sizeBytes: incoming.sizeBytes });
  if (sizeRefusal !== undefined) return refuse(ctx, uploadId, segments, binary, sizeRefusal);
  if (incoming.sizeBytes > ctx.uploadTerms.quickBytes && !isOver) {
    // Whoever sees the mark knows that it came in time, however long it takes to verify it.
    if (!(await markArrived(ctx, segments, binary, awaited))) throw changedMeanwhile(segments);
    await ctx.queues.worker({ kind: "verify", upload: uploadId });
    return undefined;
  }
  const taken = await takeIn(ctx, uploadId, incoming, awaited, isOver ?? (() => false));
  if (taken === "later") return undefined;
  if ("refusal" in taken) return refuse(ctx, uploadId, segments, binary, taken.refusal);
  const { sha256 } = taken;
  const stored: StoredBinary = {
    ...(await describe(ctx, segments, sha256, incoming.sizeBytes)),
    job,
    replace: awaited.force,
    ...(binary.stored ? { replaces: true } : {}),
    ...(awaited.labels ? { labels: awaited.labels } : {}),
    ...(awaited.changes === undefined ? {} : { changes: awaited.changes }),
    settled: false,
    at: ctx.now().toISOString(),
  };
  if (binary.stored) await sendLeaving(ctx, segments);
  if (!(await writeBinary(ctx, segments, binary, { stored }))) {
    // An event that came twice at once: the other one stored it, and tells the repos.
    if ((await findBinary(ctx, segments))?.stored?.job === job) return undefined;
    throw changedMeanwhile(segments);
  }
  if (binary.stored) await forgetHints(ctx, [{ segments, stored: binary.stored }]);
  return { segments, stored, uploadId };
}

/** What is left to do for a binary whose bytes are stored, if anything. */
export async function findUnsettled(ctx: Context, path: string): Promise<Unsettled | undefined> {
  const segments = splitPath(path);
  const stored = (await findBinary(ctx, segments))?.stored;
  return stored && !stored.settled ? { segments, stored } : undefined;
}

/** Ends what a refused upload left. One PUT may be sent again to the same address; parts are gone, and so is what awaits them. */
async function refuse(
  ctx: Context,
  uploadId: string,
  segments: readonly string[],
  binary: Binary,
  error: string,
): Promise<undefined> {
  await putUploadJob(ctx, uploadJobId(uploadId, segments.join("/")), {
    binary: segments.join("/"),
    state: "failed",
    error,
    notes: [],
    repos: [],
    at: ctx.now().toISOString(),
  });
  if (binary.awaited?.parts) await releaseBinary(ctx, segments, binary);
  return forget(ctx, uploadId);
}

function changedMeanwhile(segments: readonly string[]): Error {
  return new Error(`${segments.join("/")} changed while its upload was taken in`);
}

/** Reads what the bytes say of themselves; a file that cannot be read stays a file, with what is wrong with it. */
async function describe(
  ctx: Context,
  segments: readonly string[],
  sha256: Sha256,
  sizeBytes: number,
): Promise<Pick<StoredBinary, "sha256" | "sizeBytes" | "signed" | "format" | "problem" | "sha512">> {
  const filename = segments.at(-1) ?? "";
  const [parsed, digests] = await Promise.all([readPackage(ctx, sha256, filename), digestsOf(ctx, sha256, sizeBytes)]);
  const common = { sha256, sizeBytes, ...(digests ? { sha512: digests.sha512 } : {}) };
  if (parsed instanceof AppError) return { ...common, signed: false, format: "unreadable", problem: parsed.message };
  const heldBy = segments.join("/");
  const pkg: Package = await putPackage(ctx, parsed, { sha256, sizeBytes, filename, heldBy, digests });
  return { ...common, signed: pkg.signed, format: pkg.format };
}

async function readPackage(ctx: Context, sha256: Sha256, filename: string): Promise<Parsed | AppError> {
  try {
    return await parsePackage(await ctx.objects.blobSource(sha256), filename);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

async function forget(ctx: Context, uploadId: string): Promise<undefined> {
  await ctx.objects.deleteIncoming(uploadId);
  return undefined;
}
