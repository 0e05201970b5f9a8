import { createRoute, z } from "@hono/zod-openapi";
import { viewJob } from "../../../shared/binary/view-job.ts";
import type { Context } from "../../../shared/context.ts";
import { findSyncJob } from "../../../shared/job/sync-job.ts";
import { keys } from "../../../shared/store/keys.ts";
import { waitFor } from "../../../shared/wait.ts";
import type { App } from "../app.ts";
import { json, problem } from "../schemas.ts";
import { frontPage } from "./front-page.ts";

/** The longest a request waits: the HTTP API ends it at 30 s. */
const MOST_WAIT_SECONDS = 25;

const Health = z.object({
  status: z.enum(["ok", "failing"]),
  table: z.string(),
  store: z.string(),
  queues: z.string(),
});
const Job = z
  .object({
    id: z.string(),
    state: z.enum(["awaiting", "working", "publishing", "done", "failed", "superseded"]),
    binary: z.string(),
    error: z.string().optional(),
    notes: z.array(z.string()),
    repos: z.record(z.string(), z.object({ commit: z.int(), published_commit: z.int().nullable() })),
  })
  .openapi("Job");

const Counted = z.object({ done: z.int(), total: z.int() });
const Sync = z
  .object({
    id: z.string(),
    state: z.enum(["queued", "working", "done", "failed"]),
    upstream: z.string(),
    phase: z.string(),
    packages: Counted,
    bytes: Counted,
    errors: z.array(z.object({ url: z.string().optional(), message: z.string() })),
    commit: z.int().optional(),
    started_at: z.string(),
    updated_at: z.string(),
  })
  .openapi("SyncJob");
const AnyJob = z.union([Job, Sync]);

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
      let view: z.infer<typeof AnyJob> | undefined;
      await waitFor(
        async () => {
          view = await jobView(ctx, id);
          return ENDED.has(view.state);
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

const ENDED = new Set(["done", "failed", "superseded"]);

/** The job of an upload is told from its id; that of a sync has a record. */
async function jobView(ctx: Context, id: string): Promise<z.infer<typeof AnyJob>> {
  const sync = await findSyncJob(ctx, id);
  if (!sync) {
    const job = await viewJob(ctx, id);
    return { ...job, notes: [...job.notes] };
  }
  const { upstream, state, phase, packages, bytes, errors, commit, startedAt, updatedAt } = sync;
  return {
    id,
    state,
    upstream: upstream.name,
    phase,
    packages,
    bytes,
    errors,
    ...(commit === undefined ? {} : { commit }),
    started_at: startedAt,
    updated_at: updatedAt,
  };
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
