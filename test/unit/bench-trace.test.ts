import { expect, test } from "vitest";
import type { Sample } from "../../bench/profile.ts";
import { type Span, stepOf, stepsOf } from "../../bench/works/trace-steps.ts";

const span = (name: string, start: number, end: number, from: string[], cpuMs: [number, number]): Span => ({
  ...{ name, start, end, bytes: 10, from },
  cpuMs,
});

test("a request's step is told by who asked for it", () => {
  const step = (name: string, ...from: string[]) => stepOf({ name, from });
  expect(step("objects.putBlob", "shared/tree/leaf", "shared/tree/edit", "shared/commit")).toBe("leaf");
  expect(step("objects.getBlob", "shared/tree/root", "shared/publication/publish")).toBe("look");
  expect(step("objects.getBlob", "shared/publication/members")).toBe("fragments");
  expect(step("objects.putBlob", "shared/publication/join")).toBe("index");
  expect(step("table.put", "shared/commit")).toBe("commit");
  expect(step("table.get", "shared/repo/repo")).toBe("ask");
  expect(step("sealer.unseal", "shared/repo/keyring")).toBe("sign");
  expect(step("objects.putPointer", "shared/publication/publish")).toBe("pointer");
  expect(step("table.put", "shared/publication/manifest")).toBe("record");
});

test("every moment from the first request to the last is one step's, and its CPU what the requests tell", () => {
  const spans = [
    span("table.put", 10, 14, ["shared/commit"], [0, 2]),
    span("objects.putBlob", 24, 30, ["shared/publication/join"], [7, 8]),
  ];
  const stack = ["update node:internal/crypto/hash:1", "add shared/publication/hash-marks.ts:9"];
  const samples: Sample[] = [
    { atMs: 8, ms: 4, stack: ["get shared/repo/repo.ts:1"] },
    { atMs: 12, ms: 2, stack: ["put shared/commit.ts:1"] },
    { atMs: 14, ms: 5, stack },
    { atMs: 19, ms: 5, stack: [] },
    { atMs: 24, ms: 6, stack: ["send infra/local/s3/store.ts:1"] },
  ];
  const steps = stepsOf(spans, samples);
  expect([...steps].map(([step, { ms }]) => [step, ms])).toEqual([
    ["commit", 4],
    ["index", 6],
    ["hash", 10],
  ]);
  expect([...steps.values()].reduce((sum, { ms }) => sum + ms, 0)).toBe(20);
  expect(steps.get("hash")?.cpuMs).toBeCloseTo(5);
  expect(steps.get("index")?.cpuMs).toBeCloseTo(1);
});
