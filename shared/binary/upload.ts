import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { uploadJobId } from "../job/upload-job.ts";
import type { Upload } from "../objects/s3.ts";
import { type Package, packageOf } from "../package.ts";
import { keys } from "../store/keys.ts";
import { sendLeaving } from "./leave.ts";
import { atOf, beginUpload, inParts, type PartsUpload, partsPage } from "./multipart.ts";
import {
  ancestorsOf,
  type Binary,
  binaryOf,
  findBinary,
  type Labels,
  type StoredBinary,
  touchLevel,
  writeBinary,
} from "./node.ts";
import { checkName } from "./path.ts";
import { forgetHints } from "./search-hints.ts";

const UPLOAD_TTL_SECONDS = 3600;
/** Events may come a minute late; a lost one is made up for by looking. */
const LOOK_SECONDS = 120;
const MOST_ATTEMPTS = 20;

export type UploadRequest = {
  readonly labels?: Labels | undefined;
  readonly sha256?: Sha256 | undefined;
  readonly sizeBytes?: number | undefined;
  readonly force: boolean;
  /** The name of the .changes that it goes in with; it waits for that one and all that it names. */
  readonly changes?: string | undefined;
};

/** `upload` is null where no bytes are asked for: they are here, or on their way into the store already. */
export type AwaitedBinary = { readonly job: string; readonly upload: Upload | PartsUpload | null };

/**
 * Makes a binary that awaits its bytes, and tells how to send them; no bytes are asked for where we have them and the
 * caller may read them. Repeating a request is answered alike, whether the first answer arrived or not.
 *
 * Costs one read, another where the hash is known to us, one message and one write (and one for each new level above); where the
 * bytes come in parts, one request to the store.
 */
export async function awaitBinary(
  ctx: Context,
  segments: readonly string[],
  request: UploadRequest,
): Promise<AwaitedBinary> {
  const { mostBytes } = ctx.uploadTerms;
  if ((request.sizeBytes ?? 0) > mostBytes) {
    throw new AppError("invalid", `size ${request.sizeBytes} is over ${mostBytes} bytes, the most one binary can have`);
  }
  const terms = { ...request, changes: changesOf(segments, request.changes) };
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
    const answer = await tryAwait(ctx, segments, terms);
    if (answer) return answer;
  }
  throw new AppError("unavailable", `${segments.join("/")} is changed by others over and over; try again`);
}

/** A .changes goes in with itself, whoever says so. */
function changesOf(segments: readonly string[], changes: string | undefined): string | undefined {
  const name = segments.at(-1) ?? "";
  if (changes === undefined || changes === name) return undefined;
  checkName(changes, segments.length - 1);
  if (!changes.endsWith(".changes"))
    throw new AppError("invalid", `changes ${JSON.stringify(changes)} names no .changes`);
  if (name.endsWith(".changes")) throw new AppError("invalid", `${name} does not go in with another .changes`);
  return changes;
}

/** Undefined when somebody else wrote the leaf meanwhile. */
async function tryAwait(
  ctx: Context,
  segments: readonly string[],
  { sha256, sizeBytes, force, changes, labels }: UploadRequest,
): Promise<AwaitedBinary | undefined> {
  const path = segments.join("/");
  const levels = ancestorsOf(segments);
  const [leaf, known, ...above] = await ctx.table.getMany([
    keys.node(segments),
    sha256 === undefined ? keys.node(segments) : keys.package(sha256),
    ...levels.map((level) => keys.node(level)),
  ]);
  const binary = binaryOf(leaf);
  const stored = binary?.stored;
  // What was refused for want of others may be sent again when those are right.
  const again = stored?.parts === "refused" && sha256 === stored.sha256;
  if (stored && sha256 === stored.sha256 && !again) {
    if (force && (binary.awaited || (labels && !isDeepStrictEqual(labels, stored.labels)))) {
      return tellAnew(ctx, segments, binary, { ...stored, ...(labels ? { labels } : {}) });
    }
    if (!stored.settled) await ctx.queues.ingest({ kind: "settle", path });
    return { job: stored.job, upload: null };
  }
  if (stored && !force && !again) throw new AppError("conflict", `${segments.at(-1)} already exists`);

  const missing = levels.filter((_, index) => above[index] === undefined);
  const now = ctx.now();
  for (const level of missing) await touchLevel(ctx, level, now.toISOString());

  // Who announces the same bytes again waits for the same upload: whichever of them sends it first serves both.
  const before = binary?.awaited;
  const same = before && sha256 !== undefined && before.sha256 === sha256 && before.sizeBytes === sizeBytes;
  const shared = same && before.force === force && before.changes === changes ? before : undefined;
  const id = shared?.id ?? randomBytes(16).toString("hex");
  const job = uploadJobId(id, path);
  const pkg = sha256 !== undefined && known ? packageOf(known) : undefined;
  if (pkg && (await isReadable(ctx, pkg))) {
    await ctx.queues.ingest({ kind: "settle", path }, 1);
    const linked: Binary["stored"] = {
      sha256: pkg.sha256,
      sizeBytes: pkg.sizeBytes,
      signed: pkg.signed,
      format: pkg.format,
      job,
      replace: force,
      ...(changes === undefined ? {} : { changes }),
      ...(stored ? { replaces: true } : {}),
      ...(labels ? { labels } : {}),
      ...(pkg.digests ? { sha512: pkg.digests.sha512 } : {}),
      settled: false,
      at: now.toISOString(),
    };
    if (stored) await sendLeaving(ctx, segments);
    if (!(await writeBinary(ctx, segments, binary, { stored: linked }))) return undefined;
    if (stored) await forgetHints(ctx, [{ segments, stored }]);
    await ctx.queues.ingest({ kind: "settle", path });
    return { job, upload: null };
  }

  const announced = { ...(sha256 === undefined ? {} : { sha256 }), ...(sizeBytes === undefined ? {} : { sizeBytes }) };
  const terms = { force, ...(changes === undefined ? {} : { changes }), ...(labels ? { labels } : {}) };
  if (sizeBytes !== undefined && sizeBytes > ctx.uploadTerms.onePutBytes) {
    const joined = shared && (await joinUpload(ctx, shared, job));
    if (joined) return joined;
    const begun = await beginUpload(ctx, segments, { sizeBytes, lookSeconds: LOOK_SECONDS });
    const awaited: Binary["awaited"] = { ...begun, ...announced, ...terms };
    if (!(await writeBinary(ctx, segments, binary, { ...(stored ? { stored } : {}), awaited }))) {
      await ctx.objects.abortParts(atOf(begun));
      return undefined;
    }
    return { job: uploadJobId(begun.id, path), upload: await partsPage(ctx, begun, []) };
  }

  const upload = await ctx.objects.presignUpload({
    uploadId: id,
    binary: path,
    ttlSeconds: UPLOAD_TTL_SECONDS,
    ...announced,
  });
  await ctx.queues.ingest({ kind: "look", path }, LOOK_SECONDS);
  const awaited: Binary["awaited"] = { id, ...announced, expiresAt: upload.expires_at, ...terms };
  const written = await writeBinary(ctx, segments, binary, { ...(stored ? { stored } : {}), awaited });
  return written ? { job, upload } : undefined;
}

/** The bytes are what is wanted: what else was awaited is not any more, and what is said of them is told anew. */
async function tellAnew(
  ctx: Context,
  segments: readonly string[],
  binary: Binary,
  stored: StoredBinary,
): Promise<AwaitedBinary | undefined> {
  const path = segments.join("/");
  await ctx.queues.ingest({ kind: "settle", path }, 1);
  if (!(await writeBinary(ctx, segments, binary, { stored: { ...stored, settled: false } }))) return undefined;
  await ctx.queues.ingest({ kind: "settle", path });
  return { job: stored.job, upload: null };
}

/** What another one began, with what has come of it; undefined where it has ended without bytes. */
async function joinUpload(
  ctx: Context,
  before: NonNullable<Binary["awaited"]>,
  job: string,
): Promise<AwaitedBinary | undefined> {
  const awaited = inParts(before);
  if (!awaited) return undefined;
  const there = Date.parse(awaited.expiresAt) > ctx.now().getTime() && (await ctx.objects.listParts(atOf(awaited)));
  if (there) return { job, upload: await partsPage(ctx, awaited, there) };
  return (await ctx.objects.headIncoming(awaited.id)) ? { job, upload: null } : undefined;
}

/** Whether a binary that everyone may read names these bytes: only then may we tell that we have them. */
async function isReadable(ctx: Context, pkg: Package): Promise<boolean> {
  const holder = await findBinary(ctx, pkg.heldBy.split("/"));
  return holder?.stored?.sha256 === pkg.sha256;
}
