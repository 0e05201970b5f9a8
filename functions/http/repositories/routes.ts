import { createRoute, z } from "@hono/zod-openapi";
import { headOf } from "../../../shared/commit.ts";
import type { Context } from "../../../shared/context.ts";
import { wordsOf } from "../../../shared/duration.ts";
import { deleteRepo } from "../../../shared/publication/bury.ts";
import { publishedOf } from "../../../shared/publication/publish.ts";
import { changeRepo } from "../../../shared/repo/alter.ts";
import { keyIdOf } from "../../../shared/repo/keyring.ts";
import {
  createRepo,
  findReposNamed,
  listRepos,
  nameTaken,
  REPO_NAME,
  type Repo,
  type RepoRef,
  RepoSettings,
  repairRepo,
} from "../../../shared/repo/repo.ts";
import { waitFor } from "../../../shared/wait.ts";
import type { App } from "../app.ts";
import { json, problem } from "../schemas.ts";
import { repoHistory } from "./history.ts";
import { OldKey, oldKeysOf, repoKeys } from "./keys.ts";
import { ByName, checkSameName, newRef, oneNamed, repoUri, Type, typedUri } from "./named.ts";
import { packages } from "./package.ts";
import { repoPackages } from "./packages.ts";
import { upstreams } from "./upstreams.ts";

const Name = z.string().regex(REPO_NAME, `must match ${REPO_NAME.source}`);
const NewRepo = RepoSettings.extend({ name: Name, type: Type });
const ChangedRepo = RepoSettings.extend({ name: Name.optional(), type: Type.optional() });
const RepoView = z
  .object({
    name: z.string(),
    type: Type,
    accepts: z.array(
      z.union([
        z.string(),
        z.object({ path: z.string(), suite: z.string().optional(), component: z.string().optional() }),
      ]),
    ),
    suite: z.string(),
    component: z.string(),
    components: z.array(z.string()),
    architectures: z.array(z.string()),
    origin: z.string(),
    label: z.string(),
    description: z.string(),
    follow: z.string().nullable(),
    keep: z.int(),
    not_automatic: z.boolean(),
    indexes: z.array(z.string()),
    valid_for: z.string().nullable(),
    key_id: z.string().nullable(),
    old_keys: z.array(OldKey),
    url: z.string(),
    commit: z.int(),
    published_commit: z.int().nullable(),
    packages: z.int(),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .openapi("Repo");
const Uri = z.object({ uri: z.string() });

/** A new repo is published empty at once: its making waits for that, so long. */
const FIRST_PUBLICATION_MS = 15_000;

/** Repos of ours: made, listed, told, changed. */
export function repositories(app: App): void {
  packages(app);
  upstreams(app);
  deleteRoute(app);
  repoPackages(app);
  repoHistory(app);
  repoKeys(app);
  app.openapi(
    createRoute({
      method: "get",
      path: "/repo",
      tags: ["repositories"],
      summary: "List the repos",
      request: { query: z.object({ after: z.string().min(1).max(200).optional() }) },
      responses: { 200: json(z.record(z.string(), z.string()), "name to address") },
    }),
    async (c) => {
      const { ctx } = c.var;
      const { repos, next } = await listRepos(ctx, c.req.valid("query").after);
      if (next !== undefined) {
        c.header("Link", `<${ctx.publicUrl}/repo?after=${encodeURIComponent(next)}>; rel="next"`);
      }
      const listing: Record<string, string> = {};
      for (const ref of repos) {
        const taken = Object.hasOwn(listing, ref.name);
        listing[taken ? `${ref.type}/${ref.name}` : ref.name] = taken ? typedUri(ctx, ref) : repoUri(ctx, ref);
      }
      return c.json(listing, 200);
    },
  );

  app.openapi(
    createRoute({
      method: "post",
      path: "/repo",
      tags: ["repositories"],
      summary: "Make a repo",
      request: { body: { ...json(NewRepo, "its name and type, and what it takes"), required: true } },
      responses: {
        201: json(Uri, "made and published"),
        400: problem("wrong"),
        401: problem("no token"),
        409: problem("taken"),
        422: problem("a key that cannot sign"),
      },
    }),
    async (c) => {
      const { ctx, caller } = c.var;
      const { name, type, ...settings } = c.req.valid("json");
      return c.json({ uri: await makeRepo(ctx, { type, name }, settings, caller?.user ?? "") }, 201);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/repo/{name}",
      tags: ["repositories"],
      summary: "A repo",
      request: ByName,
      responses: { 200: json(RepoView, "its settings and state"), 404: problem("unknown") },
    }),
    async (c) => {
      const repo = await oneNamed(c.var.ctx, c.req.valid("param").name, c.req.valid("query").type);
      return c.json(await repoView(c.var.ctx, repo), 200);
    },
  );

  app.openapi(
    createRoute({
      method: "put",
      path: "/repo/{name}",
      tags: ["repositories"],
      summary: "Make a repo or change it",
      request: {
        params: ByName.params,
        query: ByName.query.extend({ force: z.enum(["true", "false"]).optional() }),
        body: { ...json(ChangedRepo, "what is to be"), required: true },
      },
      responses: {
        200: json(RepoView, "changed"),
        201: json(RepoView, "made"),
        400: problem("wrong"),
        401: problem("no token"),
        409: problem("clients stop at a changed origin, label, suite or key"),
        422: problem("a key that cannot sign"),
      },
    }),
    async (c) => {
      const { ctx, caller } = c.var;
      const { name } = c.req.valid("param");
      const { name: given, type, ...said } = c.req.valid("json");
      const query = c.req.valid("query");
      const settings = { ...said, force: said.force ?? query.force === "true" };
      checkSameName(given, name);
      const wanted = type ?? query.type;
      const known = (await findReposNamed(ctx, name)).find((repo) => wanted === undefined || repo.type === wanted);
      if (known) return c.json(await repoView(ctx, await changeRepo(ctx, known, settings)), 200);
      const ref = newRef(name, wanted);
      await makeRepo(ctx, ref, settings, caller?.user ?? "");
      return c.json(await repoView(ctx, await oneNamed(ctx, name, ref.type)), 201);
    },
  );
}

function deleteRoute(app: App): void {
  app.openapi(
    createRoute({
      method: "delete",
      path: "/repo/{name}",
      tags: ["repositories"],
      summary: "Remove a repo; never a package",
      request: ByName,
      responses: { 200: json(z.object({}), "removed"), 401: problem("no token"), 404: problem("unknown") },
    }),
    async (c) => {
      const repo = await oneNamed(c.var.ctx, c.req.valid("param").name, c.req.valid("query").type);
      await deleteRepo(c.var.ctx, repo);
      return c.json({}, 200);
    },
  );
}

async function makeRepo(ctx: Context, ref: RepoRef, settings: RepoSettings, by: string): Promise<string> {
  const others = await findReposNamed(ctx, ref.name);
  if (others.some(({ type }) => type === ref.type)) {
    // Whoever repeats a request whose answer was lost finds the repo whole.
    await repairRepo(ctx, ref);
    throw nameTaken(ref);
  }
  const repo = await createRepo(ctx, ref, settings, by);
  await waitFor(async () => (await publishedOf(ctx, repo)) !== undefined, FIRST_PUBLICATION_MS);
  return others.length === 0 ? repoUri(ctx, ref) : typedUri(ctx, ref);
}

async function repoView(ctx: Context, repo: Repo): Promise<z.infer<typeof RepoView>> {
  const [head, published, keyId] = await Promise.all([headOf(ctx, repo), publishedOf(ctx, repo), keyIdOf(ctx, repo)]);
  return {
    name: repo.name,
    type: repo.type,
    accepts: repo.accepts.map((rule) => ((rule.suite ?? rule.component) === undefined ? rule.path : rule)),
    suite: repo.suite,
    component: repo.component,
    components: repo.components,
    architectures: repo.architectures,
    origin: repo.origin,
    label: repo.label,
    description: repo.description,
    follow: repo.follow,
    keep: repo.keep,
    not_automatic: repo.notAutomatic,
    indexes: repo.indexes,
    valid_for: repo.validFor === null ? null : wordsOf(repo.validFor),
    key_id: keyId,
    old_keys: oldKeysOf(repo),
    url: `${ctx.publicUrl}/${repo.type}/${repo.name}`,
    commit: head.number,
    published_commit: published?.commit ?? null,
    packages: head.count,
    created_at: repo.createdAt,
    updated_at: repo.updatedAt,
  };
}
