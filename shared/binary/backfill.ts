import { commitDelta } from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { findPackage, parsedOf } from "../package.ts";
import { type AcceptRule, placesFor } from "../repo/accepts.ts";
import { announce } from "../repo/announce.ts";
import { canHold, entriesFor } from "../repo/entries.ts";
import { findRepo, type Repo, type RepoRef } from "../repo/repo.ts";
import { keys } from "../store/keys.ts";
import type { Delta } from "../tree/edit.ts";
import { storedAt } from "./leave.ts";
import { type Child, childrenOf } from "./node.ts";
import { binaryPathOf } from "./path.ts";
import { takeLater } from "./whole.ts";

const LEVELS = 5;
/** Binaries committed at once: their index text is in memory. */
const BATCH = 200;

/**
 * Takes into a repo what already matches its patterns. Binaries that arrive meanwhile are taken in by their own ingest,
 * which finds the patterns before this walk begins. Safe to repeat: what the repo has is no change.
 */
export async function backfillRepo(ctx: Context, ref: RepoRef): Promise<void> {
  const repo = await findRepo(ctx, ref);
  if (!repo || repo.backfilled >= repo.version) return;
  let batch: Gift[] = [];
  for (const rule of repo.accepts) {
    for await (const found of matching(ctx, rule)) {
      batch.push(...(await entriesOf(ctx, repo, found)));
      if (batch.length < BATCH) continue;
      await commit(ctx, repo, batch);
      batch = [];
    }
  }
  if (batch.length > 0) await commit(ctx, repo, batch);
  // Where the settings changed meanwhile, their own walk is on its way.
  await ctx.table.update(
    keys.repo(repo.type, repo.name),
    { set: { backfilled: repo.version } },
    { equals: { id: repo.id, version: repo.version } },
  );
}

type Gift = Delta["put"][number] & { readonly found: Found };
type Found = { readonly segments: readonly string[]; readonly child: Child };

/** The binaries a pattern names, by walking only the levels that it leaves open. */
async function* matching(ctx: Context, rule: AcceptRule, above: readonly string[] = []): AsyncGenerator<Found> {
  const pattern = rule.path.split("/");
  const open = pattern.at(-1) === "**" && above.length >= pattern.length - 1;
  const wanted = open || above.length >= pattern.length ? "*" : (pattern[above.length] ?? "*");
  if (wanted !== "*" && above.length + 1 < LEVELS) {
    yield* matching(ctx, rule, [...above, wanted]);
    return;
  }
  let after: string | undefined;
  do {
    const page = await childrenOf(ctx, above, after);
    for (const child of page.children) {
      if (wanted !== "*" && wanted !== child.name) continue;
      const segments = [...above, child.name];
      if (segments.length === LEVELS) yield { segments, child };
      else yield* matching(ctx, rule, segments);
    }
    after = page.next;
  } while (after !== undefined);
}

async function entriesOf(ctx: Context, repo: Repo, found: Found): Promise<Gift[]> {
  const { segments, child } = found;
  const { node } = child;
  if (node.kind !== "binary" || !node.stored || node.stored.problem !== undefined) return [];
  const { stored } = node;
  if (stored.format === "unreadable") return [];
  if (stored.format === "changes") {
    await takeLater(ctx, repo, { segments, stored });
    return [];
  }
  // It comes with those that it belongs to.
  if (stored.changes !== undefined || (stored.format === "dsc" && stored.parts !== "here")) return [];
  if (!canHold(repo.type, stored.format)) return [];
  const pkg = await findPackage(ctx, stored.sha256);
  if (!pkg) return [];
  const at = binaryPathOf(segments);
  const parsed = await parsedOf(ctx, pkg);
  try {
    const entries = entriesFor(repo, { pkg, parsed, filename: at.binary, places: placesFor(repo, at) });
    return entries.map((entry) => ({ entry, replace: false, giver: segments.join("/"), found }));
  } catch (error) {
    // One binary that cannot go where the patterns say keeps no other out.
    if (error instanceof AppError) return [];
    throw error;
  }
}

/** A package whose place is taken by other bytes stays out: the repo keeps what it has. */
async function commit(ctx: Context, repo: Repo, gifts: readonly Gift[]): Promise<void> {
  const { commit: made } = await commitDelta(
    ctx,
    repo,
    { put: gifts, remove: [] },
    { by: repo.createdBy, message: `take in what the patterns match (${gifts.length})` },
  );
  await announce(ctx, repo, made);
  await leaveChanged(ctx, gifts);
}

/** What was removed or replaced while it was taken in here is not what its repos were told of then. */
async function leaveChanged(ctx: Context, gifts: readonly Gift[]): Promise<void> {
  const paths = [...new Map(gifts.map(({ giver = "", found }) => [giver, found]))];
  const stored = await storedAt(
    ctx,
    paths.map(([path]) => path),
  );
  for (const [path, { child }] of paths) {
    const was = child.node.kind === "binary" ? child.node.stored?.sha256 : undefined;
    if (stored.get(path)?.sha256 !== was) await ctx.queues.worker({ kind: "leave", path });
  }
}
