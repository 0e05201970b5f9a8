import { createRoute, z } from "@hono/zod-openapi";
import type { Sha256 } from "../../../shared/blob.ts";
import type { Context } from "../../../shared/context.ts";
import { type About, aboutPackage } from "../../../shared/repo/about.ts";
import { pageOfEveryPackage } from "../../../shared/repo/every-package.ts";
import type { HeadChain } from "../../../shared/repo/heads.ts";
import type { App } from "../app.ts";
import { json, problem, Sha256Field } from "../schemas.ts";

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
    files: z
      .array(z.object({ name: z.string(), size: z.int(), shasum: z.string() }))
      .optional()
      .openapi({ description: "of a .dsc or .changes, what it names" }),
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
      const { packages: page, next } = await pageOfEveryPackage(ctx, c.req.valid("query").after);
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
      return c.json(packageView(ctx, await aboutPackage(ctx, c.req.valid("param").shasum)), 200);
    },
  );
}

function packageView(ctx: Context, about: About): z.infer<typeof PackageView> {
  const { sha256, filename, epoch, release } = about;
  const of = (kind: HeadChain["kind"]) => addressesOf(ctx, about.holders, kind);
  return {
    name: about.name,
    filename,
    shasum: sha256,
    version: about.version,
    ...(epoch === undefined ? {} : { epoch }),
    ...(release === undefined ? {} : { release }),
    format: about.format,
    architecture: about.architecture,
    size: about.sizeBytes,
    ...(about.files === undefined ? {} : { files: about.files.map(fileView) }),
    depends: [...about.depends],
    provides: [...about.provides],
    url: about.isOurs
      ? `${ctx.publicUrl}/blobs/${sha256.slice(0, 2)}/${sha256}/${encodeURIComponent(filename.split("/").at(-1) ?? "")}`
      : `${ctx.publicUrl}/${about.path}`,
    upstreams: of("upstream"),
    repos: of("repo"),
  };
}

function fileView({ name, sizeBytes, sha256 }: NonNullable<About["files"]>[number]) {
  return { name, size: sizeBytes, shasum: sha256 };
}

/** By name; of several types under one name, all but the first are told apart by theirs. */
function addressesOf(ctx: Context, holders: readonly HeadChain[], kind: HeadChain["kind"]): Record<string, string> {
  const addresses: Record<string, string> = {};
  for (const { name, type } of holders.filter((one) => one.kind === kind)) {
    const taken = Object.hasOwn(addresses, name);
    addresses[taken ? `${type}/${name}` : name] = `${ctx.publicUrl}/${kind}/${name}${taken ? `?type=${type}` : ""}`;
  }
  return addresses;
}

function packageUri(ctx: Context, sha256: Sha256): string {
  return `${ctx.publicUrl}/package/${sha256}`;
}
