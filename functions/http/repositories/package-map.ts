import { z } from "@hono/zod-openapi";
import type { Context as Request } from "hono";
import { parseSha256, type Sha256 } from "../../../shared/blob.ts";
import { type Chain, type Commit, headOf } from "../../../shared/commit.ts";
import type { Context } from "../../../shared/context.ts";
import { AppError } from "../../../shared/error.ts";
import { type Listed, listedPackages } from "../../../shared/repo/listing.ts";
import type { WantedPackage } from "../../../shared/repo/wanted.ts";
import { PAGE_ITEMS } from "../../../shared/store/dynamo.ts";
import type { Env } from "../app.ts";
import { commitTag } from "./named.ts";

const Place = z.union([z.object({ suite: z.string(), component: z.string() }), z.string().max(1024)]);

/** What a package map says of one package. */
export const MappedPackage = z
  .object({
    name: z.string(),
    filename: z.string(),
    shasum: z.string(),
    version: z.string(),
    epoch: z.int().optional(),
    release: z.string().optional(),
    architecture: z.string(),
    size: z.int(),
    places: z.array(Place),
  })
  .openapi("MappedPackage");
export const PackageMap = z.record(z.string(), MappedPackage);

/** What a caller may say: anything that GET gives may be given back. */
export const WantedMap = z.record(
  z.string(),
  z.looseObject({
    name: z.string().optional(),
    filename: z.string().max(255).optional(),
    shasum: z.string().optional(),
    version: z.string().optional(),
    places: z.array(Place).min(1).max(100).optional(),
  }),
);

export function wantedOf(map: z.infer<typeof WantedMap>): WantedPackage[] {
  return Object.entries(map).map(([key, { name, filename, shasum, version, places }]) => {
    const sha256 = parseSha256(key);
    if (shasum !== undefined && parseShasum(shasum) !== sha256) {
      throw new AppError(
        "unprocessable",
        `${sha256} contradicts itself: shasum is ${JSON.stringify(shasum.slice(0, 70))}`,
      );
    }
    return { sha256, name, filename, version, places };
  });
}

/** The seed's own example has "..." there. */
function parseShasum(text: string): Sha256 | undefined {
  return text === "..." ? undefined : parseSha256(text);
}

export function mapped({ sha256, filename, name, version, epoch, release, architecture, sizeBytes, places }: Listed) {
  return {
    name,
    filename,
    shasum: sha256,
    version,
    ...(epoch === undefined ? {} : { epoch }),
    ...(release === undefined ? {} : { release }),
    architecture,
    size: sizeBytes,
    places: [...places],
  };
}

export type Filter = { readonly name?: string | undefined; readonly arch?: string | undefined };

/** One page of a commit's packages in the order of their hashes; `more` says whether another follows. */
export async function mapPage(
  ctx: Context,
  repo: Pick<Chain, "type">,
  commit: Commit,
  page: number,
  filter: Filter,
): Promise<{ map: z.infer<typeof PackageMap>; more: boolean }> {
  const map: z.infer<typeof PackageMap> = {};
  const from = (page - 1) * PAGE_ITEMS;
  let seen = 0;
  for await (const listed of listedPackages(ctx, repo.type, commit)) {
    if (filter.name !== undefined && listed.name !== filter.name) continue;
    if (filter.arch !== undefined && listed.architecture !== filter.arch) continue;
    seen += 1;
    if (seen > from + PAGE_ITEMS) return { map, more: true };
    if (seen > from) map[listed.sha256] = mapped(listed);
  }
  return { map, more: false };
}

/** The whole map as a blob, for one that no response holds. */
export async function mapBlob(ctx: Context, repo: Pick<Chain, "type">, commit: Commit): Promise<Sha256> {
  const parts: string[] = [];
  for await (const listed of listedPackages(ctx, repo.type, commit)) {
    parts.push(`${JSON.stringify(listed.sha256)}:${JSON.stringify(mapped(listed))}`);
  }
  return ctx.objects.putBlob(Buffer.from(`{${parts.join(",\n")}}\n`));
}

/** The map of a chain's head: whole where a response holds it, else a page of it, or the way to the whole as a blob. */
export async function answerMap(
  c: Request<Env>,
  chain: Chain,
  { page, ...filter }: Filter & { readonly page?: number | undefined },
  address: string,
) {
  const { ctx } = c.var;
  const head = await headOf(ctx, chain);
  c.header("ETag", commitTag(head));
  const whole = page === undefined && filter.name === undefined && filter.arch === undefined;
  if (whole && head.count > PAGE_ITEMS) {
    const sha256 = await mapBlob(ctx, chain, head);
    return c.redirect(`${ctx.publicUrl}/blobs/${sha256.slice(0, 2)}/${sha256}/packages.json`, 303);
  }
  const { map, more } = await mapPage(ctx, chain, head, page ?? 1, filter);
  if (more) {
    const next = new URLSearchParams({ type: chain.type, page: String((page ?? 1) + 1) });
    if (filter.name !== undefined) next.set("name", filter.name);
    if (filter.arch !== undefined) next.set("arch", filter.arch);
    c.header("Link", `<${address}?${next}>; rel="next"`);
  }
  return c.json(map, 200);
}
