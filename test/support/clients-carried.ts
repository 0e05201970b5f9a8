import { commitDelta, commitTree, headOf } from "../../shared/commit.ts";
import { publishRepo } from "../../shared/publication/publish.ts";
import { findRepo } from "../../shared/repo/repo.ts";
import { type CarriedFile, writeCarried } from "../../shared/tree/carried.ts";
import type { Entry } from "../../shared/tree/entry.ts";
import type { Site } from "./clients-site.ts";

export type Beside = Omit<CarriedFile, "sha256" | "sizeBytes"> & { readonly bytes: Uint8Array };

/** A published repo that took over these entries, and these files beside them. */
export async function repoWith(
  site: Site,
  ref: { name: string; type: "apt" | "yum" },
  held: { entries?: readonly Entry[]; beside?: readonly Beside[] },
  settings: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await site.repo(ref.name, ref.type, settings);
  const ctx = site.packhouse.context;
  const repo = await findRepo(ctx, ref);
  if (!repo) throw new Error(`repo ${ref.name} is gone`);
  const terms = { by: "somebody", message: "take over" };
  const put = (held.entries ?? []).map((entry) => ({ entry, replace: true }));
  await commitDelta(ctx, repo, { put, remove: [] }, terms);
  const files: CarriedFile[] = [];
  for (const { bytes, ...file } of held.beside ?? [])
    files.push({ ...file, sha256: await ctx.objects.putBlob(bytes), sizeBytes: bytes.length });
  await commitTree(ctx, repo, { ...(await headOf(ctx, repo)), carried: await writeCarried(ctx.objects, files) }, terms);
  await publishRepo(ctx, ref);
}
