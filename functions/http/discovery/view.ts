import type { Child } from "../../../shared/binary/node.ts";
import type { Context } from "../../../shared/context.ts";
import { ago, humanSize } from "../ago.ts";
import type { ChildView } from "./routes.ts";

/** The discovery tree's own address of a level or binary, every segment encoded. */
export function discoveryUrl(ctx: Context, segments: readonly string[]): string {
  return `${ctx.publicUrl}/packages/${segments.map(encodeURIComponent).join("/")}`;
}

/** What a listing says of one child. */
export function childView(ctx: Context, above: readonly string[], { name, node }: Child): ChildView {
  const times = { last_updated: ago(node.updatedAt, ctx.now()), last_updated_at: node.updatedAt };
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
    sha512: null,
    state: "stored",
    url,
  };
}
