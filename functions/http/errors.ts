import type { Context as Request } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { AppError, type ErrorKind } from "../../shared/error.ts";

const STATUS = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  precondition: 412,
  too_large: 413,
  unprocessable: 422,
  unavailable: 503,
} as const satisfies Record<ErrorKind, ContentfulStatusCode>;

const TITLE: Record<ErrorKind, string> = {
  invalid: "Invalid request",
  unauthorized: "Unauthorized",
  forbidden: "Forbidden",
  not_found: "Not found",
  conflict: "Conflict",
  precondition: "Precondition failed",
  too_large: "Too large",
  unprocessable: "Unprocessable",
  unavailable: "Unavailable",
};

/** Every error leaves through here: in the shape of its surface, telling nothing of our insides. */
export function answerError(error: Error, c: Request): Response {
  const known = knownError(error);
  if (!known) {
    process.stderr.write(
      `${JSON.stringify({ level: "error", path: c.req.path, message: error.message, stack: error.stack })}\n`,
    );
    return shaped(c, 500, "Internal error", "something went wrong on our side; try again", {});
  }
  if (known.kind === "unauthorized") c.header("WWW-Authenticate", 'Bearer realm="packhouse"');
  return shaped(c, statusOf(known.kind, c), TITLE[known.kind], known.message, known.details);
}

export function answerUnknownPath(c: Request): Response {
  return shaped(c, 404, TITLE.not_found, `there is nothing at ${c.req.path.slice(0, 200)}; / says what is here`, {});
}

function knownError(error: Error): AppError | undefined {
  if (error instanceof AppError) return error;
  if (error instanceof HTTPException && error.status === 400) {
    return new AppError("invalid", "the body is no JSON; send a JSON object");
  }
  return undefined;
}

/** The discovery surface says 400 where others say conflict. */
function statusOf(kind: ErrorKind, c: Request): ContentfulStatusCode {
  return kind === "conflict" && isDiscovery(c) ? 400 : STATUS[kind];
}

function shaped(
  c: Request,
  status: ContentfulStatusCode,
  title: string,
  message: string,
  details: Readonly<Record<string, unknown>>,
): Response {
  if (isDiscovery(c)) return c.json({ msg: message, message }, status);
  return c.body(JSON.stringify({ ...details, type: "about:blank", title, status, detail: message }), status, {
    "content-type": "application/problem+json",
  });
}

function isDiscovery(c: Request): boolean {
  return /^\/(?:packages|search)(?:\/|$)/.test(c.req.path);
}
