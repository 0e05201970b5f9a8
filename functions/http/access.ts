import type { MiddlewareHandler } from "hono";
import { type Caller, callerOf } from "../../shared/access.ts";
import { AppError } from "../../shared/error.ts";
import type { Env } from "./app.ts";

export type { Caller };

const READING = new Set(["GET", "HEAD", "OPTIONS"]);

/** Reads are public, writes need a token; a token that is wrong is refused everywhere. */
export const identify: MiddlewareHandler<Env> = async (c, next) => {
  const token = tokenOf(c.req.header("authorization"), c.req.header("x-snarl-token"));
  c.set("caller", token === undefined ? undefined : await callerOf(c.var.ctx, token));
  if (!READING.has(c.req.method) && !c.var.caller) {
    throw new AppError("unauthorized", "writing needs a token: send it as `Authorization: Bearer TOKEN`");
  }
  await next();
};

/** `Bearer T`, `Token T`, `X-Snarl-Token: T`, or Basic with the token as password. */
function tokenOf(authorization: string | undefined, snarl: string | undefined): string | undefined {
  if (authorization === undefined) return snarl;
  const [, scheme = "", value = ""] = /^(\S+)\s+(\S+)\s*$/.exec(authorization) ?? [];
  switch (scheme.toLowerCase()) {
    case "bearer":
    case "token":
      return value;
    case "basic": {
      const pair = Buffer.from(value, "base64").toString("utf8");
      return pair.slice(pair.indexOf(":") + 1);
    }
    default:
      throw new AppError("unauthorized", "the Authorization header is none of Bearer TOKEN, Token TOKEN and Basic");
  }
}
