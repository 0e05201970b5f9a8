import type { Context } from "../context.ts";
import { takeOver } from "../repo/change.ts";
import { findRepo, type RepoRef } from "../repo/repo.ts";
import { findUpstream } from "./upstream.ts";

/** Takes over the head of what a repo follows. The follower's own changes end with that, as in any mirror. */
export async function follow(ctx: Context, ref: RepoRef): Promise<void> {
  const repo = await findRepo(ctx, ref);
  if (!repo?.follow) return;
  const source = { type: repo.type, name: repo.follow };
  const found = (await findRepo(ctx, source)) ?? (await findUpstream(ctx, source));
  if (found) await takeOver(ctx, repo, found, { by: "follow" });
}
