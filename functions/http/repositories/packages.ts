import { createRoute, z } from "@hono/zod-openapi";
import pMap from "p-map";
import type { Sha256 } from "../../../shared/blob.ts";
import { type Chain, type Commit, headOf } from "../../../shared/commit.ts";
import type { Context } from "../../../shared/context.ts";
import { AppError } from "../../../shared/error.ts";
import { type PackagesJob, startPackagesJob } from "../../../shared/job/packages-job.ts";
import { type ChangeTerms, patchPackages, setPackages, takeOver } from "../../../shared/repo/change.ts";
import { checkMapBlob } from "../../../shared/repo/map-blob.ts";
import { mergeInto, ON_CONFLICT } from "../../../shared/repo/merge.ts";
import { findReposNamed, type Repo } from "../../../shared/repo/repo.ts";
import { WantedMap, wantedOf } from "../../../shared/repo/wanted-map.ts";
import { findUpstreamsNamed } from "../../../shared/sync/upstream.ts";
import type { App } from "../app.ts";
import { json, problem, Sha256Field } from "../schemas.ts";
import { ByName, commitTag, oneNamed, onlyOn, repoUri, Type } from "./named.ts";
import { answerMap, MapQuery, PackageMap } from "./package-map.ts";

const Source = z.strictObject({ name: z.string(), type: z.enum(["upstream", "repo"]) });
type Source = z.infer<typeof Source>;
const Sync = z.strictObject({ sync: Source });
const Merge = z.strictObject({ sync: z.array(Source).min(1).max(20), on_conflict: z.enum(ON_CONFLICT).optional() });
const Blob = z.strictObject({ packages_blob: Sha256Field });
const NewSet = z.union([Blob, Sync, Merge, WantedMap], {
  error:
    'expected a map by hash, {"sync": {"name": …, "type": "upstream" or "repo"}}, {"sync": [such, …], "on_conflict": "refuse", "first" or "newest"}, or {"packages_blob": the hash of a map}',
});
const Patch = z.strictObject({
  add: WantedMap.optional(),
  remove: z.array(Sha256Field).max(10_000).optional(),
});
const Done = z.object({ commit: z.int(), packages: z.int() });
const Begun = z.object({ uri: z.string(), job: z.string() });
const Query = MapQuery.extend({ type: Type.optional() });
const Forced = z.object({ type: Type.optional(), force: z.enum(["true", "false"]).optional() });

/** Packages of several sources that a request merges; with more it could pass the 30 s that it has. */
const MOST_MERGED = 20_000;
/** Sources whose names are looked up at a time. */
const PARALLEL = 8;

const refusals = {
  400: problem("the body is wrong"),
  401: problem("no token"),
  404: problem("no such repo"),
  409: problem("other bytes under a name, in the repo or among those that are merged, or the types differ"),
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
      summary: "Set the packages of a repo, take over another's, or merge several",
      request: {
        params: ByName.params,
        query: Forced,
        body: { ...json(NewSet, "what it is to hold"), required: true },
      },
      responses: { 200: json(Done, "done, in one commit"), 202: json(Begun, "a job does it"), ...refusals },
    }),
    async (c) => {
      const { ctx, caller } = c.var;
      const { type, force } = c.req.valid("query");
      const repo = await oneNamed(ctx, c.req.valid("param").name, type);
      const terms = { by: caller?.user ?? "", onlyOn: onlyOn(c), force: force === "true" };
      const body = c.req.valid("json");
      const large = await tooLargeForRequest(ctx, repo, body);
      if (large) return c.json(await begin(ctx, repo, large, terms), 202);
      const commit = await setTo(ctx, repo, body, terms);
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

async function setTo(ctx: Context, repo: Repo, body: z.infer<typeof NewSet>, terms: ChangeTerms): Promise<Commit> {
  const one = Sync.safeParse(body);
  if (one.success) return takeOver(ctx, repo, await sourceOf(ctx, repo, one.data.sync), terms);
  const several = Merge.safeParse(body);
  if (!several.success) return setPackages(ctx, repo, wantedOf(WantedMap.parse(body)), terms);
  const { sync, on_conflict: onConflict = "refuse" } = several.data;
  const sources = await pMap(sync, (source) => sourceOf(ctx, repo, source), { concurrency: PARALLEL });
  return mergeInto(ctx, repo, sources, onConflict, terms);
}

/** What a job is to do. */
type Large = { readonly map: Sha256 } | { readonly merge: NonNullable<PackagesJob["merge"]> };

/** A set that a job is to make: one from a map beyond a request, and one of so much that a request might not last. */
async function tooLargeForRequest(ctx: Context, repo: Repo, body: z.infer<typeof NewSet>): Promise<Large | undefined> {
  const blob = Blob.safeParse(body);
  if (blob.success) {
    await checkMapBlob(ctx, blob.data.packages_blob);
    return { map: blob.data.packages_blob };
  }
  const several = Merge.safeParse(body);
  if (!several.success) return undefined;
  const { sync, on_conflict: onConflict = "refuse" } = several.data;
  const sources = await pMap(
    sync,
    async (named) => {
      const { id, name, ...chain } = await sourceOf(ctx, repo, named);
      return { id, kind: named.type, name, count: (await headOf(ctx, { id, ...chain })).count };
    },
    { concurrency: PARALLEL },
  );
  if (sources.reduce((sum, { count }) => sum + count, 0) <= MOST_MERGED) return undefined;
  return { merge: { sources: sources.map(({ id, kind, name }) => ({ id, kind, name })), onConflict } };
}

/** What is wrong already is told at once. */
async function begin(ctx: Context, repo: Repo, large: Large, { by, onlyOn, force = false }: ChangeTerms) {
  const { number } = await headOf(ctx, repo);
  if (onlyOn !== undefined && onlyOn !== number) {
    throw new AppError("precondition", `repo ${repo.name} is at commit ${number}, not at ${onlyOn}`, {
      commit: number,
    });
  }
  const expected = onlyOn === undefined ? {} : { onlyOn };
  const { id } = await startPackagesJob(ctx, repo, { ...large, by, force, since: number, ...expected });
  return { uri: `${ctx.publicUrl}/jobs/${id}`, job: id };
}

/** What is taken over: of one type with its follower, since a tree is laid out by type. */
async function sourceOf(ctx: Context, repo: Repo, { name, type }: Source): Promise<Chain> {
  const named: readonly Chain[] = await (type === "repo" ? findReposNamed : findUpstreamsNamed)(ctx, name);
  const source = named.find((one) => one.type === repo.type);
  if (source) return source;
  const [other] = named;
  if (!other) throw new AppError("not_found", `no ${type} ${JSON.stringify(name.slice(0, 100))} to sync with`);
  throw new AppError("conflict", `${other.name} is of type ${other.type}, ${repo.name} of type ${repo.type}`);
}
