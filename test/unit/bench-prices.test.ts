import { expect, test } from "vitest";
import { dollarsAMillion } from "../../bench/prices.ts";

const call = (name: string, start: number, end: number, bytes = 0) => ({ name, start, end, bytes });

test("a read is paid for each 4 KB, a write for each 1 KB, and a message three times", () => {
  const calls = [
    call("table.query", 0, 1, 4097),
    call("table.put", 1, 2, 1025),
    call("queues.ingest", 2, 3),
    call("queues.publish", 3, 4),
    call("objects.getBlob", 4, 5),
    call("objects.putBlob", 5, 6),
    call("objects.presignUpload", 6, 7),
  ];
  const dollars = dollarsAMillion({ calls, cpuSeconds: 0, requests: 1, functions: 2 });
  expect(dollars).toMatchObject({ table: 0.25 + 1.25, store: 5.4, http: 1 });
  expect(dollars.queues).toBeCloseTo(1.2 + 1.5);
});

test("a function that waits for requests side by side waits once", () => {
  const lambda = (...calls: ReturnType<typeof call>[]) =>
    dollarsAMillion({ calls, cpuSeconds: 0, requests: 0, functions: 0 }).lambda;
  const one = lambda(call("table.get", 0, 10));
  expect(one).toBeCloseTo(0.005 * 13.3334);
  expect(lambda(call("table.get", 0, 10), call("table.get", 5, 12))).toBe(one);
  expect(lambda(call("table.get", 0, 10), call("table.get", 11, 12))).toBe(2 * one);
});
