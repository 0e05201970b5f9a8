import { createRoute, z } from "@hono/zod-openapi";
import type { Sha256 } from "../../../shared/blob.ts";
import type { Context } from "../../../shared/context.ts";
import { AppError } from "../../../shared/error.ts";
import { findPackage, listPackages, type Package, type Parsed, parsedOf } from "../../../shared/package.ts";
import { type Holder, holdersOf } from "../../../shared/repo/holders.ts";
import type { App } from "../app.ts";
import { json, problem, Sha256Field } from "../schemas.ts";
import { repoUri, typedUri } from "./named.ts";

const PackageView = z
  .object({
    name: z.string(),
    filename: z.string(),
    shasum: z.string(),
    version: z.string(),
    epoch: z.int().optional(),
    release: z.string().optional(),
    format: z.string(),
    architecture: z.string(),
    size: z.int(),
    depends: z.array(z.string()),
    provides: z.array(z.string()),
    url: z.string(),
    upstreams: z.record(z.string(), z.string()),
    repos: z.record(z.string(), z.string()),
  })
  .openapi("Package");

/** Packages by their hash, whoever holds them. */
export function packages(app: App): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/package",
      tags: ["repositories"],
      summary: "All packages",
      request: { query: z.object({ after: Sha256Field.optional() }) },
      responses: { 200: json(z.record(z.string(), z.string()), "hash to address, a page of them") },
    }),
    async (c) => {
      const { ctx } = c.var;
      const { packages: page, next } = await listPackages(ctx, c.req.valid("query").after);
      if (next !== undefined) c.header("Link", `<${ctx.publicUrl}/package?after=${next}>; rel="next"`);
      return c.json(Object.fromEntries(page.map((sha256) => [sha256, packageUri(ctx, sha256)])), 200);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/package/{shasum}",
      tags: ["repositories"],
      summary: "A package, and who holds it",
      request: { params: z.object({ shasum: Sha256Field }) },
      responses: { 200: json(PackageView, "what we have about it"), 400: problem("no hash"), 404: problem("unknown") },
    }),
    async (c) => {
      const { ctx } = c.var;
      const { shasum } = c.req.valid("param");
      const [pkg, holders] = await Promise.all([findPackage(ctx, shasum), holdersOf(ctx, shasum)]);
      if (!pkg) throw new AppError("not_found", `no package ${shasum}`);
      return c.json(packageView(ctx, pkg, await parsedOf(ctx, pkg), holders), 200);
    },
  );
}

function packageView(
  ctx: Context,
  pkg: Package,
  parsed: Parsed,
  holders: readonly Holder[],
): z.infer<typeof PackageView> {
  const repos: Record<string, string> = {};
  for (const { repo } of holders) {
    const taken = repo.name in repos;
    repos[taken ? `${repo.type}/${repo.name}` : repo.name] = taken ? typedUri(ctx, repo) : repoUri(ctx, repo);
  }
  const { sha256, filename } = pkg;
  return {
    name: pkg.name,
    filename,
    shasum: sha256,
    ...versionsOf(pkg, parsed),
    format: pkg.format,
    architecture: pkg.architecture,
    size: pkg.sizeBytes,
    depends: relations(parsed, "depends"),
    provides: relations(parsed, "provides"),
    url: `${ctx.publicUrl}/blobs/${sha256.slice(0, 2)}/${sha256}/${encodeURIComponent(filename)}`,
    upstreams: {},
    repos,
  };
}

/** An rpm's version is VERSION, with its epoch and release beside it; a deb's is the whole. */
function versionsOf(pkg: Package, parsed: Parsed) {
  if (parsed.format !== "rpm") return { version: pkg.version };
  return { version: parsed.version, epoch: parsed.epoch, release: parsed.release };
}

function relations(parsed: Parsed, kind: "depends" | "provides"): string[] {
  if (parsed.format === "rpm") {
    return parsed[kind === "depends" ? "requires" : "provides"].map(({ name, flags, epoch, version, release }) => {
      const evr = `${epoch ? `${epoch}:` : ""}${version ?? ""}${release ? `-${release}` : ""}`;
      return flags ? `${name} ${SIGNS[flags] ?? flags} ${evr}` : name;
    });
  }
  if (parsed.format !== "deb") return [];
  const names = kind === "depends" ? ["pre-depends", "depends"] : ["provides"];
  return parsed.control
    .filter(([name]) => names.includes(name.toLowerCase()))
    .flatMap(([, value]) => value.split(","))
    .map((one) => one.trim())
    .filter((one) => one !== "");
}

const SIGNS: Readonly<Record<string, string>> = { EQ: "=", LT: "<", LE: "<=", GT: ">", GE: ">=" };

function packageUri(ctx: Context, sha256: Sha256): string {
  return `${ctx.publicUrl}/package/${sha256}`;
}
