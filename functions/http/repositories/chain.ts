import { createRoute, z } from "@hono/zod-openapi";
import { type Commit, commitAt, listCommits } from "../../../shared/commit.ts";
import type { Context } from "../../../shared/context.ts";
import { AppError } from "../../../shared/error.ts";
import { type DiffEntry, diffCommits } from "../../../shared/repo/diff.ts";
import type { RepoRef } from "../../../shared/repo/repo.ts";
import type { App } from "../app.ts";
import { json, problem } from "../schemas.ts";
import { ByName, Type } from "./named.ts";

const Number_ = z.coerce.number().int().min(0);
/** What is made from any input would count as optional in the document. */
const RequiredNumber = Number_.openapi({ param: { required: true } });
export const CommitView = z
  .object({
    number: z.int(),
    parent: z.int().nullable(),
    packages: z.int(),
    tree: z.string(),
    at: z.string(),
    by: z.string(),
    message: z.string(),
  })
  .openapi("Commit");
const Changed = z.object({
  name: z.string(),
  version: z.string(),
  epoch: z.int().optional(),
  release: z.string().optional(),
  architecture: z.string(),
  filename: z.string(),
  shasum: z.string(),
  place: z.union([z.object({ suite: z.string(), component: z.string() }), z.string()]).optional(),
});
const Move = z.object({ from: Changed, to: Changed });
const DiffView = z
  .object({
    from: z.int(),
    to: z.int(),
    added: z.array(Changed),
    removed: z.array(Changed),
    upgraded: z.array(Move),
    downgraded: z.array(Move),
    replaced: z.array(Move),
  })
  .openapi("Diff");

export type ChainFinder = {
  readonly kind: "repo" | "upstream";
  /** @throws AppError `not_found` */
  readonly find: (
    ctx: Context,
    name: string,
    type: RepoRef["type"] | undefined,
  ) => Promise<RepoRef & { readonly id: string }>;
};

/** What a repo or an upstream was: its commits, and how two differ. */
export function chainRoutes(app: App, { kind, find }: ChainFinder): void {
  const a = kind === "repo" ? "a repo" : "an upstream";
  app.openapi(
    createRoute({
      method: "get",
      path: `/${kind}/{name}/commits`,
      tags: ["repositories"],
      summary: `The commits of ${a}, newest first`,
      request: { params: ByName.params, query: z.object({ type: Type.optional(), before: Number_.optional() }) },
      responses: { 200: json(z.array(CommitView), "a page of them"), 404: problem(`no such ${kind}`) },
    }),
    async (c) => {
      const { ctx } = c.var;
      const { type, before } = c.req.valid("query");
      const chain = await find(ctx, c.req.valid("param").name, type);
      const { commits, next } = await listCommits(ctx, chain.id, before);
      if (next !== undefined) {
        c.header(
          "Link",
          `<${ctx.publicUrl}/${kind}/${chain.name}/commits?type=${chain.type}&before=${next}>; rel="next"`,
        );
      }
      return c.json(commits.map(commitView), 200);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: `/${kind}/{name}/commits/{number}`,
      tags: ["repositories"],
      summary: `A commit of ${a}`,
      request: { params: ByName.params.extend({ number: RequiredNumber }), query: ByName.query },
      responses: { 200: json(CommitView, "the commit"), 404: problem(`no such ${kind} or commit`) },
    }),
    async (c) => {
      const { ctx } = c.var;
      const { name, number } = c.req.valid("param");
      const chain = await find(ctx, name, c.req.valid("query").type);
      const commit = await commitAt(ctx, chain.id, number);
      if (!commit) throw new AppError("not_found", `${kind} ${chain.name} has no commit ${number}`);
      return c.json(commitView(commit), 200);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: `/${kind}/{name}/diff`,
      tags: ["repositories"],
      summary: `What differs between two commits of ${a}`,
      request: {
        params: ByName.params,
        query: z.object({ type: Type.optional(), from: RequiredNumber, to: RequiredNumber }),
      },
      responses: {
        200: json(DiffView, "by the format's order of versions"),
        404: problem(`no such ${kind} or commit`),
      },
    }),
    async (c) => {
      const { type, from, to } = c.req.valid("query");
      const chain = await find(c.var.ctx, c.req.valid("param").name, type);
      const diff = await diffCommits(c.var.ctx, chain, from, to);
      const moves = (list: typeof diff.upgraded) =>
        list.map((move) => ({ from: changed(move.from), to: changed(move.to) }));
      return c.json(
        {
          from,
          to,
          added: diff.added.map(changed),
          removed: diff.removed.map(changed),
          upgraded: moves(diff.upgraded),
          downgraded: moves(diff.downgraded),
          replaced: moves(diff.replaced),
        },
        200,
      );
    },
  );
}

export function commitView({ number, parent, count, tree, at, by, message }: Commit): z.infer<typeof CommitView> {
  return { number, parent: parent ?? null, packages: count, tree, at, by, message };
}

function changed({ sizeBytes: _, sha256, place, ...entry }: DiffEntry): z.infer<typeof Changed> {
  return { ...entry, shasum: sha256, ...(place === undefined ? {} : { place }) };
}
