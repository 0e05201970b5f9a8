import { createRoute, z } from "@hono/zod-openapi";
import type { Chain } from "../../../shared/commit.ts";
import type { Context } from "../../../shared/context.ts";
import { AppError } from "../../../shared/error.ts";
import { patchPackages, setPackages, takeOver } from "../../../shared/repo/change.ts";
import { findReposNamed, type Repo } from "../../../shared/repo/repo.ts";
import { findUpstreamsNamed } from "../../../shared/sync/upstream.ts";
import type { App } from "../app.ts";
import { json, problem, Sha256Field } from "../schemas.ts";
import { ByName, commitTag, oneNamed, onlyOn, repoUri, Type } from "./named.ts";
import { answerMap, MapQuery, PackageMap, WantedMap, wantedOf } from "./package-map.ts";

const Sync = z.strictObject({ sync: z.strictObject({ name: z.string(), type: z.enum(["upstream", "repo"]) }) });
const Patch = z.strictObject({
  add: WantedMap.optional(),
  remove: z.array(Sha256Field).max(10_000).optional(),
});
const Done = z.object({ commit: z.int(), packages: z.int() });
const Query = MapQuery.extend({ type: Type.optional() });
const Forced = z.object({ type: Type.optional(), force: z.enum(["true", "false"]).optional() });

const refusals = {
  400: problem("the body is wrong"),
  401: problem("no token"),
  404: problem("no such repo"),
  409: problem("the repo holds other bytes under a name, or the types differ"),
  412: problem("the repo is at another commit than If-Match says"),
  422: problem("unknown packages, or entries that contradict theirs"),
};

/** The set of packages of a repo: read, replaced, changed, taken over. */
export function repoPackages(app: App): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/repo/{name}/packages",
      tags: ["repositories"],
      summary: "The packages of a repo, by hash",
      request: { params: ByName.params, query: Query },
      responses: {
        200: json(PackageMap, "the map, or a page of it"),
        303: { description: "to the whole map as a blob" },
        404: problem("no such repo"),
      },
    }),
    async (c) => {
      const { ctx } = c.var;
      const { type, ...query } = c.req.valid("query");
      const repo = await oneNamed(ctx, c.req.valid("param").name, type);
      return answerMap(c, repo, query, `${repoUri(ctx, repo)}/packages`);
    },
  );

  app.openapi(
    createRoute({
      method: "put",
      path: "/repo/{name}/packages",
      tags: ["repositories"],
      summary: "Set the packages of a repo, or take over another's",
      request: {
        params: ByName.params,
        query: Forced,
        body: { ...json(z.union([Sync, WantedMap]), "a map by hash, or what to sync with"), required: true },
      },
      responses: { 200: json(Done, "done, in one commit"), ...refusals },
    }),
    async (c) => {
      const { ctx, caller } = c.var;
      const { type, force } = c.req.valid("query");
      const repo = await oneNamed(ctx, c.req.valid("param").name, type);
      const terms = { by: caller?.user ?? "", onlyOn: onlyOn(c), force: force === "true" };
      const body = c.req.valid("json");
      const sync = Sync.safeParse(body);
      const commit = sync.success
        ? await takeOver(ctx, repo, await sourceOf(ctx, repo, sync.data.sync), terms)
        : await setPackages(ctx, repo, wantedOf(WantedMap.parse(body)), terms);
      c.header("ETag", commitTag(commit));
      return c.json({ commit: commit.number, packages: commit.count }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: "patch",
      path: "/repo/{name}/packages",
      tags: ["repositories"],
      summary: "Add packages to a repo and remove others",
      request: { params: ByName.params, query: Forced, body: { ...json(Patch, "what changes"), required: true } },
      responses: { 200: json(Done, "done, in one commit"), ...refusals },
    }),
    async (c) => {
      const { ctx, caller } = c.var;
      const { type, force } = c.req.valid("query");
      const repo = await oneNamed(ctx, c.req.valid("param").name, type);
      const { add = {}, remove = [] } = c.req.valid("json");
      const terms = { by: caller?.user ?? "", onlyOn: onlyOn(c), force: force === "true" };
      const commit = await patchPackages(ctx, repo, { add: wantedOf(add), remove }, terms);
      c.header("ETag", commitTag(commit));
      return c.json({ commit: commit.number, packages: commit.count }, 200);
    },
  );
}

/** What is taken over: of one type with its follower, since a tree is laid out by type. */
async function sourceOf(ctx: Context, repo: Repo, { name, type }: z.infer<typeof Sync>["sync"]): Promise<Chain> {
  const named: readonly Chain[] = await (type === "repo" ? findReposNamed : findUpstreamsNamed)(ctx, name);
  const source = named.find((one) => one.type === repo.type);
  if (source) return source;
  const [other] = named;
  if (!other) throw new AppError("not_found", `no ${type} ${JSON.stringify(name.slice(0, 100))} to sync with`);
  throw new AppError("conflict", `${other.name} is of type ${other.type}, ${repo.name} of type ${repo.type}`);
}
