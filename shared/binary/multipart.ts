import { randomBytes } from "node:crypto";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { uploadJobId } from "../job/upload-job.ts";
import type { Part, PartsAt, SignedPart } from "../objects/multipart.ts";
import { type Span, spansOf } from "../objects/spans.ts";
import { partBytesFor } from "../upload-terms.ts";
import { endJob, releaseBinary, sweepParts } from "./lapse.ts";
import { type AwaitedUpload, type Binary, findBinary, writeBinary } from "./node.ts";

/** A part that is there has its tag, one that is missing the way to send it. */
export type PartState = Span & Partial<Pick<SignedPart, "url" | "headers"> & Pick<Part, "eTag">>;

/** One page of an upload in parts. */
export type PartsUpload = {
  readonly id: string;
  readonly sizeBytes: number;
  readonly partBytes: number;
  readonly parts: readonly PartState[];
  /** The last number of the page, where others follow. */
  readonly next: number | undefined;
  /** What is there of all pages. */
  readonly received: { readonly parts: number; readonly bytes: number };
  /** Of the addresses. */
  readonly expiresAt: string;
  /** Of the upload: what is not complete then is gone. */
  readonly endsAt: string;
};

type AwaitedParts = AwaitedUpload & {
  readonly sizeBytes: number;
  readonly parts: { multipartId: string; partBytes: number };
};

/** `verifying`: all is here, and nothing more to be sent. */
export type UploadState =
  | { readonly state: "open"; readonly upload: PartsUpload }
  | { readonly state: "verifying" | "stored"; readonly job: string };

/**
 * Begins an upload in parts. Three requests: the store's beginning, and one for what is awaited; before both a message, so that
 * what a death in between leaves is found by the upload's id.
 */
export async function beginUpload(
  ctx: Context,
  segments: readonly string[],
  terms: { readonly sizeBytes: number; readonly lookSeconds: number },
): Promise<Pick<AwaitedParts, "id" | "sizeBytes" | "expiresAt" | "parts">> {
  const id = randomBytes(16).toString("hex");
  const path = segments.join("/");
  await ctx.queues.ingest({ kind: "look", path, upload: id }, terms.lookSeconds);
  const multipartId = await ctx.objects.beginParts(id, path);
  const { sizeBytes } = terms;
  return {
    id,
    sizeBytes,
    expiresAt: new Date(ctx.now().getTime() + ctx.uploadTerms.partsSeconds * 1000).toISOString(),
    parts: { multipartId, partBytes: partBytesFor(sizeBytes, ctx.uploadTerms) },
  };
}

export function inParts(awaited: AwaitedUpload | undefined): AwaitedParts | undefined {
  const { sizeBytes, parts } = awaited ?? {};
  return awaited && sizeBytes !== undefined && parts ? { ...awaited, sizeBytes, parts } : undefined;
}

/** One page of the parts behind number `after`. Nothing is there yet of an upload that was just begun: pass no parts. */
export async function partsPage(
  ctx: Context,
  awaited: Pick<AwaitedParts, "id" | "sizeBytes" | "expiresAt" | "parts">,
  there: readonly Part[],
  after = 0,
): Promise<PartsUpload> {
  const { id, sizeBytes, expiresAt: endsAt } = awaited;
  const { partBytes } = awaited.parts;
  const spans = spansOf(sizeBytes, partBytes);
  const page = spans.slice(after, after + ctx.uploadTerms.pageParts);
  const sound = soundParts(spans, there);
  const leftSeconds = (Date.parse(endsAt) - ctx.now().getTime()) / 1000;
  const missing = page.filter(({ number }) => !sound.has(number));
  const signed = await ctx.objects.presignParts(atOf(awaited), missing, leftSeconds);
  const urls = new Map(signed.parts.map((part) => [part.number, part]));
  return {
    id,
    sizeBytes,
    partBytes,
    parts: page.map((span) => urls.get(span.number) ?? { ...span, eTag: sound.get(span.number)?.eTag ?? "" }),
    next: after + page.length < spans.length ? after + page.length : undefined,
    received: { parts: sound.size, bytes: [...sound.values()].reduce((sum, part) => sum + part.sizeBytes, 0) },
    expiresAt: signed.expiresAt,
    endsAt,
  };
}

/** What an upload in parts has come to. `not_found` where it was aborted, refused, or never was. */
export async function viewUpload(
  ctx: Context,
  segments: readonly string[],
  id: string,
  after = 0,
): Promise<UploadState> {
  const binary = await findBinary(ctx, segments);
  const awaited = inParts(binary?.awaited);
  const job = uploadJobId(id, segments.join("/"));
  if (awaited?.id !== id) {
    if (binary?.stored?.job === job) return { state: "stored", job };
    throw unknownUpload(id);
  }
  const there = awaited.arrived ? undefined : await ctx.objects.listParts(atOf(awaited));
  if (there) return { state: "open", upload: await partsPage(ctx, awaited, there, after) };
  if (await ctx.objects.headIncoming(id)) return { state: "verifying", job };
  // Verified between the two reads.
  if ((await findBinary(ctx, segments))?.stored?.job === job) return { state: "stored", job };
  throw unknownUpload(id);
}

/**
 * Has the store make one object of the parts; what follows is told by the upload's job, whose id is answered. `named`: the parts
 * as the client knows them; without it, those that are there. Safe to repeat.
 */
export async function completeUpload(
  ctx: Context,
  segments: readonly string[],
  id: string,
  named?: readonly { readonly number: number; readonly eTag: string }[],
): Promise<string> {
  const binary = await findBinary(ctx, segments);
  const awaited = inParts(binary?.awaited);
  const job = uploadJobId(id, segments.join("/"));
  if (!binary || awaited?.id !== id) {
    if (binary?.stored?.job === job) return job;
    throw unknownUpload(id);
  }
  const there = await ctx.objects.listParts(atOf(awaited));
  const parts = there && chosenParts(awaited, there, named);
  const completed = parts ? await ctx.objects.completeParts(atOf(awaited), parts, awaited.sizeBytes) : "gone";
  if (completed === "changed") {
    throw new AppError("conflict", "a part was sent again meanwhile: complete once more when all have come");
  }
  if (completed === "gone" && !(await ctx.objects.headIncoming(id))) {
    // Another one completed it, and it was taken in already.
    if ((await findBinary(ctx, segments))?.stored?.job === job) return job;
    throw unknownUpload(id);
  }
  await markArrived(ctx, segments, binary, awaited);
  return job;
}

/** Ends an upload: nothing stays of its parts. Safe to repeat; `conflict` where it was completed. */
export async function abortUpload(ctx: Context, segments: readonly string[], id: string): Promise<void> {
  const binary = await findBinary(ctx, segments);
  const awaited = inParts(binary?.awaited);
  if (!binary || awaited?.id !== id) {
    if (binary?.stored?.job === uploadJobId(id, segments.join("/"))) throw isComplete();
    return;
  }
  // The store decides between this and a completion at the same time.
  await ctx.objects.abortParts(atOf(awaited));
  if (await ctx.objects.headIncoming(id)) throw isComplete();
  const released = await releaseBinary(ctx, segments, binary);
  if (!released && inParts((await findBinary(ctx, segments))?.awaited)?.id === id) {
    throw new AppError("unavailable", `${segments.at(-1)} was changed meanwhile; try again`);
  }
  await endJob(ctx, id, segments, "the upload was aborted");
  await sweepParts(ctx, id);
}

/** Notes that the bytes are here, so that nobody takes the upload for one that never came. */
export async function markArrived(
  ctx: Context,
  segments: readonly string[],
  binary: Binary,
  awaited: AwaitedUpload,
): Promise<boolean> {
  if (awaited.arrived) return true;
  const { stored } = binary;
  const arrived = { ...(stored ? { stored } : {}), awaited: { ...awaited, arrived: true } };
  return (await writeBinary(ctx, segments, binary, arrived)) !== undefined;
}

export function atOf({ id, parts }: Pick<AwaitedParts, "id" | "parts">): PartsAt {
  return { uploadId: id, multipartId: parts.multipartId };
}

/** A part of another size than ours cannot stay. */
function soundParts(spans: readonly Span[], there: readonly Part[]): Map<number, Part> {
  return new Map(
    there.filter((part) => spans[part.number - 1]?.sizeBytes === part.sizeBytes).map((part) => [part.number, part]),
  );
}

const MOST_NAMED = 20;

function chosenParts(
  { sizeBytes, parts: { partBytes } }: AwaitedParts,
  there: readonly Part[],
  named: readonly { readonly number: number; readonly eTag: string }[] | undefined,
): readonly Part[] {
  const spans = spansOf(sizeBytes, partBytes);
  const sound = soundParts(spans, there);
  const missing = spans.filter(({ number }) => !sound.has(number));
  if (missing.length > 0) throw new AppError("conflict", `${listed(missing)} of ${spans.length} not there yet`);
  const strange = named?.find(({ number }) => number > spans.length);
  if (strange) throw new AppError("invalid", `there is no part ${strange.number}: it has ${spans.length}`);
  const tags = named && new Map(named.map(({ number, eTag }) => [number, bare(eTag)]));
  const unnamed = spans.filter(({ number }) => tags && !tags.has(number));
  if (unnamed.length > 0) throw new AppError("invalid", `${listed(unnamed)} of ${spans.length} not named`);
  const changed = [...sound.values()].filter(({ number, eTag }) => tags && tags.get(number) !== bare(eTag));
  if (changed.length > 0)
    throw new AppError("conflict", `${listed(changed)} there with another etag than the one named`);
  return spans.flatMap(({ number }) => sound.get(number) ?? []);
}

function listed(parts: readonly { readonly number: number }[]): string {
  const numbers = parts.map(({ number }) => number);
  if (numbers.length === 1) return `part ${numbers[0]} is`;
  const more = numbers.length > MOST_NAMED ? ` and ${numbers.length - MOST_NAMED} more` : "";
  return `parts ${numbers.slice(0, MOST_NAMED).join(", ")}${more} are`;
}

function bare(eTag: string): string {
  return eTag.trim().replace(/^"|"$/g, "");
}

function isComplete(): AppError {
  return new AppError("conflict", "the upload is complete: delete the binary instead");
}

function unknownUpload(id: string): AppError {
  return new AppError("not_found", `no upload ${JSON.stringify(id.slice(0, 80))} is awaited here`);
}
