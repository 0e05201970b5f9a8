import pMap from "p-map";
import { z } from "zod";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { firstSegmentsOf } from "../repo/accepts.ts";
import { forgetPlans } from "../repo/plan.ts";
import { findRepo, type Repo, type RepoRef } from "../repo/repo.ts";
import { keys } from "../store/keys.ts";
import { readManifest } from "./manifest.ts";

const PARALLEL_DELETES = 8;
const REMINDER_SECONDS = 30;
const Published = z.object({ repoId: z.string(), manifest: z.custom<Parameters<typeof readManifest>[1]>() });

/**
 * Removes a repo, never a blob: its item first, which ends every write to it, then what clients read. Should we die on the way,
 * the reminder sent before ends it.
 */
export async function deleteRepo(ctx: Context, repo: Repo): Promise<void> {
  await ctx.queues.worker({ kind: "bury", type: repo.type, name: repo.name }, REMINDER_SECONDS);
  const deleted = await ctx.table.delete(keys.repo(repo.type, repo.name), { equals: { id: repo.id } });
  if (!deleted) throw new AppError("not_found", `no repo ${repo.name}: somebody else removed it`);
  // Not those of a repo that was made again under the name meanwhile.
  const own = { equals: { repoId: repo.id } };
  for (const first of firstSegmentsOf(repo.accepts)) {
    await ctx.table.delete(keys.accepts(first, repo.type, repo.name), own);
  }
  if (repo.follow !== null) await ctx.table.delete(keys.follower(repo.type, repo.follow, repo.name), own);
  await buryRepo(ctx, repo);
}

/** What is left of a repo that is no more; nothing where one of its name was made again. Safe to repeat. */
export async function buryRepo(ctx: Context, ref: RepoRef): Promise<void> {
  if (await findRepo(ctx, ref)) return;
  await unpublish(ctx, ref);
  await forgetPlans(ctx, ref);
  await ctx.table.delete(keys.repoListing(ref.type, ref.name));
}

/** Removes every pointer of the last publication under a name, unless it is that of the repo given. */
export async function unpublish(ctx: Context, ref: RepoRef, exceptId?: string): Promise<void> {
  const item = await ctx.table.get(keys.published(ref.type, ref.name));
  if (!item) return;
  const { repoId, manifest } = Published.parse(item);
  if (repoId === exceptId) return;
  const { files } = await readManifest(ctx, manifest);
  await pMap(
    files,
    ({ path }) => ctx.objects.deletePointer({ kind: "pointer", type: ref.type, repo: ref.name, path }),
    { concurrency: PARALLEL_DELETES },
  );
  await ctx.table.delete(keys.published(ref.type, ref.name), { equals: { repoId } });
}
