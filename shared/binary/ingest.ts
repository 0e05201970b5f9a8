import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { findUploadJob, putUploadJob, uploadJobId } from "../job/upload-job.ts";
import { type Package, type Parsed, parsePackage, putPackage } from "../package.ts";
import { releaseBinary } from "./lapse.ts";
import { sendLeaving } from "./leave.ts";
import { markArrived } from "./multipart.ts";
import { type Binary, findBinary, type StoredBinary, writeBinary } from "./node.ts";
import { LEVELS, splitPath, trySplitPath } from "./path.ts";
import { readOnce } from "./read-once.ts";
import { forgetHints } from "./search-hints.ts";
import { refusalOf, takeIn } from "./take-in.ts";

/** A binary whose bytes are stored, and whose repos have to be told. */
export type Unsettled = {
  readonly segments: readonly string[];
  readonly stored: StoredBinary;
  /** The leaf as it was last read or written: most often it is still that when the repos were told. */
  readonly leaf?: Binary | undefined;
  /** What the bytes say of themselves, where they were just read. */
  readonly known?: Known | undefined;
  /** The upload to forget when all is done; absent where the bytes were known. */
  readonly uploadId?: string;
};

/** Of a batch all that was parsed is in memory at once: what is larger is read again when its turn comes. */
const MOST_KNOWN_BYTES = 128 * 1024;

/** A parsed blob, with all that was parsed of it. */
export type Known = { readonly pkg: Package; readonly parsed: Parsed };

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
      return { segments, stored: binary.stored, leaf: binary, uploadId };
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
  const { told, known } = await describe(ctx, segments, taken.sha256, incoming.sizeBytes);
  const stored: StoredBinary = {
    ...told,
    job,
    replace: awaited.force,
    ...(binary.stored ? { replaces: true } : {}),
    ...(awaited.labels ? { labels: awaited.labels } : {}),
    ...(awaited.changes === undefined ? {} : { changes: awaited.changes }),
    settled: false,
    at: ctx.now().toISOString(),
  };
  if (binary.stored) await sendLeaving(ctx, segments);
  const leaf = await writeBinary(ctx, segments, binary, { stored });
  if (!leaf) {
    // An event that came twice at once: the other one stored it, and tells the repos.
    if ((await findBinary(ctx, segments))?.stored?.job === job) return undefined;
    throw changedMeanwhile(segments);
  }
  if (binary.stored) await forgetHints(ctx, [{ segments, stored: binary.stored }]);
  return { segments, stored, leaf, known, uploadId };
}

/** What is left to do for a binary whose bytes are stored, if anything. */
export async function findUnsettled(ctx: Context, path: string): Promise<Unsettled | undefined> {
  const segments = splitPath(path);
  const leaf = await findBinary(ctx, segments);
  return leaf?.stored && !leaf.stored.settled ? { segments, stored: leaf.stored, leaf } : undefined;
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

type Told = Pick<StoredBinary, "sha256" | "sizeBytes" | "signed" | "format" | "problem" | "sha512">;

/** Reads what the bytes say of themselves; a file that cannot be read stays a file, with what is wrong with it. */
async function describe(
  ctx: Context,
  segments: readonly string[],
  sha256: Sha256,
  sizeBytes: number,
): Promise<{ readonly told: Told; readonly known?: Known | undefined }> {
  const filename = segments.at(-1) ?? "";
  const { source, digests } = await readOnce(ctx, sha256, sizeBytes);
  const parsed = await parsePackage(source, filename).catch(unlessRefused);
  const common = { sha256, sizeBytes, ...(digests ? { sha512: digests.sha512 } : {}) };
  if (parsed instanceof AppError) {
    return { told: { ...common, signed: false, format: "unreadable", problem: parsed.message } };
  }
  const file = { sha256, sizeBytes, filename, heldBy: segments.join("/"), digests };
  const pkg = await putPackage(ctx, parsed, file);
  const told = { ...common, signed: pkg.signed, format: pkg.format };
  return { told, known: bytesOf(parsed) <= MOST_KNOWN_BYTES ? { pkg, parsed } : undefined };
}

/** About what was parsed. */
function bytesOf(parsed: Parsed): number {
  if (parsed.format === "file") return 0;
  if (parsed.format === "rpm") return parsed.headerEnd - parsed.headerStart;
  return parsed.control.reduce((sum, [field, value]) => sum + field.length + value.length, 0);
}

function unlessRefused(error: unknown): AppError {
  if (error instanceof AppError) return error;
  throw error;
}

async function forget(ctx: Context, uploadId: string): Promise<undefined> {
  await ctx.objects.deleteIncoming(uploadId);
  return undefined;
}
