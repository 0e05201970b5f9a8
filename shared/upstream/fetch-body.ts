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
  const chunks: AsyncIterator<Uint8Array> = response[Symbol.asyncIterator]();
  let gotBytes = 0;
  try {
    for (;;) {
      const timer = setTimeout(() => response.destroy(late(limits, gotBytes)), limits.idleTimeoutMs);
      const step = await chunks.next().finally(() => clearTimeout(timer));
      if (step.done) break;
      gotBytes += step.value.length;
      if (gotBytes > limits.maxBytes) throw tooLarge(limits.at, limits.maxBytes, "more");
      yield step.value;
    }
  } catch (error) {
    throw failureOf(error, response, limits, gotBytes);
  } finally {
    response.destroy();
  }
}

/** The same bytes at once; of a small body each step on the way costs more than the bytes. Throws the same. */
export function wholeOf(response: Answer, limits: BodyLimits): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let gotBytes = 0;
  const timer = setTimeout(() => response.destroy(late(limits, gotBytes)), limits.idleTimeoutMs);
  const end = (error?: unknown) => {
    clearTimeout(timer);
    if (response.complete && error === undefined) resolve(Buffer.concat(chunks));
    else reject(failureOf(error, response, limits, gotBytes));
  };
  response.on("data", (chunk: Buffer) => {
    timer.refresh();
    gotBytes += chunk.length;
    if (gotBytes > limits.maxBytes) response.destroy(tooLarge(limits.at, limits.maxBytes, "more"));
    else chunks.push(chunk);
  });
  response.once("error", end);
  response.once("end", end);
  response.once("close", end);
  return promise;
}

function late({ at, idleTimeoutMs }: BodyLimits, gotBytes: number): UpstreamFault {
  return new UpstreamFault({
    url: at,
    expected: `more bytes within ${idleTimeoutMs} ms`,
    got: `none after ${gotBytes}`,
  });
}

function failureOf(error: unknown, response: Answer, { at, signal }: BodyLimits, gotBytes: number): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof UpstreamError || error instanceof UpstreamFault) return error;
  const announced = lengthOf(response);
  const expected = announced === undefined ? "a whole body" : `${announced} bytes`;
  return new UpstreamFault({ url: at, expected, got: `the end after ${gotBytes}` }, { cause: error });
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
