import { execFile } from "node:child_process";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tallyOf } from "../support/vitest-report.ts";
import { openWorkbench, type Workbench } from "../support/workbench.ts";

const root = join(import.meta.dirname, "../..");

describe("what vitest reports", () => {
  const file = (name: string, statuses: string[], status = "passed") => ({
    name: `/p/${name}`,
    status,
    startTime: 0,
    endTime: 2_000,
    assertionResults: statuses.map((one, i) => ({ fullName: `${name} ${i}`, status: one, duration: 1_500 })),
  });
  const tally = (...testResults: object[]) => tallyOf({ testResults }, "/p");

  test("is counted test by test, with the slowest told", () => {
    const told = tally(file("a.test.ts", ["passed", "passed"]), file("b.test.ts", ["passed", "failed"], "failed"));
    expect(told).toMatchObject({ passed: 3, failed: 1, notes: ["failed: b.test.ts: b.test.ts 1"] });
    expect(told.slowest[0]).toMatch(/2\.0 s\s+a\.test\.ts$/);
  });

  test.each(["skipped", "pending", "todo"])("counts a test that is %s as failed, and names it", (status) => {
    expect(tally(file("a.test.ts", ["passed", status]))).toMatchObject({
      passed: 1,
      failed: 1,
      notes: [`${status}: a.test.ts: a.test.ts 1`],
    });
  });

  test("counts a file that broke or holds no test, and a run without any", () => {
    expect(tally(file("a.test.ts", [], "failed"), file("b.test.ts", ["passed"]))).toMatchObject({
      passed: 1,
      failed: 1,
    });
    expect(tally(file("a.test.ts", ["passed"], "failed"))).toMatchObject({ passed: 1, failed: 1 });
    expect(tally()).toMatchObject({ passed: 0, failed: 1, notes: ["no test was found"] });
  });
});

describe(".ci/run", () => {
  let bench: Workbench;
  beforeAll(async () => {
    bench = await openWorkbench("gate");
  });
  afterAll(() => bench.remove());

  /** Runs it with an npm that does as told. */
  async function ran(npm: string): Promise<{ code: number; lines: string[] }> {
    await chmod(await bench.file("npm", `#!/bin/sh\n${npm}\n`), 0o755);
    const env = { ...process.env, PATH: `${bench.folder}:/usr/bin:/bin` };
    return new Promise((resolve) => {
      execFile(join(root, ".ci/run"), { env, cwd: "/" }, (error, stdout) =>
        resolve({ code: error ? Number(error.code) : 0, lines: stdout.trimEnd().split("\n") }),
      );
    });
  }

  test("hands on the count as the last line, once, whatever npm says behind it", async () => {
    const all = await ran(
      '[ "$1" = test ] && { pwd; echo "CI=$CI"; echo "7 passed, 0 failed"; echo bye >&2; }; exit 0',
    );
    expect(all).toEqual({ code: 0, lines: [root, "CI=true", "bye", "7 passed, 0 failed"] });
  });

  test.each([
    ["npm ci fails", 'echo broken; [ "$1" = test ]', "0 passed, 1 failed"],
    ["tests fail", 'if [ "$1" = test ]; then echo "6 passed, 2 failed"; exit 1; fi', "6 passed, 2 failed"],
    ["tests pass and something else fails", 'echo "6 passed, 0 failed"; [ "$1" = ci ]', "6 passed, 1 failed"],
    ["nothing was counted", "true", "0 passed, 1 failed"],
    ["failures are told with exit code 0", 'echo "6 passed, 2 failed"', "6 passed, 2 failed"],
  ])("fails and says so when %s", async (_, npm, last) => {
    const { code, lines } = await ran(npm);
    expect(lines.at(-1)).toBe(last);
    expect(code).not.toBe(0);
    expect(lines.filter((line) => /^\d+ passed, \d+ failed$/.test(line))).toHaveLength(1);
  });
});
