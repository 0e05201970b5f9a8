import { AppError } from "../error.ts";

/** What about an upstream is wrong for good. */
export type UpstreamReason =
  | "url"
  | "scheme"
  | "port"
  | "address"
  | "redirect"
  | "certificate"
  | "status"
  | "encoding"
  | "range"
  | "too_large"
  | "size"
  | "checksum"
  | "changed";

/** One failed fetch: where (as `shown` of fetch-url.ts, so without credentials), what should have come and what came. */
export type Failure = {
  readonly url: string;
  readonly expected: string;
  readonly got: string;
  /** The upstream's HTTP status, where it is what is wrong. */
  readonly status?: number | undefined;
};

function messageOf({ url, expected, got }: Failure): string {
  return `${url}: expected ${expected}, got ${got}`;
}

/** To ask again is no use: a job records it and is done. */
export class UpstreamError extends AppError {
  override readonly name = "UpstreamError";
  readonly reason: UpstreamReason;
  readonly url: string;
  readonly status: number | undefined;

  constructor(reason: UpstreamReason, failure: Failure) {
    super("unprocessable", messageOf(failure), { reason, ...failure });
    this.reason = reason;
    this.url = failure.url;
    this.status = failure.status;
  }
}

/** It may go better another time: thrown on, it makes the queue try again. */
export class UpstreamFault extends Error {
  override readonly name = "UpstreamFault";
  readonly url: string;
  readonly status: number | undefined;
  /** What the upstream asked for with Retry-After. */
  readonly retryAfterMs: number | undefined;

  constructor(failure: Failure, { retryAfterMs, cause }: { retryAfterMs?: number | undefined; cause?: unknown } = {}) {
    super(messageOf(failure), cause === undefined ? {} : { cause });
    this.url = failure.url;
    this.status = failure.status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** RFC 9110 15.5.9, RFC 8470 5.2, RFC 6585 4: of the client's errors, those that pass. */
const PASSING = [408, 425, 429];

export function isPassing(status: number): boolean {
  return status >= 500 || PASSING.includes(status);
}

/** Nobody waits longer than that because a stranger says so. */
const LONGEST_RETRY_AFTER_MS = 60 * 60_000;

/** RFC 9110 10.2.3: seconds, or a date in any of the three spellings of HTTP. Undefined when it is neither. */
export function retryAfterOf(header: string | undefined, nowMs: number): number | undefined {
  const text = header?.trim() ?? "";
  let ms = Number.NaN;
  if (/^\d+$/.test(text)) ms = Number(text) * 1000;
  // asctime names no zone, and means GMT.
  else if (/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text))
    ms = Date.parse(/GMT$/.test(text) ? text : `${text} GMT`) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), LONGEST_RETRY_AFTER_MS);
}
