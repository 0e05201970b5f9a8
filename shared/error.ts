/** What a permanent error is about. The HTTP status for each stands in one table at the edge (functions/http/errors.ts). */
export type ErrorKind =
  | "invalid"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "conflict"
  | "precondition"
  | "too_large"
  | "unprocessable"
  | "unavailable";

/**
 * A permanent error: a job records it and is done, a request answers it. Anything else that is thrown is a fault:
 * a job is retried, a request is a 500 that tells nothing of our insides.
 */
export class AppError extends Error {
  override readonly name: string = "AppError";
  readonly kind: ErrorKind;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(kind: ErrorKind, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.kind = kind;
    this.details = details;
  }
}

/** A file that is not what its format says: `offset` is the byte at which reading stopped making sense. */
export class FormatError extends AppError {
  override readonly name = "FormatError";
  readonly offset: number;

  constructor(message: string, offset: number) {
    super("unprocessable", `${message} (at byte ${offset})`, { offset });
    this.offset = offset;
  }
}
