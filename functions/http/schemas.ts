import { z } from "@hono/zod-openapi";
import { parseSha256 } from "../../shared/blob.ts";

export const Problem = z
  .object({ type: z.string(), title: z.string(), status: z.int(), detail: z.string() })
  .openapi("Problem");

export const Sha256Field = z
  .string()
  .regex(/^[0-9a-fA-F]{64}$/, "must be 64 hex digits")
  .transform(parseSha256);

/** A `content` of one JSON schema, as routes name it. */
export function json<T extends z.ZodType>(schema: T, description: string) {
  return { description, content: { "application/json": { schema } } };
}

export const problem = (description: string) => ({
  description,
  content: { "application/problem+json": { schema: Problem } },
});
