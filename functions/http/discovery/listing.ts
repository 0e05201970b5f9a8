import type { z } from "@hono/zod-openapi";
import type { Context as Request } from "hono";
import { type Child, childrenOf } from "../../../shared/binary/node.ts";
import { LEVELS } from "../../../shared/binary/path.ts";
import type { Context } from "../../../shared/context.ts";
import { AppError } from "../../../shared/error.ts";
import { keys } from "../../../shared/store/keys.ts";
import { prefersHtml } from "../accept.ts";
import type { Env } from "../app.ts";
import { isHeld, weakTag } from "../conditional.ts";
import { listingPage } from "./listing-page.ts";
import { CONTENT_SECURITY } from "./page.ts";
import { childView, discoveryUrl, type Listing } from "./view.ts";

/** Words as "3 seconds ago" said at this time are the same for ever. */
const NO_TIME = new Date(0);

/**
 * One page of what lies below a level, as JSON or for people. Its ETag is that of the same answer with no time gone by, so it
 * covers all that is told but the words that time alone changes. Costs a query; where that finds nothing, a read.
 */
export async function list(c: Request<Env>, segments: readonly string[], after: string | undefined) {
  const { ctx } = c.var;
  const { children, next } = await childrenOf(ctx, segments, after);
  if (children.length === 0 && segments.length > 0 && !(await ctx.table.get(keys.node(segments)))) {
    throw new AppError("not_found", `no ${LEVELS[segments.length - 1]} ${segments.at(-1)}`);
  }
  const nextUrl = next === undefined ? undefined : `${discoveryUrl(ctx, segments)}/?after=${encodeURIComponent(next)}`;
  const told = { segments, children, next: nextUrl };
  const asPage = prefersHtml(c.req.header("accept"));
  const still = asPage ? await listingPage(ctx, told, NO_TIME) : JSON.stringify(listingOf(ctx, told, NO_TIME));
  const tag = weakTag(asPage ? "html" : "json", nextUrl ?? "", still);
  c.header("ETag", tag);
  c.header("Vary", "Accept");
  c.header("Cache-Control", "private, no-cache");
  if (nextUrl !== undefined) c.header("Link", `<${nextUrl}>; rel="next"`);
  if (isHeld(c.req.header("if-none-match"), tag)) return c.body(null, 304);
  const now = ctx.now();
  if (!asPage) return c.json(listingOf(ctx, told, now), 200);
  c.header("Content-Security-Policy", CONTENT_SECURITY);
  return c.html(await listingPage(ctx, told, now), 200);
}

/** What a page of a listing tells: the level, some of its children, and where the others are. */
export type ToldLevel = {
  readonly segments: readonly string[];
  readonly children: readonly Child[];
  readonly next: string | undefined;
};

function listingOf(ctx: Context, { segments, children }: ToldLevel, now: Date): z.infer<typeof Listing> {
  // A null prototype, so that a package may be called __proto__.
  const listing: z.infer<typeof Listing> = Object.create(null);
  for (const child of children) listing[child.name] = childView(ctx, segments, child, now);
  return listing;
}
