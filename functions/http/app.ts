import { OpenAPIHono } from "@hono/zod-openapi";
import { bodyLimit } from "hono/body-limit";
import type { Context } from "../../shared/context.ts";
import { AppError } from "../../shared/error.ts";
import { type Caller, identify } from "./access.ts";
import { discovery } from "./discovery/routes.ts";
import { answerError, answerUnknownPath } from "./errors.ts";
import { repositories } from "./repositories/routes.ts";
import { service } from "./service/routes.ts";

/** What a handler finds beside the request. */
export type Env = { Variables: { ctx: Context; caller: Caller | undefined } };
export type App = OpenAPIHono<Env>;

/** An empty app of ours: with or without trailing slash, and with one way to refuse what a schema does not take. */
export function emptyApp(): App {
  return new OpenAPIHono<Env>({
    strict: false,
    defaultHook: (result) => {
      if (result.success) return;
      const problems = result.error.issues.map(({ path, message }) =>
        path.length > 0 ? `${path.join(".")}: ${message}` : message,
      );
      throw new AppError("invalid", problems.join("; "));
    },
  });
}

/** A function takes 6 MB at most; what is larger than this goes up as a blob. */
const MOST_BODY_BYTES = 1024 * 1024;

function tooLarge(): never {
  throw new AppError("too_large", `the body is over ${MOST_BODY_BYTES} bytes`);
}

/** All surfaces on one host. */
export function appOf(ctx: () => Context): App {
  const app = emptyApp();
  app.use(async (c, next) => {
    c.set("ctx", ctx());
    await next();
    c.header("X-Content-Type-Options", "nosniff");
    if (!c.res.headers.has("Cache-Control")) c.header("Cache-Control", "no-store");
  });
  app.use(bodyLimit({ maxSize: MOST_BODY_BYTES, onError: tooLarge }));
  app.use(identify);
  app.onError(answerError);
  app.notFound(answerUnknownPath);
  discovery(app);
  repositories(app);
  service(app);
  return app;
}
