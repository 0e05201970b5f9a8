import { z } from "@hono/zod-openapi";
import type { Child } from "../../../shared/binary/node.ts";
import type { Context } from "../../../shared/context.ts";
import { ago, humanSize } from "../ago.ts";

export const ChildView = z
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
export type ChildView = z.infer<typeof ChildView>;

export const Listing = z.record(z.string(), ChildView);

/** The discovery tree's own address of a level or binary, every segment encoded. */
export function discoveryUrl(ctx: Pick<Context, "publicUrl">, segments: readonly string[]): string {
  return [`${ctx.publicUrl}/packages`, ...segments.map(encodeURIComponent)].join("/");
}

/** What a listing says of one child; words as "3 seconds ago" are from `now`. */
export function childView(
  ctx: Context,
  above: readonly string[],
  { name, node }: Child,
  now: Date = ctx.now(),
): ChildView {
  const times = { last_updated: ago(node.updatedAt, now), last_updated_at: node.updatedAt };
  if (node.kind === "level") return times;
  const url = discoveryUrl(ctx, [...above, name]);
  const { stored, awaited } = node;
  if (!stored) {
    const sizeBytes = awaited?.sizeBytes ?? null;
    return {
      signed: false,
      size: sizeBytes === null ? null : humanSize(sizeBytes),
      ...times,
      size_bytes: sizeBytes,
      sha256: null,
      sha512: null,
      state: "awaiting",
      url,
    };
  }
  return {
    signed: stored.signed,
    size: humanSize(stored.sizeBytes),
    ...times,
    size_bytes: stored.sizeBytes,
    sha256: stored.sha256,
    sha512: stored.sha512 ?? null,
    state: "stored",
    url,
  };
}
