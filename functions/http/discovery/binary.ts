import { createRoute, z } from "@hono/zod-openapi";
import type { Context as Request } from "hono";
import { findBinary } from "../../../shared/binary/node.ts";
import { checkName, checkSegments, LEVELS } from "../../../shared/binary/path.ts";
import { removeBinary, removeLevel } from "../../../shared/binary/remove.ts";
import { AppError } from "../../../shared/error.ts";
import type { App, Env } from "../app.ts";
import { json } from "../schemas.ts";
import { answerAwaited, BinaryAwaited, NewBytes } from "./new-binary.ts";

/** A gateway gives up on a request after 30 s. */
const WORK_MS = 20_000;

const Refusal = z.object({ msg: z.string(), message: z.string() });
const refusals = {
  400: json(Refusal, "not possible as it is now; the message says why"),
  401: json(Refusal, "no token, or a wrong one"),
};

/** Binaries that take the place of others, and the end of binaries and levels. */
export function binaries(app: App): void {
  const path = `/packages/${LEVELS.map((level) => `{${level}}`).join("/")}`;
  app.openapi(
    createRoute({
      method: "put",
      path,
      tags: ["discovery"],
      summary: "Replace a binary, in the repos that took it from here too",
      description:
        "What is stored stays until the new bytes have come. Where nothing is stored it is the same as POST.",
      request: { params: paramsOf(LEVELS.length), body: { ...json(NewBytes, "what it is to be"), required: false } },
      responses: { 200: json(BinaryAwaited, "it awaits its bytes, or has them"), ...refusals },
    }),
    async (c) => {
      const { name, ...wanted } = c.req.valid("json");
      const segments = segmentsOf(c, LEVELS.length);
      const known = name === undefined ? await writtenPath(c, segments) : named(segments, name);
      return c.json(await answerAwaited(c, known, wanted, true), 200);
    },
  );

  app.openapi(
    createRoute({
      method: "delete",
      path,
      tags: ["discovery"],
      summary: "Delete a binary; repos that took it from here drop it",
      request: { params: paramsOf(LEVELS.length) },
      responses: { 204: { description: "it is gone" }, ...refusals, 404: json(Refusal, "there is none") },
    }),
    async (c) => {
      await removeBinary(c.var.ctx, await writtenPath(c, segmentsOf(c, LEVELS.length)));
      return c.body(null, 204);
    },
  );

  for (let depth = 1; depth < LEVELS.length; depth += 1) deleteLevel(app, depth);
}

function deleteLevel(app: App, depth: number): void {
  const levels = LEVELS.slice(0, depth);
  app.openapi(
    createRoute({
      method: "delete",
      path: `/packages/${levels.map((level) => `{${level}}`).join("/")}`,
      tags: ["discovery"],
      summary: `Delete a ${levels.at(-1)}`,
      request: {
        params: paramsOf(depth),
        query: z.object({
          recursive: z
            .enum(["true", "false"], { error: "is true or false" })
            .optional()
            .openapi({ description: "with all that is below" }),
        }),
      },
      responses: {
        202: json(Refusal, "there is more of it than a request has time for; the rest goes without being asked for"),
        204: { description: "it is gone, and repos drop what they took from there" },
        ...refusals,
        404: json(Refusal, "there is none"),
      },
    }),
    async (c) => {
      const { ctx } = c.var;
      const end = ctx.now().getTime() + WORK_MS;
      const removed = await removeLevel(ctx, segmentsOf(c, depth), {
        recursive: c.req.valid("query").recursive === "true",
        isOver: () => ctx.now().getTime() >= end,
      });
      if (removed === "gone") return c.body(null, 204);
      const message = "some of it is gone, the rest follows by itself";
      return c.json({ msg: message, message }, 202);
    },
  );
}

export function paramsOf(depth: number) {
  return z.object(Object.fromEntries(LEVELS.slice(0, depth).map((level) => [level, z.string()])));
}

export function segmentsOf(c: Request<Env>, depth: number): readonly string[] {
  return checkSegments(LEVELS.slice(0, depth).map((level) => c.req.param(level) ?? ""));
}

function named(segments: readonly string[], name: string): readonly string[] {
  if (!isSameName(name, segments.at(-1) ?? "")) {
    throw new AppError("invalid", `name is ${JSON.stringify(name)}, the URL says ${JSON.stringify(segments.at(-1))}`);
  }
  return [...segments.slice(0, -1), checkName(name, LEVELS.length - 1)];
}

/** The name in a body is written as it is; in an address its `%3a` may have become a colon. */
export function isSameName(name: string, inUrl: string): boolean {
  return name === inUrl || name.replace(/%3a/gi, ":") === inUrl;
}

/** `%3a` of a file name as apt-get download writes it arrives as a colon, unless whoever asks encoded it once more. */
export function namesOf(name: string): string[] {
  return name.includes(":") ? [name, name.replaceAll(":", "%3a")] : [name];
}

/** Of the binaries that an address may mean the one that is there; else what the address says itself. */
export async function writtenPath(c: Request<Env>, segments: readonly string[]): Promise<readonly string[]> {
  const names = namesOf(segments.at(-1) ?? "");
  for (const name of names.length > 1 ? names : []) {
    const path = [...segments.slice(0, -1), name];
    if (await findBinary(c.var.ctx, path)) return path;
  }
  return segments;
}
