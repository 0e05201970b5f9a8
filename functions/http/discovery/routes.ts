import { createRoute, z } from "@hono/zod-openapi";
import type { Context as Request } from "hono";
import { childrenOf, findBinary, makeLevel } from "../../../shared/binary/node.ts";
import { checkName, checkSegments, LEVELS } from "../../../shared/binary/path.ts";
import { awaitBinary } from "../../../shared/binary/upload.ts";
import type { Context } from "../../../shared/context.ts";
import { AppError } from "../../../shared/error.ts";
import { keys } from "../../../shared/store/keys.ts";
import type { App, Env } from "../app.ts";
import { json, Sha256Field } from "../schemas.ts";
import { UploadView, uploads, uploadView } from "./upload.ts";
import { childView, discoveryUrl } from "./view.ts";

const SEGMENTS = ["{package}", "{distribution}", "{release}", "{architecture}", "{binary}"];
const LEAF_DEPTH = LEVELS.length;

const Refusal = z.object({ msg: z.string(), message: z.string() }).openapi("DiscoveryError");
const Child = z
  .object({
    last_updated: z.string(),
    last_updated_at: z.string(),
    signed: z.boolean().optional(),
    size: z.string().nullable().optional(),
    size_bytes: z.int().nullable().optional(),
    sha256: z.string().nullable().optional(),
    sha512: z.string().nullable().optional(),
    state: z.enum(["awaiting", "stored"]).optional(),
    url: z.string().optional(),
  })
  .openapi("DiscoveryChild");
const Listing = z.record(z.string(), Child);
export type ChildView = z.infer<typeof Child>;
const Name = z.object({ name: z.string().openapi({ example: "my_new_package" }) });

const NewBinary = z
  .object({
    name: z.string().openapi({ example: "hello_2.10-3_amd64.deb" }),
    sha256: Sha256Field.optional(),
    size: z.int().nonnegative().optional().openapi({ description: "bytes" }),
    force: z.boolean().optional().openapi({ description: "replace what is stored under this name" }),
  })
  .openapi("NewBinary");

const BinaryAwaited = z
  .object({
    name: z.string(),
    url: z.string(),
    job: z.string(),
    upload: UploadView,
  })
  .openapi("BinaryAwaited");

const refusals = {
  400: json(Refusal, "the request is wrong, or what it would make exists already"),
  401: json(Refusal, "no token, or a wrong one"),
};

/** Packages, distributions, releases and architectures, each telling what lies below it; and the binaries. */
export function discovery(app: App): void {
  for (let depth = 0; depth < LEAF_DEPTH; depth += 1) {
    const path = `/${["packages", ...SEGMENTS.slice(0, depth)].join("/")}`;
    app.openapi(
      createRoute({
        method: "get",
        path,
        tags: ["discovery"],
        summary: `List each ${LEVELS[depth]}`,
        request: { params: paramsOf(depth), query: z.object({ after: z.string().min(1).max(200).optional() }) },
        responses: { 200: json(Listing, "every key is the next segment of the URL"), 404: json(Refusal, "unknown") },
      }),
      (c) => list(c, segmentsOf(c, depth), c.req.valid("query").after),
    );
    if (depth === LEAF_DEPTH - 1) postBinary(app, path, depth);
    else postLevel(app, path, depth);
  }
  const binary = `/${["packages", ...SEGMENTS].join("/")}`;
  app.openapi(
    createRoute({
      method: "get",
      path: binary,
      tags: ["discovery"],
      summary: "The bytes of a binary",
      request: { params: paramsOf(LEAF_DEPTH) },
      responses: { 302: { description: "where the bytes are" }, 404: json(Refusal, "unknown, or awaited still") },
    }),
    (c) => download(c, segmentsOf(c, LEAF_DEPTH)),
  );
  postBinary(app, binary, LEAF_DEPTH);
  uploads(app);
}

function postLevel(app: App, path: string, depth: number): void {
  app.openapi(
    createRoute({
      method: "post",
      path,
      tags: ["discovery"],
      summary: `Make a ${LEVELS[depth]}`,
      request: { params: paramsOf(depth), body: { ...json(Name, "what to make"), required: true } },
      responses: { 200: json(Name, "made"), ...refusals },
    }),
    async (c) => {
      const { ctx } = c.var;
      const { name } = c.req.valid("json");
      const segments = [...segmentsOf(c, depth), checkName(name, depth)];
      await makeLevel(ctx, segments);
      return c.json({ name }, 200);
    },
  );
}

/** At the architecture, or at the binary's own address, where the name must be said again. */
function postBinary(app: App, path: string, depth: number): void {
  app.openapi(
    createRoute({
      method: "post",
      path,
      tags: ["discovery"],
      summary: depth === LEAF_DEPTH ? "Make this binary" : "Make a binary",
      request: { params: paramsOf(depth), body: { ...json(NewBinary, "what to make"), required: true } },
      responses: { 200: json(BinaryAwaited, "it awaits its bytes, or has them"), ...refusals },
    }),
    async (c) => {
      const { ctx } = c.var;
      const { name, sha256, size, force } = c.req.valid("json");
      const given = segmentsOf(c, depth);
      const segments = [...given.slice(0, LEAF_DEPTH - 1), checkName(name, LEAF_DEPTH - 1)];
      if (depth === LEAF_DEPTH && name !== given.at(-1)) {
        throw new AppError("invalid", `name is ${JSON.stringify(name)}, the URL says ${JSON.stringify(given.at(-1))}`);
      }
      const { job, upload } = await awaitBinary(ctx, segments, { sha256, sizeBytes: size, force: force ?? false });
      const url = discoveryUrl(ctx, segments);
      return c.json(
        {
          name,
          url,
          job: `${ctx.publicUrl}/jobs/${job}`,
          upload: uploadView(c, segments, upload),
        },
        200,
      );
    },
  );
}

function paramsOf(depth: number) {
  return z.object(Object.fromEntries(LEVELS.slice(0, depth).map((level) => [level, z.string()])));
}

function segmentsOf(c: Request<Env>, depth: number): readonly string[] {
  return checkSegments(LEVELS.slice(0, depth).map((level) => c.req.param(level) ?? ""));
}

async function list(c: Request<Env>, segments: readonly string[], after: string | undefined) {
  const { ctx } = c.var;
  const { children, next } = await childrenOf(ctx, segments, after);
  if (children.length === 0 && segments.length > 0 && !(await ctx.table.get(keys.node(segments)))) {
    throw new AppError("not_found", `no ${LEVELS[segments.length - 1]} ${segments.at(-1)}`);
  }
  if (next !== undefined) {
    c.header("Link", `<${discoveryUrl(ctx, segments)}/?after=${encodeURIComponent(next)}>; rel="next"`);
  }
  // A null prototype, so that a package may be called __proto__.
  const listing: z.input<typeof Listing> = Object.create(null);
  for (const child of children) listing[child.name] = childView(ctx, segments, child);
  return c.json(listing, 200);
}

async function download(c: Request<Env>, segments: readonly string[]) {
  const { ctx } = c.var;
  const stored = (await findBinary(ctx, segments))?.stored ?? (await storedAsWritten(ctx, segments));
  if (!stored) throw new AppError("not_found", `no binary ${segments.at(-1)}, or its bytes are awaited still`);
  const { sha256 } = stored;
  const filename = encodeURIComponent(segments.at(-1) ?? "");
  return c.redirect(`${ctx.publicUrl}/blobs/${sha256.slice(0, 2)}/${sha256}/${filename}`, 302);
}

/** `%3a` of a file name as apt-get download writes it arrives as a colon, unless whoever asks encoded it once more. */
async function storedAsWritten(ctx: Context, segments: readonly string[]) {
  const name = segments.at(-1) ?? "";
  if (!name.includes(":")) return undefined;
  return (await findBinary(ctx, [...segments.slice(0, -1), name.replaceAll(":", "%3a")]))?.stored;
}
