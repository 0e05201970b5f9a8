import { createRoute, z } from "@hono/zod-openapi";
import { rollBack } from "../../../shared/repo/change.ts";
import type { App } from "../app.ts";
import { json, problem } from "../schemas.ts";
import { CommitView, chainRoutes, commitView } from "./chain.ts";
import { ByName, commitTag, oneNamed } from "./named.ts";

/** What a repo was: its commits, how two differ, and back to one. */
export function repoHistory(app: App): void {
  chainRoutes(app, { kind: "repo", find: oneNamed });
  app.openapi(
    createRoute({
      method: "post",
      path: "/repo/{name}/rollback",
      tags: ["repositories"],
      summary: "Make an earlier commit the newest",
      request: {
        ...ByName,
        body: { ...json(z.strictObject({ commit: z.int().min(0) }), "which one"), required: true },
      },
      responses: {
        200: json(CommitView, "the new commit, of the old tree"),
        400: problem("the body is wrong"),
        401: problem("no token"),
        404: problem("no such repo or commit"),
      },
    }),
    async (c) => {
      const { ctx, caller } = c.var;
      const repo = await oneNamed(ctx, c.req.valid("param").name, c.req.valid("query").type);
      const commit = await rollBack(ctx, repo, c.req.valid("json").commit, caller?.user ?? "");
      c.header("ETag", commitTag(commit));
      return c.json(commitView(commit), 200);
    },
  );
}
