import { z } from "@hono/zod-openapi";
import type { Context as Request } from "hono";
import type { Sha256 } from "../../../shared/blob.ts";
import { type Chain, type Commit, headOf } from "../../../shared/commit.ts";
import type { Context } from "../../../shared/context.ts";
import { type Listed, listedPackages, pageOfPackages } from "../../../shared/repo/listing.ts";
import { putMapBlob } from "../../../shared/repo/map-blob.ts";
import { PlaceField } from "../../../shared/repo/wanted-map.ts";
import { PAGE_ITEMS } from "../../../shared/store/dynamo.ts";
import type { Env } from "../app.ts";
import { Sha256Field } from "../schemas.ts";
import { commitTag } from "./named.ts";

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
    places: z.array(PlaceField),
  })
  .openapi("MappedPackage");
export const PackageMap = z.record(z.string(), MappedPackage);

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

/** What of a map is asked for; nothing told is all of it. */
export const MapQuery = z.object({
  page: z.coerce.number().int().min(1).optional(),
  after: Sha256Field.optional(),
  name: z.string().max(200).optional(),
  arch: z.string().max(100).optional(),
});
export type MapQuery = z.infer<typeof MapQuery>;

type MapPage = { readonly map: z.infer<typeof PackageMap>; readonly next: Sha256 | undefined };

/**
 * One page of a commit's packages in the order of their hashes: behind `after`, or the one of that number, for which those before
 * it are read. With a filter a page may hold less than others, even nothing, and still another follow.
 */
export async function mapPage(
  ctx: Context,
  { type }: Pick<Chain, "type">,
  commit: Commit,
  { page = 1, after, name, arch }: MapQuery,
): Promise<MapPage> {
  const wanted = (listed: Listed) =>
    (name === undefined || listed.name === name) && (arch === undefined || listed.architecture === arch);
  let next = after;
  for (let number = 1; ; number += 1) {
    const found = await pageOfPackages(ctx, type, commit, { after: next, most: PAGE_ITEMS, wanted });
    next = found.next;
    const isLast = number >= page || next === undefined;
    const packages = number < page ? [] : found.packages;
    if (isLast) return { map: Object.fromEntries(packages.map((one) => [one.sha256, mapped(one)])), next };
  }
}

/** The whole map as a blob, for one that no response holds. */
export async function mapBlob(ctx: Context, repo: Pick<Chain, "type">, commit: Commit): Promise<Sha256> {
  const parts: string[] = [];
  for await (const listed of listedPackages(ctx, repo.type, commit)) {
    parts.push(`${JSON.stringify(listed.sha256)}:${JSON.stringify(mapped(listed))}`);
  }
  return putMapBlob(ctx, Buffer.from(`{${parts.join(",\n")}}\n`));
}

/** The map of a chain's head: whole where a response holds it, else a page of it, or the way to the whole as a blob. */
export async function answerMap(c: Request<Env>, chain: Chain, query: MapQuery, address: string) {
  const { ctx } = c.var;
  const head = await headOf(ctx, chain);
  c.header("ETag", commitTag(head));
  const { page, after, name, arch } = query;
  const whole = [page, after, name, arch].every((one) => one === undefined);
  if (whole && head.count > PAGE_ITEMS) {
    const sha256 = await mapBlob(ctx, chain, head);
    return c.redirect(`${ctx.publicUrl}/blobs/${sha256.slice(0, 2)}/${sha256}/packages.json`, 303);
  }
  const { map, next } = await mapPage(ctx, chain, head, query);
  if (next !== undefined) {
    const following = new URLSearchParams({ type: chain.type, after: next });
    if (name !== undefined) following.set("name", name);
    if (arch !== undefined) following.set("arch", arch);
    c.header("Link", `<${address}?${following}>; rel="next"`);
  }
  return c.json(map, 200);
}
