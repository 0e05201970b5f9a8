import type { Answer } from "./fetch-connection.ts";
import { UpstreamError, UpstreamFault } from "./fetch-error.ts";

export type BodyLimits = {
  readonly maxBytes: number;
  /** While the reader waits for bytes; while it does not, the upstream may wait for it as long as it likes. */
  readonly idleTimeoutMs: number;
  readonly at: string;
  readonly signal: AbortSignal | undefined;
};

/** What Content-Length says; undefined where it says nothing. */
export function lengthOf(response: Answer): number | undefined {
  const length = response.headers["content-length"];
  return length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined;
}

export function tooLarge(at: string, maxBytes: number, got: string): UpstreamError {
  return new UpstreamError("too_large", { url: at, expected: `at most ${maxBytes} bytes`, got });
}

/**
 * The bytes as they were sent, no faster than they are taken.
 * @throws UpstreamError when they are too many, UpstreamFault when they stop too early
 */
export async function* bodyOf(response: Answer, limits: BodyLimits): AsyncGenerator<Uint8Array, void, void> {
  const { maxBytes, idleTimeoutMs, at, signal } = limits;
  const announced = lengthOf(response);
  const expected = announced === undefined ? "a whole body" : `${announced} bytes`;
  const chunks: AsyncIterator<Uint8Array> = response[Symbol.asyncIterator]();
  let gotBytes = 0;
  try {
    for (;;) {
      const late = { url: at, expected: `more bytes within ${idleTimeoutMs} ms`, got: `none after ${gotBytes}` };
      const timer = setTimeout(() => response.destroy(new UpstreamFault(late)), idleTimeoutMs);
      const step = await chunks.next().finally(() => clearTimeout(timer));
      if (step.done) break;
      gotBytes += step.value.length;
      if (gotBytes > maxBytes) throw tooLarge(at, maxBytes, "more");
      yield step.value;
    }
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (error instanceof UpstreamError || error instanceof UpstreamFault) throw error;
    throw new UpstreamFault({ url: at, expected, got: `the end after ${gotBytes}` }, { cause: error });
  } finally {
    response.destroy();
  }
}

const DISCARD_BYTES = 64 * 1024;
const DISCARD_MS = 2_000;

/** Reads a small body that nobody wants, so that its connection can be used again; ends the connection for any other. */
export async function discard(response: Answer): Promise<void> {
  const timer = setTimeout(() => response.destroy(), DISCARD_MS);
  try {
    let gotBytes = 0;
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      gotBytes += chunk.length;
      if (gotBytes > DISCARD_BYTES) return;
    }
  } catch {
    // It was not wanted.
  } finally {
    clearTimeout(timer);
    response.destroy();
  }
}
