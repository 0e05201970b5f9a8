import { z } from "@hono/zod-openapi";
import type { Context as Request } from "hono";
import type { Context } from "../../../shared/context.ts";
import { AppError } from "../../../shared/error.ts";
import { findRepo, findReposNamed, REPO_NAME, REPO_TYPES, type Repo, type RepoRef } from "../../../shared/repo/repo.ts";
import type { Env } from "../app.ts";

export const TYPES = `acceptable types are ${REPO_TYPES.join(", ")}`;
export const Type = z.enum(REPO_TYPES, { error: `unknown type: ${TYPES}` });

/** A repo by its name; `type` tells apart those of one name. */
export const ByName = { params: z.object({ name: z.string() }), query: z.object({ type: Type.optional() }) };

/** The one of that name; where several types have one, the oldest unless the type is told. */
export async function oneNamed(ctx: Context, name: string, type: RepoRef["type"] | undefined): Promise<Repo> {
  const found = type === undefined ? (await findReposNamed(ctx, name))[0] : await findRepo(ctx, { type, name });
  if (!found) throw new AppError("not_found", `no repo ${JSON.stringify(name.slice(0, 100))}`);
  return found;
}

export function repoUri(ctx: Context, { name }: Pick<RepoRef, "name">): string {
  return `${ctx.publicUrl}/repo/${name}`;
}

export function typedUri(ctx: Context, ref: RepoRef): string {
  return `${repoUri(ctx, ref)}?type=${ref.type}`;
}

/** The commit that a change is to be made on, or not at all; from `If-Match`, the commit's number as an ETag. */
export function onlyOn(c: Request<Env>): number | undefined {
  const header = c.req.header("if-match");
  if (header === undefined || header.trim() === "*") return undefined;
  const [, number] = /^\s*(?:W\/)?"(\d{1,12})"\s*$/.exec(header) ?? [];
  if (number === undefined) {
    throw new AppError(
      "invalid",
      `If-Match is ${JSON.stringify(header.slice(0, 60))}: expected a commit as an ETag, like "12"`,
    );
  }
  return Number(number);
}

export function commitTag(commit: { readonly number: number }): string {
  return `"${commit.number}"`;
}

/** What a PUT makes or changes: the name of the URL, which the body may say again but not otherwise. */
export function checkSameName(given: string | undefined, name: string): void {
  if (given === undefined || given === name) return;
  throw new AppError("invalid", `name is ${JSON.stringify(given)}, the URL says ${JSON.stringify(name)}`);
}

/** What a PUT is to make, where there is nothing of the name: its type must be told then. */
export function newRef(name: string, type: RepoRef["type"] | undefined): RepoRef {
  if (!REPO_NAME.test(name)) throw new AppError("invalid", `name: must match ${REPO_NAME.source}`);
  if (type === undefined) throw new AppError("invalid", `type is missing: ${TYPES}`);
  return { type, name };
}
