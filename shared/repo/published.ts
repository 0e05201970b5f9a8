import { z } from "zod";
import type { Context } from "../context.ts";
import { keys } from "../store/keys.ts";
import type { Repo } from "./repo.ts";

const LastPublication = z.object({ repoId: z.string(), commit: z.number().int(), date: z.number().int() });

/** Which commit clients read, and since when (seconds since 1970); undefined before a repo's first publication. */
export async function lastPublicationOf(
  ctx: Context,
  repo: Pick<Repo, "id" | "type" | "name">,
): Promise<{ commit: number; date: number } | undefined> {
  const item = await ctx.table.get(keys.published(repo.type, repo.name));
  const last = item && LastPublication.parse(item);
  return last?.repoId === repo.id ? last : undefined;
}
