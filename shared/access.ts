import { z } from "zod";
import { sha256Of } from "./blob.ts";
import type { Context } from "./context.ts";
import { AppError } from "./error.ts";
import { keys } from "./store/keys.ts";

/** Who asks: a token names a user. */
export type Caller = { readonly user: string };

const TokenItem = z.object({ user: z.string(), expiresAt: z.string().optional() });

/** Tokens that were found to be good; for so short a time that a revoked one is soon refused everywhere. */
const warm = new WeakMap<Context, Map<string, { caller: Caller; until: number }>>();
const WARM_MS = 10_000;
const WARM_TOKENS = 1000;
const LONGEST_TOKEN = 512;

/** Whose token it is; throws `unauthorized` for one we do not know. One read, none while it is warm. */
export async function callerOf(ctx: Context, token: string): Promise<Caller> {
  if (token.length === 0 || token.length > LONGEST_TOKEN) throw unknownToken();
  const hash = sha256Of(token);
  const known = warm.get(ctx) ?? new Map<string, { caller: Caller; until: number }>();
  warm.set(ctx, known);
  const now = ctx.now().getTime();
  const found = known.get(hash);
  if (found && found.until > now) return found.caller;
  const item = await ctx.table.get(keys.token(hash));
  if (!item) throw unknownToken();
  const { user, expiresAt } = TokenItem.parse(item);
  if (expiresAt !== undefined && Date.parse(expiresAt) <= now) throw unknownToken();
  if (known.size >= WARM_TOKENS) known.clear();
  const caller = { user };
  known.set(hash, { caller, until: now + WARM_MS });
  return caller;
}

/** Only the hash is kept. */
export async function putToken(ctx: Pick<Context, "table" | "now">, token: string, user: string): Promise<void> {
  await ctx.table.put({ ...keys.token(sha256Of(token)), user, createdAt: ctx.now().toISOString() });
}

function unknownToken(): AppError {
  return new AppError("unauthorized", "the token is not known, or has expired or been revoked");
}
