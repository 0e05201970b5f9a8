import pMap from "p-map";
import { z } from "zod";
import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { FORMATS } from "../package.ts";
import { type Item, PAGE_ITEMS } from "../store/dynamo.ts";
import { keys, partitions } from "../store/keys.ts";

const PARALLEL = 8;

const hex = z.custom<Sha256>((value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value));

/** What whoever sent it said of a binary. */
const Labels = z.object({
  builtBy: z.string().optional(),
  /** Of its source: a branch or tag, and the commit. */
  ref: z.string().optional(),
  sha1: z.string().optional(),
  /** A blob of JSON. */
  extra: hex.optional(),
});

const Stored = z.object({
  sha256: hex,
  sizeBytes: z.number().int(),
  signed: z.boolean(),
  format: z.enum([...FORMATS, "unreadable"]),
  /** What is wrong with a file that calls itself a package, or that belongs to others which did not all come. */
  problem: z.string().optional(),
  /** The job that stored it. */
  job: z.string(),
  /** May take the place of other bytes in the repos that accept it. */
  replace: z.boolean(),
  /** The .changes that it goes in with, by name. */
  changes: z.string().optional(),
  /** Of a .dsc, a .changes and what goes in with one: whether all that belongs together is here. The last two are for good. */
  parts: z.enum(["waiting", "here", "refused"]).optional(),
  /** It took the place of other bytes, which repos may have from here. */
  replaces: z.boolean().optional(),
  /** Whether the repos that accept it have it. */
  settled: z.boolean(),
  labels: Labels.optional(),
  /** Where all the bytes were read. */
  sha512: z.string().optional(),
  at: z.string(),
});

const Awaited = z.object({
  /** Names the upload, the object it comes as and, with the path, the job. */
  id: z.string(),
  sha256: hex.optional(),
  sizeBytes: z.number().int().optional(),
  expiresAt: z.string(),
  force: z.boolean(),
  /** The .changes that it is to go in with, by name. */
  changes: z.string().optional(),
  /** Where it comes in parts: the store's name for it, and the size of each but the last. */
  parts: z.object({ multipartId: z.string(), partBytes: z.number().int() }).optional(),
  /** The bytes are here, and are being verified. */
  arrived: z.boolean().optional(),
  labels: Labels.optional(),
});

const BinaryItem = z.object({
  kind: z.literal("binary"),
  /** Grows with each write: the condition of the next. */
  revision: z.number().int(),
  updatedAt: z.string(),
  stored: Stored.optional(),
  awaited: Awaited.optional(),
});

const LevelItem = z.object({ kind: z.literal("level"), updatedAt: z.string() });

export type Labels = z.infer<typeof Labels>;
export type StoredBinary = z.infer<typeof Stored>;
export type AwaitedUpload = z.infer<typeof Awaited>;
/** A leaf of the discovery tree: what it names, and what it awaits. */
export type Binary = z.infer<typeof BinaryItem>;
export type Level = z.infer<typeof LevelItem>;

export async function findBinary(ctx: Context, segments: readonly string[]): Promise<Binary | undefined> {
  return binaryOf(await ctx.table.get(keys.node(segments)));
}

export function binaryOf(item: Item | undefined): Binary | undefined {
  return item && BinaryItem.parse(item);
}

/** Writes a leaf where nobody else wrote it since `before` was read; answers with what it is now. */
export async function writeBinary(
  ctx: Context,
  segments: readonly string[],
  before: Binary | undefined,
  after: Omit<Binary, "kind" | "revision" | "updatedAt">,
): Promise<Binary | undefined> {
  const binary: Binary = {
    kind: "binary",
    // A leaf that was deleted and made anew must not be taken for the one that was read.
    revision: (before?.revision ?? ctx.now().getTime()) + 1,
    // What is stored changes when bytes take its place, not when they are announced or the repos are told.
    updatedAt: after.stored?.at ?? ctx.now().toISOString(),
    ...after,
  };
  const written = await ctx.table.put(
    { ...keys.node(segments), ...binary },
    before === undefined ? { absent: true } : { equals: { revision: before.revision } },
  );
  return written ? binary : undefined;
}

/** The levels above a path, outermost first. */
export function ancestorsOf(segments: readonly string[]): (readonly string[])[] {
  return segments.slice(0, -1).map((_, index) => segments.slice(0, index + 1));
}

/** Makes a level or moves its time forward. Time only rises; to lose against a later one is success. */
export async function touchLevel(ctx: Context, segments: readonly string[], at: string): Promise<void> {
  await ctx.table.update(
    keys.node(segments),
    { set: { kind: "level", updatedAt: at } },
    { less: { attribute: "updatedAt", than: at } },
  );
}

/** Moves the time of all levels above what has changed, each once however much has changed below it. */
export async function touchAbove(
  ctx: Context,
  changes: readonly { readonly segments: readonly string[]; readonly at: string }[],
): Promise<void> {
  const levels = new Map<string, { level: readonly string[]; at: string }>();
  for (const { segments, at } of changes) {
    for (const level of ancestorsOf(segments)) {
      const path = level.join("/");
      const known = levels.get(path);
      if (known === undefined || known.at < at) levels.set(path, { level, at });
    }
  }
  await pMap([...levels.values()], ({ level, at }) => touchLevel(ctx, level, at), { concurrency: PARALLEL });
}

/** Levels that were removed in the moment that something came below them come back: one read, where none is missing. */
export async function remakeAbove(ctx: Context, segments: readonly string[]): Promise<void> {
  const levels = ancestorsOf(segments);
  const items = await ctx.table.getMany(levels.map((level) => keys.node(level)));
  const at = ctx.now().toISOString();
  for (const [index, level] of levels.entries()) if (items[index] === undefined) await touchLevel(ctx, level, at);
}

/** Makes a level and what is missing above it; `conflict` where it is there already. */
export async function makeLevel(ctx: Context, segments: readonly string[]): Promise<void> {
  const key = keys.node(segments);
  const exists = () => new AppError("conflict", `${segments.at(-1)} already exists`);
  // Asked first, so that a level that is there moves no time.
  if (await ctx.table.get(key)) throw exists();
  const at = ctx.now().toISOString();
  // What is above comes first: whoever dies in between leaves nothing that no listing leads to.
  for (const level of ancestorsOf(segments)) await touchLevel(ctx, level, at);
  if (!(await ctx.table.put({ ...key, kind: "level", updatedAt: at }, { absent: true }))) throw exists();
}

export type Child = { readonly name: string; readonly node: Binary | Level };

/** One page of what lies below a level, without what was awaited and did not come in time: one query. */
export async function childrenOf(
  ctx: Context,
  segments: readonly string[],
  after?: string,
  limit = PAGE_ITEMS,
): Promise<{ children: readonly Child[]; next: string | undefined }> {
  const page = await ctx.table.query(partitions.level(segments), { limit, ...(after === undefined ? {} : { after }) });
  const children = page.items.map((item) => ({
    name: item.sk,
    node: item.kind === "binary" ? BinaryItem.parse(item) : LevelItem.parse(item),
  }));
  const now = ctx.now().toISOString();
  return { children: children.filter(({ node }) => !hasLapsed(node, now)), next: page.next };
}

/** Whether it awaited bytes that did not come in time: then nothing tells of it any more. */
export function hasLapsed(node: Binary | Level, now: string): boolean {
  if (node.kind === "level" || node.stored || !node.awaited) return false;
  return !node.awaited.arrived && node.awaited.expiresAt <= now;
}
