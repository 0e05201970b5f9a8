import pMap from "p-map";
import { z } from "zod";
import type { Context } from "../context.ts";
import { everyItem, type Item, type Page } from "../store/dynamo.ts";
import { keys, partitions } from "../store/keys.ts";
import { findUnsettled, type Unsettled } from "./ingest.ts";
import { findBinary, type StoredBinary, writeBinary } from "./node.ts";
import { gather, type Part } from "./parts.ts";

const LOOK_AGAIN_SECONDS = 900;
const MOST_ATTEMPTS = 20;
const PARALLEL = 8;
const MOST_TOLD = 10;
/** So many notes of a release are read for all files of it that come together. */
const FEW_WAITS = 100;

/** Milliseconds until it waits for others no longer. */
export function waitLeftOf(ctx: Context, { at }: StoredBinary): number {
  return Date.parse(at) + ctx.uploadTerms.partsWaitSeconds * 1000 - ctx.now().getTime();
}

/**
 * Has a binary wait for what belongs to it, or for the .changes that it goes in with. A message looks at it now and then, so that it
 * never waits longer than it may.
 */
export async function keepWaiting(ctx: Context, one: Unsettled, changes?: string): Promise<void> {
  if (one.stored.parts !== "waiting" || (changes !== undefined && one.stored.changes !== changes)) {
    await lookAgain(ctx, one);
    await amend(ctx, one, (now) =>
      isDecided(now) || now.settled
        ? undefined
        : { ...now, parts: "waiting", ...(changes === undefined ? {} : { changes }) },
    );
  }
  if (one.uploadId !== undefined) await ctx.objects.deleteIncoming(one.uploadId);
}

/** What a message about a waiting binary leads to: it is looked at, and again until it waits no more. */
export async function findWaiting(ctx: Context, path: string): Promise<Unsettled | undefined> {
  const found = await findUnsettled(ctx, path);
  if (found?.stored.parts === "waiting") await lookAgain(ctx, found);
  return found;
}

async function lookAgain(ctx: Context, { segments, stored }: Unsettled): Promise<void> {
  const leftSeconds = waitLeftOf(ctx, stored) / 1000;
  const seconds = leftSeconds > 0 ? Math.min(LOOK_AGAIN_SECONDS, leftSeconds + 1) : LOOK_AGAIN_SECONDS;
  await ctx.queues.ingest({ kind: "wait", path: segments.join("/") }, seconds);
}

type Decision = { readonly parts: "here" } | { readonly parts: "refused"; readonly problem: string };

/**
 * Writes down for good whether all that belongs to a binary is here: of two that look at the same time one decides for both. Answers
 * with what was decided; undefined where other bytes took its place, or all is done.
 */
export async function decide(ctx: Context, one: Unsettled, decision: Decision): Promise<Unsettled | undefined> {
  const stored = await amend(ctx, one, (now) => (now.settled || isDecided(now) ? undefined : { ...now, ...decision }));
  return stored && !stored.settled ? { ...one, leaf: undefined, stored } : undefined;
}

export function isDecided({ parts }: StoredBinary): boolean {
  return parts === "here" || parts === "refused";
}

/** Changes what a leaf says of its bytes, whoever writes it meanwhile. Undefined where those bytes are there no more. */
export async function amend(
  ctx: Context,
  { segments, stored: { job } }: Unsettled,
  change: (now: StoredBinary) => StoredBinary | undefined,
): Promise<StoredBinary | undefined> {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
    const binary = await findBinary(ctx, segments);
    if (binary?.stored?.job !== job) return undefined;
    const stored = change(binary.stored);
    if (!stored) return binary.stored;
    const { awaited } = binary;
    if (await writeBinary(ctx, segments, binary, { ...(awaited ? { awaited } : {}), stored })) return stored;
  }
  throw new Error(`${segments.join("/")} is changed by others over and over`);
}

const WaitItem = z.object({ sk: z.string(), sha256: z.string() });

/** Notes for which files a .dsc or .changes waits, so that whichever comes finds it. */
export async function noteParts(ctx: Context, { segments, stored }: Unsettled, parts: readonly Part[]): Promise<void> {
  await pMap(parts, ({ name }) => ctx.table.put({ ...keys.wait(segments, name), sha256: stored.sha256 }), {
    concurrency: PARALLEL,
  });
}

export async function forgetParts(ctx: Context, { segments }: Unsettled, parts: readonly Part[]): Promise<void> {
  await pMap(parts, ({ name }) => ctx.table.delete(keys.wait(segments, name)), { concurrency: PARALLEL });
}

/** Tells the .dsc and .changes that wait for a file, or were refused and named it. */
export type FindOwners = (segments: readonly string[]) => Promise<Unsettled[]>;

/**
 * How owners are found for some binaries, all of whose leaves are written. One query a release as a rule; one a file where many wait
 * there.
 */
export function ownersAmong(ctx: Context, some: readonly Pick<Unsettled, "segments">[]): FindOwners {
  const files = new Map<string, number>();
  for (const { segments } of some) {
    const release = partitions.waits(segments);
    files.set(release, (files.get(release) ?? 0) + 1);
  }
  const pages = new Map<string, Promise<Page>>();
  return async (segments) => {
    const release = partitions.waits(segments);
    const file = segments.at(-1) ?? "";
    if ((files.get(release) ?? 0) > 1) {
      const page = pages.get(release) ?? ctx.table.query(release, { limit: FEW_WAITS });
      pages.set(release, page);
      const { items, next } = await page;
      const own = items.filter(({ sk }) => sk.startsWith(`${file}/`));
      if (next === undefined) return ownersOf(ctx, segments, own);
    }
    return ownersOf(ctx, segments, everyItem(ctx.table, release, { beginsWith: `${file}/` }));
  };
}

async function ownersOf(
  ctx: Context,
  segments: readonly string[],
  waits: Iterable<Item> | AsyncIterable<Item>,
): Promise<Unsettled[]> {
  const owners: Unsettled[] = [];
  const file = segments.at(-1) ?? "";
  for await (const item of waits) {
    const { sk, sha256 } = WaitItem.parse(item);
    const path = [...segments.slice(0, -2), ...sk.split("/").slice(1)];
    const leaf = await findBinary(ctx, path);
    const stored = leaf?.stored;
    const isOpen = stored?.sha256 === sha256 && !(stored.settled && stored.parts === "here");
    if (isOpen) owners.push({ segments: path, stored, leaf });
    // It is whole, or gone: whoever was to forget this died before.
    else await ctx.table.delete(keys.wait(path, file), { equals: { sha256 } });
  }
  return owners;
}

/** What a waiting binary waits for, in words. */
export async function waitNotes(ctx: Context, segments: readonly string[], stored: StoredBinary): Promise<string[]> {
  if (stored.changes !== undefined) return [`goes in with all that ${stored.changes} names`];
  const { missing } = await gather(ctx, segments, stored);
  return missing.length === 0 ? [] : [`waits for ${shortened(missing)}`];
}

export function shortened(names: readonly string[]): string {
  const more = names.length - MOST_TOLD;
  return `${names.slice(0, MOST_TOLD).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
