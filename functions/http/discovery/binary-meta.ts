import { z } from "@hono/zod-openapi";
import type { Context as Request } from "hono";
import { type BinaryMeta, type Carrier, metaOf } from "../../../shared/binary/meta.ts";
import type { Context } from "../../../shared/context.ts";
import type { Parsed } from "../../../shared/package.ts";
import { relationsOfParsed } from "../../../shared/repo/relations.ts";
import type { Env } from "../app.ts";
import { ChildView, childView } from "./view.ts";

/** A control file may be larger than an answer; what is left out then is in the package. */
const MOST_CONTROL_BYTES = 256 * 1024;
const MOST_RELATIONS = 5000;

const nullable = z.string().nullable();
const PlaceView = z.union([z.string(), z.object({ suite: z.string(), component: z.string() })]);

export const BinaryMetaView = ChildView.extend({
  name: z.string(),
  path: z.string(),
  format: nullable.openapi({ description: "deb, rpm, dsc, changes or file; unreadable where it is no sound package" }),
  problem: nullable,
  package: nullable.openapi({ description: "as the file itself says, like the next three" }),
  version: nullable,
  architecture: nullable,
  control: z.record(z.string(), z.union([z.string(), z.number()])).nullable(),
  depends: z.array(z.string()),
  provides: z.array(z.string()),
  checksums: z.object({ md5: nullable, sha1: nullable, sha256: nullable, sha512: nullable }),
  built_by: nullable,
  ref: nullable,
  sha1: nullable.openapi({ description: "the git commit that it was built from" }),
  extra: z.unknown(),
  job: nullable,
  expires_at: nullable.openapi({ description: "until when its bytes are awaited" }),
  repos: z.array(
    z.object({
      name: z.string(),
      type: z.string(),
      url: z.string(),
      commit: z.int(),
      places: z.array(PlaceView),
      follows: z.boolean().openapi({ description: "it took it from here: it drops or replaces it with this binary" }),
    }),
  ),
}).openapi("BinaryMeta");

/** Everything about a binary but its bytes. */
export async function meta(c: Request<Env>, segments: readonly string[]) {
  const { ctx } = c.var;
  return c.json(metaView(ctx, segments, await metaOf(ctx, segments)), 200);
}

function metaView(ctx: Context, segments: readonly string[], about: BinaryMeta): z.input<typeof BinaryMetaView> {
  const { binary, pkg, parsed, extra, carriers } = about;
  const { stored, awaited } = binary;
  const name = segments.at(-1) ?? "";
  const { builtBy = null, ref = null, sha1 = null } = (stored ?? awaited)?.labels ?? {};
  const says = parsed && parsed.format !== "file" ? pkg : undefined;
  const { depends, provides } = parsed ? relationsOfParsed(parsed) : { depends: [], provides: [] };
  const { md5 = null, sha1: digest = null } = pkg?.digests ?? {};
  return {
    name,
    path: segments.join("/"),
    ...childView(ctx, segments.slice(0, -1), { name, node: binary }),
    format: stored?.format ?? null,
    problem: stored?.problem ?? null,
    package: says?.name ?? null,
    version: says?.version ?? null,
    architecture: says?.architecture ?? null,
    control: parsed ? controlOf(parsed) : null,
    depends: depends.slice(0, MOST_RELATIONS),
    provides: provides.slice(0, MOST_RELATIONS),
    checksums: { md5, sha1: digest, sha256: stored?.sha256 ?? null, sha512: stored?.sha512 ?? null },
    built_by: builtBy,
    ref,
    sha1,
    extra,
    job: stored ? `${ctx.publicUrl}/jobs/${stored.job}` : null,
    expires_at: awaited?.expiresAt ?? null,
    repos: carriers.map((carrier) => carrierView(ctx, carrier)),
  };
}

function carrierView(ctx: Context, { chain, commit, places, follows }: Carrier) {
  const { type, name } = chain;
  const url = `${ctx.publicUrl}/repo/${name}?type=${type}`;
  return { name, type, url, commit, places: [...places], follows };
}

/** What the package's own head says, field by field. */
function controlOf(parsed: Parsed): Record<string, string | number> | null {
  // A null prototype, so that a field may be called as anything.
  const fields: Record<string, string | number> = Object.create(null);
  if ("control" in parsed) for (const [field, value] of parsed.control) fields[field] = value;
  else if (parsed.format === "rpm") {
    for (const [field, value] of Object.entries(parsed)) {
      if (typeof value === "string" || typeof value === "number") fields[field] = value;
    }
  } else return null;
  return Buffer.byteLength(JSON.stringify(fields)) > MOST_CONTROL_BYTES ? null : fields;
}
