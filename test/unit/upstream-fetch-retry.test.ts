import { describe, expect, test } from "vitest";
import { UpstreamError, UpstreamFault } from "../../shared/upstream/fetch-error.ts";
import { type Retries, withRetries } from "../../shared/upstream/fetch-retry.ts";
import { thrownBy } from "../support/upstream-site.ts";

const FAILURE = { url: "http://a.example/", expected: "200", got: "503", status: 503 };
const fault = (retryAfterMs?: number) => new UpstreamFault(FAILURE, { retryAfterMs });

/** Runs what fails with these, then succeeds; tells the pauses. */
async function run(failures: readonly unknown[], options: Partial<Retries> = {}) {
  const left = [...failures];
  const pauses: number[] = [];
  let runs = 0;
  const result = withRetries(
    async () => {
      runs++;
      if (left.length > 0) throw left.shift();
      return "done";
    },
    {
      tries: 5,
      random: () => 1,
      sleep: async (ms) => {
        pauses.push(ms);
      },
      ...options,
    },
  );
  const outcome = await result.catch((error: unknown) => error);
  return { outcome, pauses, runs };
}

test("a fault is tried again after pauses that double, to a limit", async () => {
  const faults = Array.from({ length: 9 }, () => fault());
  const { outcome, pauses } = await run(faults, { tries: 10 });
  expect(outcome).toBe("done");
  expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
});

test("half of a pause is chance", async () => {
  expect((await run([fault(), fault()], { random: () => 0 })).pauses).toEqual([250, 500]);
  expect((await run([fault(), fault()], { random: () => 0.5, baseMs: 100 })).pauses).toEqual([75, 150]);
  const { pauses } = await run([fault()], { random: undefined });
  expect(pauses[0]).toBeGreaterThanOrEqual(250);
  expect(pauses[0]).toBeLessThanOrEqual(500);
});

test("the last of the tries throws its fault", async () => {
  const last = fault();
  const { outcome, runs } = await run([fault(), fault(), last, fault()], { tries: 3 });
  expect(outcome).toBe(last);
  expect(runs).toBe(3);
});

test.each([new UpstreamError("status", FAILURE), new TypeError("a bug"), "a word"])(
  "%s is not tried again",
  async (error) => {
    const { outcome, runs } = await run([error]);
    expect(outcome).toBe(error);
    expect(runs).toBe(1);
  },
);

describe("what the upstream asks for with Retry-After", () => {
  test("is the least pause", async () => {
    expect((await run([fault(20_000), fault(10), fault(0)])).pauses).toEqual([20_000, 1000, 2000]);
  });

  test("is left to the caller when it is long", async () => {
    const long = fault(60_001);
    expect(await run([long])).toMatchObject({ outcome: long, runs: 1 });
    expect((await run([fault(60_000)])).pauses).toEqual([60_000]);
    expect((await run([fault(900_000)], { maxRetryAfterMs: 900_000 })).pauses).toEqual([900_000]);
  });
});

test("each fault that is followed by another try is told", async () => {
  const told: unknown[] = [];
  const faults = [fault(), fault(5000), fault()];
  await run(faults, { tries: 3, onFault: (one, pauseMs) => told.push([one, pauseMs]) });
  expect(told).toEqual([
    [faults[0], 500],
    [faults[1], 5000],
  ]);
});

test("a signal ends a pause, and begins nothing", async () => {
  const abort = new AbortController();
  const reason = new Error("enough");
  const paused = thrownBy(
    withRetries(
      async () => {
        throw fault(60_000);
      },
      { tries: 2, signal: abort.signal, onFault: () => setImmediate(() => abort.abort(reason)) },
    ),
  );
  expect(await paused).toBe(reason);
  expect(await run([], { signal: abort.signal })).toMatchObject({ outcome: reason, runs: 0 });
});
