import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "../../../shared/context.ts";
import { keys } from "../../../shared/store/keys.ts";
import { waitFor } from "../../../shared/wait.ts";
import type { App } from "../app.ts";
import { json, problem } from "../schemas.ts";
import { frontPage } from "./front-page.ts";
import { AnyJob, isOver, jobView } from "./jobs.ts";

/** The longest a request waits: the HTTP API ends it at 30 s. */
const MOST_WAIT_SECONDS = 25;

const Health = z.object({
  status: z.enum(["ok", "failing"]),
  table: z.string(),
  store: z.string(),
  queues: z.string(),
});
const VERSION = "0.1.0";

/** What is here, whether it works, its description for programs, and the work in the background. */
export function service(app: App): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/",
      tags: ["service"],
      summary: "What is here",
      responses: {
        200: {
          description: "the addresses; a page for a browser",
          content: {
            "application/json": { schema: z.record(z.string(), z.string()) },
            "text/html": { schema: z.string() },
          },
        },
      },
    }),
    (c) => {
      const { publicUrl } = c.var.ctx;
      if (c.req.header("accept")?.includes("text/html")) return c.html(frontPage(publicUrl), 200);
      return c.json(
        {
          name: "packhouse",
          version: VERSION,
          packages: `${publicUrl}/packages/`,
          search: `${publicUrl}/search/`,
          repos: `${publicUrl}/repo`,
          apt: `${publicUrl}/apt/{repo}`,
          yum: `${publicUrl}/yum/{repo}`,
          dir: `${publicUrl}/dir/{repo}`,
          health: `${publicUrl}/health`,
          openapi: `${publicUrl}/openapi.json`,
        },
        200,
      );
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/health",
      tags: ["service"],
      summary: "Whether table, store and queues answer",
      responses: { 200: json(Health, "all do"), 503: json(Health, "one does not") },
    }),
    async (c) => {
      const parts = await health(c.var.ctx);
      const ok = Object.values(parts).every((state) => state === "ok");
      return ok
        ? c.json({ status: "ok" as const, ...parts }, 200)
        : c.json({ status: "failing" as const, ...parts }, 503);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/jobs/{id}",
      tags: ["service"],
      summary: "A job; with wait, as soon as it is done",
      request: {
        params: z.object({ id: z.string() }),
        query: z.object({ wait: z.coerce.number().min(0).default(0).openapi({ description: "seconds, at most 25" }) }),
      },
      responses: { 200: json(AnyJob, "its state"), 404: problem("unknown") },
    }),
    async (c) => {
      const { ctx } = c.var;
      const { id } = c.req.valid("param");
      let view: AnyJob | undefined;
      await waitFor(
        async () => {
          view = await jobView(ctx, id);
          return isOver(view);
        },
        Math.min(c.req.valid("query").wait, MOST_WAIT_SECONDS) * 1000,
      );
      return c.json(view ?? (await jobView(ctx, id)), 200);
    },
  );

  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/openapi.json",
    tags: ["service"],
    summary: "This document",
    responses: { 200: json(z.looseObject({ openapi: z.string() }), "OpenAPI 3.1") },
  });
  app.doc31("/openapi.json", (c) => ({
    openapi: "3.1.0",
    info: {
      title: "Packhouse",
      version: VERSION,
      description: "A package repository for apt, yum and plain directories.",
    },
    servers: [{ url: c.var.ctx.publicUrl }],
  }));
}

async function health(ctx: Context): Promise<Record<"table" | "store" | "queues", "ok" | "failing">> {
  const [table, store, queues] = await Promise.all(
    [ctx.table.get(keys.job("health")), ctx.objects.check(), ctx.queues.check()].map((check) =>
      check.then(
        () => "ok" as const,
        () => "failing" as const,
      ),
    ),
  );
  return { table: table ?? "failing", store: store ?? "failing", queues: queues ?? "failing" };
}
