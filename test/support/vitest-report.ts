import { relative } from "node:path";
import { z } from "zod";

/** What is read of the file that vitest's JSON reporter writes. */
const Report = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      startTime: z.number(),
      endTime: z.number(),
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string(), duration: z.number().nullish() })),
    }),
  ),
});

export type Tally = { passed: number; failed: number; notes: string[]; slowest: string[] };

/** A test that was skipped counts as failed: nothing is skipped in silence. So does a file that held no test or broke. */
export function tallyOf(json: unknown, root: string): Tally {
  const files = Report.parse(json).testResults.map((file) => ({ ...file, name: relative(root, file.name) }));
  const tests = files.flatMap((file) => file.assertionResults.map((test) => ({ ...test, file: file.name })));
  const notPassed = tests.filter((test) => test.status !== "passed");
  const broken = files.filter(
    (file) => file.assertionResults.length === 0 || (file.status !== "passed" && file.assertionResults.every(isPassed)),
  );
  const notes = [
    ...notPassed.map((test) => `${test.status}: ${test.file}: ${test.fullName}`),
    ...broken.map((file) => `broken or empty: ${file.name}`),
  ];
  if (files.length === 0) notes.push("no test was found");
  return {
    passed: tests.length - notPassed.length,
    failed: notes.length,
    notes,
    slowest: [
      ...longest(files.map((file) => [file.name, file.endTime - file.startTime])),
      ...longest(tests.map((test) => [`  ${test.file}: ${test.fullName}`, test.duration ?? 0])),
    ],
  };
}

function isPassed(test: { status: string }): boolean {
  return test.status === "passed";
}

function longest(times: [string, number][]): string[] {
  const sorted = times.filter(([, ms]) => ms >= 500).sort((a, b) => b[1] - a[1]);
  return sorted.slice(0, 10).map(([name, ms]) => `${(ms / 1000).toFixed(1).padStart(7)} s  ${name}`);
}
