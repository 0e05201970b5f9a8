import { createRoute, z } from "@hono/zod-openapi";
import type { Context as Request } from "hono";
import { findBinary, makeLevel } from "../../../shared/binary/node.ts";
import { checkName, LEVELS } from "../../../shared/binary/path.ts";
import { AppError } from "../../../shared/error.ts";
import type { App, Env } from "../app.ts";
import { json } from "../schemas.ts";
import { binaries, isSameName, namesOf, paramsOf, segmentsOf, writtenPath } from "./binary.ts";
import { BinaryMetaView, meta } from "./binary-meta.ts";
import { info } from "./info-page.ts";
import { list } from "./listing.ts";
import { longForm } from "./long-form.ts";
import { refuseOtherMethods } from "./methods.ts";
import { answerAwaited, BinaryAwaited, NewBinary } from "./new-binary.ts";
import { search } from "./search.ts";
import { uploads } from "./upload.ts";
import { Listing } from "./view.ts";

const SEGMENTS = ["{package}", "{distribution}", "{release}", "{architecture}", "{binary}"];
const LEAF_DEPTH = LEVELS.length;

const Refusal = z.object({ msg: z.string(), message: z.string() }).openapi("DiscoveryError");
const Name = z.object({ name: z.string().openapi({ example: "my_new_package" }) });

const PAGE = { "text/html": { schema: z.string() } };

const refusals = {
  400: json(Refusal, "the request is wrong, or what it would make exists already"),
  401: json(Refusal, "no token, or a wrong one"),
};

/** Packages, distributions, releases and architectures, each telling what lies below it; and the binaries. */
export function discovery(app: App): void {
  longForm(app);
  for (let depth = 0; depth < LEAF_DEPTH; depth += 1) {
    const path = `/${["packages", ...SEGMENTS.slice(0, depth)].join("/")}`;
    app.openapi(
      createRoute({
        method: "get",
        path,
        tags: ["discovery"],
        summary: `List each ${LEVELS[depth]}`,
        request: { params: paramsOf(depth), query: z.object({ after: z.string().min(1).max(200).optional() }) },
        responses: {
          200: {
            description: "every key is the next segment of the URL; a page for a browser",
            content: { "application/json": { schema: Listing }, ...PAGE },
          },
          304: { description: "unchanged, but for how long ago things are" },
          404: json(Refusal, "unknown"),
        },
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
      request: {
        params: paramsOf(LEAF_DEPTH),
        query: z.object({
          info: z.string().optional().openapi({ description: "with it, a page about the binary" }),
          meta: z.string().optional().openapi({ description: "with it, everything about the binary but its bytes" }),
        }),
      },
      responses: {
        200: {
          description: "what it is, and how to install it",
          content: { "application/json": { schema: BinaryMetaView }, ...PAGE },
        },
        302: { description: "where the bytes are" },
        404: json(Refusal, "unknown, or awaited still"),
      },
    }),
    async (c) => {
      const segments = segmentsOf(c, LEAF_DEPTH);
      const query = c.req.valid("query");
      if (query.meta !== undefined) return meta(c, await writtenPath(c, segments));
      return query.info === undefined ? download(c, segments) : info(c, segments);
    },
  );
  postBinary(app, binary, LEAF_DEPTH);
  binaries(app);
  uploads(app);
  search(app);
  refuseOtherMethods(app);
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
      const { name, force, ...wanted } = c.req.valid("json");
      const given = segmentsOf(c, depth);
      const segments = [...given.slice(0, LEAF_DEPTH - 1), checkName(name, LEAF_DEPTH - 1)];
      if (depth === LEAF_DEPTH && !isSameName(name, given.at(-1) ?? "")) {
        throw new AppError("invalid", `name is ${JSON.stringify(name)}, the URL says ${JSON.stringify(given.at(-1))}`);
      }
      return c.json(await answerAwaited(c, segments, wanted, force ?? false), 200);
    },
  );
}

async function download(c: Request<Env>, segments: readonly string[]) {
  const { ctx } = c.var;
  for (const name of namesOf(segments.at(-1) ?? "")) {
    const stored = (await findBinary(ctx, [...segments.slice(0, -1), name]))?.stored;
    if (!stored) continue;
    const { sha256 } = stored;
    return c.redirect(`${ctx.publicUrl}/blobs/${sha256.slice(0, 2)}/${sha256}/${encodeURIComponent(name)}`, 302);
  }
  throw new AppError("not_found", `no binary ${segments.at(-1)}, or its bytes are awaited still`);
}
