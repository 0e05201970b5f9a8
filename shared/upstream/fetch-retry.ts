import { type Sleep, sleepUntilAborted } from "./fetch.ts";
import { UpstreamFault } from "./fetch-error.ts";

export type Backoff = {
  /** The first pause is about this long, each further one about double. */
  readonly baseMs?: number | undefined;
  readonly maxMs?: number | undefined;
  /** An upstream that asks to be left alone for longer gets its way: the fault is thrown on, with the time in it. */
  readonly maxRetryAfterMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly sleep?: Sleep | undefined;
  readonly random?: (() => number) | undefined;
};

export type Retries = Backoff & {
  /** How often in all. */
  readonly tries: number;
  /** Told of each fault that is followed by another try. */
  readonly onFault?: ((fault: UpstreamFault, pauseMs: number) => void) | undefined;
};

const BASE_MS = 500;
const MAX_MS = 30_000;
const MAX_RETRY_AFTER_MS = 60_000;

/** The pause after the nth fault (from 1): half of it by chance, so that many who failed together do not return together. */
export function pauseMs(fault: UpstreamFault, nth: number, backoff: Backoff): number {
  const { baseMs = BASE_MS, maxMs = MAX_MS, random = Math.random } = backoff;
  const full = Math.min(baseMs * 2 ** (nth - 1), maxMs);
  return Math.max(full / 2 + (full / 2) * random(), fault.retryAfterMs ?? 0);
}

/** @throws what `run` throws unless it is an UpstreamFault; the last fault when there have been `tries` */
export async function withRetries<T>(run: () => Promise<T>, retries: Retries): Promise<T> {
  const { tries, signal, sleep = sleepUntilAborted, onFault } = retries;
  for (let nth = 1; ; nth++) {
    signal?.throwIfAborted();
    try {
      return await run();
    } catch (error) {
      if (!isWorthWaiting(error, retries) || nth >= tries) throw error;
      const pause = pauseMs(error, nth, retries);
      onFault?.(error, pause);
      await sleep(pause, signal);
    }
  }
}

export function isWorthWaiting(error: unknown, backoff: Backoff): error is UpstreamFault {
  return error instanceof UpstreamFault && (error.retryAfterMs ?? 0) <= (backoff.maxRetryAfterMs ?? MAX_RETRY_AFTER_MS);
}
