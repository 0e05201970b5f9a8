import pMap from "p-map";
import type { Sha256 } from "../blob.ts";
import { headOf } from "../commit.ts";
import type { Context } from "../context.ts";
import { rowsHolding } from "../tree/hashes.ts";
import { describeRow, type PackageRow } from "../tree/layout.ts";
import { readTree } from "../tree/root.ts";
import { findRepo, listRepos, type Repo } from "./repo.ts";

/** A repo whose head holds a file, and what its row says of it. */
export type Holder = { readonly repo: Repo; readonly row: PackageRow };

const PARALLEL = 8;

/**
 * The repos whose heads hold a file: computed from the heads, never kept in step by hand. Costs two reads a repo and two of each
 * distinct tree.
 */
export async function holdersOf(ctx: Context, sha256: Sha256): Promise<Holder[]> {
  const lookups = new Map<string, ReturnType<typeof rowsHolding>>();
  const holders: Holder[] = [];
  let after: string | undefined;
  do {
    const page = await listRepos(ctx, after);
    await pMap(
      page.repos,
      async (ref) => {
        const repo = await findRepo(ctx, ref);
        if (!repo) return;
        const { hashes } = await headOf(ctx, repo);
        const rows =
          lookups.get(hashes) ?? readTree(ctx.objects, hashes).then((tree) => rowsHolding(ctx.objects, tree, sha256));
        lookups.set(hashes, rows);
        const [row] = await rows;
        if (row) holders.push({ repo, row: describeRow(repo.type, row) });
      },
      { concurrency: PARALLEL },
    );
    after = page.next;
  } while (after !== undefined);
  return holders.sort((a, b) => (a.repo.name < b.repo.name ? -1 : 1));
}
