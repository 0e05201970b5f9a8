import type { Sha256 } from "../blob.ts";
import { commitAt } from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { type HeldFile, heldIn } from "../publication/held-file.ts";
import { findRepo, type RepoRef } from "../repo/repo.ts";
import type { FileRef } from "../tree/entry.ts";
import { waitFor } from "../wait.ts";
import { takeFile } from "./take.ts";
import { addressOf, findUpstream, type Upstream } from "./upstream.ts";

/** A file that a repo's commit holds, and that may not be ours yet. */
export type Wanted = HeldFile & { readonly repo: RepoRef };

/** Names the row that says where the bytes can be had: a commit never changes. */
export type FetchMessage = RepoRef & { readonly commit: number; readonly sha256: Sha256 };

/** Whoever asks again within that time, and one more second a megabyte, is not in need of another copy. */
const AGAIN_MS = 20_000;
const BYTES_A_MS = 1000;
const LONGEST_AGAIN_MS = 15 * 60_000;
const MOST_REMEMBERED = 10_000;

/** Of one process: what it asked for lately, and what it waits for. */
type Asked = { readonly until: Map<Sha256, number>; readonly waits: Map<Sha256, Promise<boolean>> };
const askedBy = new WeakMap<Context, Asked>();

/**
 * Where a client can have the bytes itself, from the upstream; undefined where it can't: the upstream wants credentials (a
 * query may be some, too), or speaks no HTTP, or plain HTTP where we speak HTTPS: apt refuses to go from there to here.
 */
export async function redirectTo(ctx: Context, { repo, refs }: Wanted): Promise<string | undefined> {
  for (const { url, upstream: name } of refs) {
    const plain = url === undefined ? undefined : plainUrl(url, ctx.publicUrl.startsWith("https:"));
    if (plain === undefined) continue;
    const upstream = await upstreamOf(ctx, repo, name);
    if (!upstream?.credentials) return plain;
  }
  return undefined;
}

function plainUrl(text: string, onlyHttps: boolean): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.protocol !== "https:" && (onlyHttps || url.protocol !== "http:")) return undefined;
  if (url.username !== "" || url.password !== "" || url.search !== "") return undefined;
  url.hash = "";
  return url.href;
}

/** Whether anything tells where the bytes are. */
export function canBeHad({ refs }: HeldFile): boolean {
  return refs.some(({ url }) => url !== undefined);
}

/** Has a copy made, unless this process asked for one a moment ago. One more does no harm: who makes it looks first. */
export async function askForCopy(ctx: Context, { repo, commit, refs: [{ sha256, sizeBytes }] }: Wanted): Promise<void> {
  const { until } = askedOf(ctx);
  const now = Date.now();
  if ((until.get(sha256) ?? 0) > now) return;
  if (until.size >= MOST_REMEMBERED) until.clear();
  until.set(sha256, now + Math.min(AGAIN_MS + sizeBytes / BYTES_A_MS, LONGEST_AGAIN_MS));
  try {
    await ctx.queues.worker({ kind: "fetch", type: repo.type, name: repo.name, commit, sha256 });
  } catch (error) {
    until.delete(sha256);
    throw error;
  }
}

/** Has a copy made and waits for it; false when the time is over first. All of a process that wait for it look together. */
export async function untilCopied(ctx: Context, wanted: Wanted, limitMs: number): Promise<boolean> {
  const [{ sha256 }] = wanted.refs;
  const { waits } = askedOf(ctx);
  const end = Date.now() + limitMs;
  for (let left = limitMs; left > 0; left = end - Date.now()) {
    const waiting = waits.get(sha256) ?? startWaiting(ctx, wanted, left);
    if (await waiting) return true;
  }
  return false;
}

function startWaiting(ctx: Context, wanted: Wanted, limitMs: number): Promise<boolean> {
  const [{ sha256 }] = wanted.refs;
  const { waits } = askedOf(ctx);
  const waiting = (async () => {
    try {
      await askForCopy(ctx, wanted);
      return await waitFor(async () => (await ctx.objects.blobSize(sha256)) !== undefined, limitMs);
    } finally {
      waits.delete(sha256);
    }
  })();
  waits.set(sha256, waiting);
  return waiting;
}

function askedOf(ctx: Context): Asked {
  const asked = askedBy.get(ctx) ?? { until: new Map(), waits: new Map() };
  askedBy.set(ctx, asked);
  return asked;
}

/**
 * Makes a file of a repo ours; no tree changes. Safe to repeat: what is there is not fetched again, and nothing is done where
 * the commit is no more.
 * @throws UpstreamError when the upstream has other bytes or none, UpstreamFault when it may have them later
 */
export async function fetchFile(ctx: Context, { type, name, commit: number, sha256 }: FetchMessage): Promise<void> {
  if ((await ctx.objects.blobSize(sha256)) !== undefined) return;
  const repo = await findRepo(ctx, { type, name });
  const commit = repo && (await commitAt(ctx, repo.id, number));
  const held = commit && (await heldIn(ctx, commit, sha256));
  let failure: unknown;
  for (const { url, ...file } of held?.refs ?? []) {
    if (url === undefined) continue;
    try {
      await take(ctx, type, { ...file, url });
      return;
    } catch (error) {
      // A fault is worth a retry, whatever is wrong with the other places.
      if (failure === undefined || failure instanceof AppError) failure = error;
    }
  }
  if (failure !== undefined) throw failure;
}

async function take(ctx: Context, type: RepoRef["type"], file: FileRef & { readonly url: string }): Promise<void> {
  const { url, sha256, sizeBytes } = file;
  const upstream = await upstreamOf(ctx, { type }, file.upstream);
  const address = upstream ? await addressOf(ctx, upstream) : "";
  await takeFile(ctx, address, { url, sizeBytes, checksum: { algorithm: "sha256", value: sha256 } });
}

/** One that is gone has no credentials any more; the file may be there without. */
async function upstreamOf(
  ctx: Context,
  { type }: Pick<RepoRef, "type">,
  name: string | undefined,
): Promise<Upstream | undefined> {
  return name === undefined ? undefined : findUpstream(ctx, { type, name });
}
