import { createRoute, z } from "@hono/zod-openapi";
import { headOf } from "../../../shared/commit.ts";
import type { Context } from "../../../shared/context.ts";
import { AppError } from "../../../shared/error.ts";
import { findSyncJob } from "../../../shared/job/sync-job.ts";
import { REPO_NAME, type RepoRef } from "../../../shared/repo/repo.ts";
import {
  createUpstream,
  deleteUpstream,
  findUpstreamsNamed,
  listUpstreams,
  resyncUpstream,
  type Upstream,
  UpstreamSettings,
} from "../../../shared/sync/upstream.ts";
import type { App } from "../app.ts";
import { json, problem } from "../schemas.ts";
import { chainRoutes } from "./chain.ts";
import { ByName, checkSameName, newRef, Type } from "./named.ts";
import { answerMap, MapQuery, PackageMap } from "./package-map.ts";

const Name = z.string().regex(REPO_NAME, `must match ${REPO_NAME.source}`);
const NewUpstream = UpstreamSettings.extend({ name: Name, type: Type });
const ChangedUpstream = UpstreamSettings.extend({ name: Name.optional(), type: Type.optional() });
const Uri = z.object({ uri: z.string() });
const UpstreamView = z
  .object({
    name: z.string(),
    path: z.string(),
    type: Type,
    series: z.array(z.string()).optional(),
    components: z.array(z.string()).optional(),
    architectures: z.array(z.string()).optional(),
    key: z.string().optional(),
    include: z.array(z.string()),
    exclude: z.array(z.string()),
    extras: z.array(z.string()),
    policy: z.string(),
    schedule: z.string().nullable(),
    state: z.string(),
    job: z.string(),
    last_synced: z.string().nullable(),
    packages: z.int(),
    /** Of all packages of the newest commit; 0 before there is one. */
    bytes: z.int(),
    commit: z.int(),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .openapi("Upstream");

const refusals = {
  400: problem("wrong"),
  401: problem("no token"),
  409: problem("the name is taken"),
  422: problem("what cannot be together"),
};

/** Other people's repositories that we follow. */
export function upstreams(app: App): void {
  collection(app);
  single(app);
  app.openapi(
    createRoute({
      method: "get",
      path: "/upstream/{name}/packages",
      tags: ["repositories"],
      summary: "The packages of an upstream, by hash",
      request: {
        params: ByName.params,
        query: MapQuery.extend({ type: Type.optional() }),
      },
      responses: {
        200: json(PackageMap, "the map, or a page of it"),
        303: { description: "to the whole map as a blob" },
        404: problem("unknown"),
      },
    }),
    async (c) => {
      const { ctx } = c.var;
      const { type, ...query } = c.req.valid("query");
      const upstream = await oneUpstream(ctx, c.req.valid("param").name, type);
      return answerMap(c, upstream, query, `${upstreamUri(ctx, upstream)}/packages`);
    },
  );
  chainRoutes(app, { kind: "upstream", find: oneUpstream });
}

function collection(app: App): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/upstream",
      tags: ["repositories"],
      summary: "List the upstreams",
      request: { query: z.object({ after: z.string().max(200).optional() }) },
      responses: { 200: json(z.record(z.string(), z.string()), "name to address") },
    }),
    async (c) => {
      const { ctx } = c.var;
      const page = await listUpstreams(ctx, c.req.valid("query").after);
      if (page.next !== undefined) {
        c.header("Link", `<${ctx.publicUrl}/upstream?after=${encodeURIComponent(page.next)}>; rel="next"`);
      }
      const listing: Record<string, string> = {};
      for (const ref of page.upstreams) {
        const taken = Object.hasOwn(listing, ref.name);
        listing[taken ? `${ref.type}/${ref.name}` : ref.name] =
          `${upstreamUri(ctx, ref)}${taken ? `?type=${ref.type}` : ""}`;
      }
      return c.json(listing, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "post",
      path: "/upstream",
      tags: ["repositories"],
      summary: "Make an upstream and start its first sync",
      request: { body: { ...json(NewUpstream, "where it lies, and what of it"), required: true } },
      responses: { 201: json(Uri, "made"), ...refusals },
    }),
    async (c) => {
      const { ctx, caller } = c.var;
      const { name, type, ...settings } = c.req.valid("json");
      await createUpstream(ctx, { type, name }, settings, caller?.user ?? "");
      return c.json({ uri: upstreamUri(ctx, { name }) }, 201);
    },
  );
}

function single(app: App): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/upstream/{name}",
      tags: ["repositories"],
      summary: "An upstream",
      request: ByName,
      responses: { 200: json(UpstreamView, "its settings and state"), 404: problem("unknown") },
    }),
    async (c) => {
      const upstream = await oneUpstream(c.var.ctx, c.req.valid("param").name, c.req.valid("query").type);
      return c.json(await upstreamView(c.var.ctx, upstream), 200);
    },
  );
  app.openapi(
    createRoute({
      method: "put",
      path: "/upstream/{name}",
      tags: ["repositories"],
      summary: "Make an upstream, or change it and sync again",
      request: { ...ByName, body: { ...json(ChangedUpstream, "what is to be"), required: true } },
      responses: { 201: json(UpstreamView, "made"), 202: json(UpstreamView, "a sync is under way"), ...refusals },
    }),
    async (c) => {
      const { ctx, caller } = c.var;
      const { name } = c.req.valid("param");
      const { name: given, type, ...settings } = c.req.valid("json");
      checkSameName(given, name);
      const wanted = type ?? c.req.valid("query").type;
      const known = (await findUpstreamsNamed(ctx, name)).find((one) => wanted === undefined || one.type === wanted);
      if (known) return c.json(await upstreamView(ctx, await resyncUpstream(ctx, known, settings)), 202);
      const ref = newRef(name, wanted);
      const made = await createUpstream(ctx, ref, settings, caller?.user ?? "");
      return c.json(await upstreamView(ctx, made), 201);
    },
  );
  app.openapi(
    createRoute({
      method: "delete",
      path: "/upstream/{name}",
      tags: ["repositories"],
      summary: "Remove an upstream; never a package",
      request: ByName,
      responses: { 200: json(z.object({}), "removed"), 401: problem("no token"), 404: problem("unknown") },
    }),
    async (c) => {
      const { ctx } = c.var;
      await deleteUpstream(ctx, await oneUpstream(ctx, c.req.valid("param").name, c.req.valid("query").type));
      return c.json({}, 200);
    },
  );
}

async function oneUpstream(ctx: Context, name: string, type: RepoRef["type"] | undefined): Promise<Upstream> {
  const found = (await findUpstreamsNamed(ctx, name)).find((one) => type === undefined || one.type === type);
  if (!found) throw new AppError("not_found", `no upstream ${JSON.stringify(name.slice(0, 100))}`);
  return found;
}

function upstreamUri(ctx: Context, { name }: Pick<RepoRef, "name">): string {
  return `${ctx.publicUrl}/upstream/${name}`;
}

async function upstreamView(ctx: Context, upstream: Upstream): Promise<z.infer<typeof UpstreamView>> {
  const [head, job] = await Promise.all([headOf(ctx, upstream), findSyncJob(ctx, upstream.job)]);
  return {
    name: upstream.name,
    path: upstream.path,
    type: upstream.type,
    ...(upstream.series ? { series: upstream.series } : {}),
    ...(upstream.components ? { components: upstream.components } : {}),
    ...(upstream.architectures ? { architectures: upstream.architectures } : {}),
    ...(upstream.key ? { key: upstream.key } : {}),
    include: upstream.include,
    exclude: upstream.exclude,
    extras: upstream.extras,
    policy: upstream.policy,
    schedule: upstream.schedule ?? null,
    state: job?.state ?? "queued",
    job: `${ctx.publicUrl}/jobs/${upstream.job}`,
    last_synced: upstream.lastSynced ?? null,
    packages: head.count,
    bytes: upstream.bytes ?? 0,
    commit: head.number,
    created_at: upstream.createdAt,
    updated_at: upstream.updatedAt,
  };
}
