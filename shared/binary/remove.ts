import pMap from "p-map";
import { z } from "zod";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { readUploadJobId } from "../job/upload-job.ts";
import type { Item } from "../store/dynamo.ts";
import { keys, partitions } from "../store/keys.ts";
import { endJob, sweepParts } from "./lapse.ts";
import { LATEST_SECONDS, sendLeaving } from "./leave.ts";
import { atOf, inParts } from "./multipart.ts";
import { type Binary, binaryOf, childrenOf, findBinary, hasLapsed, touchAbove } from "./node.ts";
import { LEVELS, splitPath } from "./path.ts";
import { forgetHints } from "./search-hints.ts";

/** Should we die on the way, or a message come to nothing. */
const REMINDER_SECONDS = 30;
const PARALLEL_LEAVES = 24;
const PARALLEL_LEVELS = 4;
const MOST_ATTEMPTS = 20;
const REMOVED = "the binary was deleted";

/**
 * Removes a binary; repos drop what they took from there. A death before the one write that decides leaves all as it was, one
 * behind it is made up for by the messages sent before. @throws AppError `not_found` where there is none
 */
export async function removeBinary(ctx: Context, segments: readonly string[]): Promise<void> {
  const path = segments.join("/");
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
    const binary = await findBinary(ctx, segments);
    if (!binary || hasLapsed(binary, ctx.now().toISOString())) {
      throw new AppError("not_found", `no binary ${segments.at(-1)}`);
    }
    if (binary.stored && attempt === 0) {
      await sendLeaving(ctx, segments);
      await ctx.queues.worker({ kind: "leave", path }, REMINDER_SECONDS);
    }
    await touchAbove(ctx, [{ segments, at: ctx.now().toISOString() }]);
    if (!(await ctx.table.delete(keys.node(segments), { equals: { revision: binary.revision } }))) continue;
    if (binary.stored) await ctx.queues.worker({ kind: "leave", path });
    await endWhatItHad(ctx, segments, binary);
    return;
  }
  throw new AppError("unavailable", `${path} is changed by others over and over; try again`);
}

/** `going`: the time was over; what is left goes without being asked for. */
export type Removed = "gone" | "going";

/**
 * Removes a level, with all below it where `recursive`. What others put there meanwhile is removed with it or stays whole.
 *
 * @throws AppError `not_found`; `conflict` where something is below and may not be removed
 */
export async function removeLevel(
  ctx: Context,
  segments: readonly string[],
  { recursive, isOver }: { readonly recursive: boolean; readonly isOver: () => boolean },
): Promise<Removed> {
  const path = segments.join("/");
  const name = `${LEVELS[segments.length - 1]} ${segments.at(-1)}`;
  const isEmpty = !(await hasChildren(ctx, segments));
  if (isEmpty && !(await ctx.table.get(keys.node(segments)))) throw new AppError("not_found", `no ${name}`);
  const notEmpty = () =>
    new AppError("conflict", `${name} is not empty: ?recursive=true deletes it with all that is below`);
  if (!isEmpty && !recursive) throw notEmpty();
  const at = ctx.now().toISOString();
  if (recursive) {
    for (const seconds of [REMINDER_SECONDS, LATEST_SECONDS]) {
      await ctx.queues.worker({ kind: "remove", path, at }, seconds);
    }
  }
  await touchAbove(ctx, [{ segments, at }]);
  const now = ctx.now().toISOString();
  const goes = recursive ? () => true : (binary: Binary) => hasLapsed(binary, now);
  const walk: Walk = { goes, upTo: at, isOver };
  if (!(await removeBelow(ctx, segments, walk))) {
    await ctx.queues.worker({ kind: "remove", path, at });
    return "going";
  }
  const isGone = await removeIfEmpty(ctx, segments, walk);
  if (!recursive && !isGone && (await hasChildren(ctx, segments))) throw notEmpty();
  if (recursive) await ctx.queues.worker({ kind: "leave", path });
  return "gone";
}

/**
 * Removes what a removal that began at `at` left of a level, but nothing that came later. Safe to repeat. False where the time was
 * over: then it has sent for itself.
 */
export async function continueRemoval(ctx: Context, path: string, at: string): Promise<boolean> {
  const segments = splitPath(path);
  const end = ctx.now().getTime() + ctx.uploadTerms.workSeconds * 1000;
  const goes = ({ updatedAt }: Binary) => updatedAt <= at;
  const walk: Walk = { goes, upTo: at, isOver: () => ctx.now().getTime() >= end };
  if (!(await removeBelow(ctx, segments, walk))) {
    await ctx.queues.worker({ kind: "remove", path, at });
    return false;
  }
  await removeIfEmpty(ctx, segments, walk);
  return true;
}

type Walk = {
  readonly goes: (binary: Binary) => boolean;
  /** Levels that were touched later are somebody's. */
  readonly upTo: string;
  readonly isOver: () => boolean;
};

/** False where the time was over before all was seen. */
async function removeBelow(ctx: Context, level: readonly string[], walk: Walk): Promise<boolean> {
  let after: string | undefined;
  do {
    if (walk.isOver()) return false;
    const page = await ctx.table.query(partitions.level(level), after === undefined ? {} : { after });
    const isLeaves = level.length === LEVELS.length - 1;
    const done = await pMap(
      page.items,
      async (item) => {
        if (walk.isOver()) return false;
        const segments = [...level, item.sk];
        if (isLeaves) return removeLeaf(ctx, segments, binaryOf(item), walk);
        if (!(await removeBelow(ctx, segments, walk))) return false;
        await removeIfEmpty(ctx, segments, walk, item);
        return true;
      },
      { concurrency: isLeaves ? PARALLEL_LEAVES : PARALLEL_LEVELS },
    );
    if (done.includes(false)) return false;
    after = page.next;
  } while (after !== undefined);
  return true;
}

async function removeLeaf(
  ctx: Context,
  segments: readonly string[],
  read: Binary | undefined,
  { goes }: Walk,
): Promise<boolean> {
  let binary = read;
  for (let attempt = 0; binary && attempt < MOST_ATTEMPTS; attempt += 1) {
    if (!goes(binary)) return true;
    if (await ctx.table.delete(keys.node(segments), { equals: { revision: binary.revision } })) {
      await endWhatItHad(ctx, segments, binary);
      return true;
    }
    binary = await findBinary(ctx, segments);
  }
  return binary === undefined;
}

const LevelTime = z.object({ updatedAt: z.string() });

/** Whether the level is gone. What came into it in the very moment has it come back. */
async function removeIfEmpty(ctx: Context, segments: readonly string[], { upTo }: Walk, read?: Item): Promise<boolean> {
  const key = keys.node(segments);
  let item = read ?? (await ctx.table.get(key));
  for (let attempt = 0; item && attempt < MOST_ATTEMPTS; attempt += 1) {
    const { updatedAt } = LevelTime.parse(item);
    if (updatedAt > upTo || (await firstBelow(ctx, segments)) !== undefined) return false;
    if (await ctx.table.delete(key, { equals: { updatedAt } })) break;
    item = await ctx.table.get(key);
  }
  const first = await firstBelow(ctx, segments);
  if (first === undefined) return true;
  await touchAbove(ctx, [{ segments: [...segments, first], at: ctx.now().toISOString() }]);
  return false;
}

async function firstBelow(ctx: Context, segments: readonly string[]): Promise<string | undefined> {
  return (await ctx.table.query(partitions.level(segments), { limit: 1 })).items[0]?.sk;
}

/** What a listing would show. */
async function hasChildren(ctx: Context, segments: readonly string[]): Promise<boolean> {
  let after: string | undefined;
  do {
    const page = await childrenOf(ctx, segments, after);
    if (page.children.length > 0) return true;
    after = page.next;
  } while (after !== undefined);
  return false;
}

/** What is left of a binary that is no more: what leads to it, and an upload that nobody awaits now. */
async function endWhatItHad(ctx: Context, segments: readonly string[], { stored, awaited }: Binary): Promise<void> {
  if (stored) await forgetHints(ctx, [{ segments, stored }]);
  const job = stored && !stored.settled ? readUploadJobId(stored.job) : undefined;
  if (job) await endJob(ctx, job.uploadId, segments, REMOVED);
  if (!awaited) return;
  await endJob(ctx, awaited.id, segments, REMOVED);
  const parts = inParts(awaited);
  if (!parts) return;
  await ctx.objects.abortParts(atOf(parts));
  await sweepParts(ctx, awaited.id);
}
