import { createRoute, z } from "@hono/zod-openapi";
import type { Context as Request } from "hono";
import { abortUpload, completeUpload, type PartsUpload, viewUpload } from "../../../shared/binary/multipart.ts";
import { checkSegments, LEVELS } from "../../../shared/binary/path.ts";
import type { AwaitedBinary } from "../../../shared/binary/upload.ts";
import type { Context } from "../../../shared/context.ts";
import { AppError } from "../../../shared/error.ts";
import type { App, Env } from "../app.ts";
import { json } from "../schemas.ts";
import { discoveryUrl } from "./view.ts";

const MOST_PARTS = 1000;

const Refusal = z.object({ msg: z.string(), message: z.string() });

const OnePut = z
  .object({
    method: z.literal("PUT"),
    url: z.string(),
    headers: z.record(z.string(), z.string()),
    expires_at: z.string(),
  })
  .openapi("UploadAtOnce");

const InParts = z
  .object({
    method: z.literal("PUT"),
    part_size: z.int().openapi({ description: "bytes of every part but the last" }),
    size: z.int(),
    parts: z.array(
      z.object({
        number: z.int(),
        offset: z.int(),
        size: z.int(),
        url: z.string().optional().openapi({ description: "where to PUT it; absent when it is there" }),
        headers: z.record(z.string(), z.string()).optional(),
        etag: z.string().optional().openapi({ description: "of a part that is there" }),
      }),
    ),
    parts_total: z.int(),
    parts_received: z.int(),
    bytes_received: z.int(),
    next: z.string().nullable().openapi({ description: "the next page of parts" }),
    url: z.string().openapi({ description: "GET: which parts are there, and new addresses for those that are not" }),
    complete: z.string().openapi({ description: "POST when all parts are there" }),
    abort: z.string().openapi({ description: "POST or DELETE" }),
    expires_at: z.string().openapi({ description: "of the parts' addresses" }),
    ends_at: z.string().openapi({ description: "what is not complete by then is forgotten" }),
  })
  .openapi("UploadInParts");

export const UploadView = z.union([OnePut, InParts]).nullable();

const Ended = z.object({ state: z.enum(["verifying", "stored"]), job: z.string() }).openapi("UploadEnded");
const State = z.union([InParts.extend({ state: z.literal("open") }), Ended]);
const Completed = z.object({ name: z.string(), url: z.string(), job: z.string(), upload: z.null() });
const Completion = z.object({
  parts: z
    .array(z.object({ number: z.int().min(1).max(MOST_PARTS), etag: z.string().max(200) }))
    .min(1)
    .max(MOST_PARTS)
    .optional(),
});
const params = z.object(Object.fromEntries([...LEVELS, "upload"].map((name) => [name, z.string()])));
const PATH = `/packages/${LEVELS.map((level) => `{${level}}`).join("/")}/uploads/{upload}`;

const refusals = {
  400: json(Refusal, "not possible as it is now; the message says why"),
  401: json(Refusal, "no token, or a wrong one"),
  404: json(Refusal, "no such upload is awaited"),
};

/** Uploads in parts: what is there of them, and how they end. All of it needs a token: its answers let their holder write. */
export function uploads(app: App): void {
  app.openapi(
    createRoute({
      method: "get",
      path: PATH,
      tags: ["discovery"],
      summary: "Which parts of an upload are there, and where to send the others",
      request: { params, query: z.object({ after: z.coerce.number().int().min(0).max(MOST_PARTS).default(0) }) },
      responses: { 200: json(State, "one page of its parts, or what became of it"), ...refusals },
    }),
    async (c) => {
      const { ctx, caller } = c.var;
      if (!caller) throw new AppError("unauthorized", "an upload is shown to those who may write: send your token");
      const { segments, id } = uploadOf(c);
      const found = await viewUpload(ctx, segments, id, c.req.valid("query").after);
      if (found.state !== "open") return c.json({ state: found.state, job: jobUrl(ctx, found.job) }, 200);
      linkNext(c, segments, found.upload);
      return c.json({ state: "open" as const, ...partsView(ctx, segments, found.upload) }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: "post",
      path: `${PATH}/complete`,
      tags: ["discovery"],
      summary: "Make the parts one file, and have it verified",
      request: { params },
      // Not as `request.body`, which would be asked of a request without one, and not of one without its type.
      requestBody: {
        description: "nothing, or the parts as they were sent",
        content: {
          "application/json": {
            schema: {
              type: "object",
              properties: {
                parts: {
                  type: "array",
                  maxItems: MOST_PARTS,
                  description: "without them, the parts that are there",
                  items: {
                    type: "object",
                    required: ["number", "etag"],
                    properties: { number: { type: "integer" }, etag: { type: "string" } },
                  },
                },
              },
            },
          },
        },
      },
      responses: { 200: json(Completed, "it is being verified: see the job"), ...refusals },
    }),
    async (c) => {
      const { ctx } = c.var;
      const { segments, id } = uploadOf(c);
      const job = await completeUpload(ctx, segments, id, await namedParts(c));
      const name = segments.at(-1) ?? "";
      return c.json({ name, url: discoveryUrl(ctx, segments), job: jobUrl(ctx, job), upload: null }, 200);
    },
  );

  for (const method of ["post", "delete"] as const) {
    app.openapi(
      createRoute({
        method,
        path: `${PATH}/abort`,
        tags: ["discovery"],
        summary: "End an upload; nothing of it stays",
        request: { params },
        responses: { 204: { description: "it is gone" }, ...refusals },
      }),
      async (c) => {
        const { segments, id } = uploadOf(c);
        await abortUpload(c.var.ctx, segments, id);
        return c.body(null, 204);
      },
    );
  }
}

/** How to send the bytes of a binary, in one PUT or in parts; more parts than one page has a link to the next. */
export function uploadView(
  c: Request<Env>,
  segments: readonly string[],
  upload: AwaitedBinary["upload"],
): z.input<typeof UploadView> {
  if (upload === null) return null;
  if ("method" in upload) return { ...upload, headers: { ...upload.headers } };
  linkNext(c, segments, upload);
  return partsView(c.var.ctx, segments, upload);
}

function partsView(ctx: Context, segments: readonly string[], upload: PartsUpload): z.input<typeof InParts> {
  const url = uploadUrl(ctx, segments, upload);
  return {
    method: "PUT",
    part_size: upload.partBytes,
    size: upload.sizeBytes,
    parts: upload.parts.map((part) => ({
      number: part.number,
      offset: part.offset,
      size: part.sizeBytes,
      ...(part.url === undefined ? { etag: part.eTag } : { url: part.url, headers: { ...part.headers } }),
    })),
    parts_total: Math.ceil(upload.sizeBytes / upload.partBytes),
    parts_received: upload.received.parts,
    bytes_received: upload.received.bytes,
    next: nextUrl(url, upload) ?? null,
    url,
    complete: `${url}/complete`,
    abort: `${url}/abort`,
    expires_at: upload.expiresAt,
    ends_at: upload.endsAt,
  };
}

function linkNext(c: Request<Env>, segments: readonly string[], upload: PartsUpload): void {
  const next = nextUrl(uploadUrl(c.var.ctx, segments, upload), upload);
  if (next !== undefined) c.header("Link", `<${next}>; rel="next"`);
}

function nextUrl(url: string, { next }: PartsUpload): string | undefined {
  return next === undefined ? undefined : `${url}?after=${next}`;
}

function uploadUrl(ctx: Context, segments: readonly string[], { id }: Pick<PartsUpload, "id">): string {
  return `${discoveryUrl(ctx, segments)}/uploads/${id}`;
}

async function namedParts(c: Request<Env>) {
  const text = await c.req.text();
  if (text.trim() === "") return undefined;
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    throw new AppError("invalid", "the body is no JSON: send none, or the parts");
  }
  const { success, data, error } = Completion.safeParse(given);
  if (!success) {
    const [problem] = error.issues;
    throw new AppError("invalid", `${problem?.path.join(".")}: ${problem?.message}`);
  }
  return data.parts?.map(({ number, etag }) => ({ number, eTag: etag }));
}

function uploadOf(c: Request<Env>): { segments: readonly string[]; id: string } {
  const segments = checkSegments(LEVELS.map((level) => c.req.param(level) ?? ""));
  return { segments, id: c.req.param("upload") ?? "" };
}

function jobUrl(ctx: Context, job: string): string {
  return `${ctx.publicUrl}/jobs/${job}`;
}
