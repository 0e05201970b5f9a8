import fc from "fast-check";
import { expect, test } from "vitest";
import { ago, humanSize } from "../../functions/http/ago.ts";

const NOW = new Date("2026-11-21T12:00:00.000Z");
const SECOND = 1;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

test.each([
  [14 * HOUR + 39 * MINUTE + 19 * SECOND, "14 hours, 39 minutes, 19 seconds ago"],
  [15 * HOUR + 42 * MINUTE + 28 * SECOND, "15 hours, 42 minutes, 28 seconds ago"],
  [20 * DAY + 6 * HOUR + 39 * MINUTE + 19 * SECOND, "20 days, 6 hours, 39 minutes, 19 seconds ago"],
  [35 * DAY + 6 * HOUR + 39 * MINUTE + 19 * SECOND, "35 days, 6 hours, 39 minutes, 19 seconds ago"],
  [2, "2 seconds ago"],
  [1, "1 second ago"],
  [0, "0 seconds ago"],
  [59, "59 seconds ago"],
  [60, "1 minute ago"],
  [HOUR + 1, "1 hour, 1 second ago"],
  [DAY + MINUTE, "1 day, 1 minute ago"],
  [365 * DAY, "1 year ago"],
  [800 * DAY, "2 years, 70 days ago"],
])("%d seconds back is told as %s", (seconds, words) => {
  expect(ago(new Date(NOW.getTime() - seconds * 1000).toISOString(), NOW)).toBe(words);
});

test("a time ahead of ours, from a clock that is wrong, is now", () => {
  expect(ago("2026-11-21T12:00:05.000Z", NOW)).toBe("0 seconds ago");
});

test("whatever the time, the words add up to it again", () => {
  const units: Record<string, number> = { year: 365 * DAY, day: DAY, hour: HOUR, minute: MINUTE, second: SECOND };
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 40 * 365 * DAY }), (seconds) => {
      const words = ago(new Date(NOW.getTime() - seconds * 1000).toISOString(), NOW);
      expect(words).toMatch(/^\d+ \w+(, \d+ \w+)* ago$/);
      const sum = [...words.matchAll(/(\d+) (\w+?)s?\b/g)].reduce(
        (total, [, count, unit]) => total + Number(count) * (units[unit ?? ""] ?? Number.NaN),
        0,
      );
      expect(sum).toBe(seconds);
    }),
  );
});

test.each([
  [0, "0"],
  [512, "512"],
  [1023, "1023"],
  [1024, "1K"],
  [53_000, "52K"],
  [12 * 1024 ** 2, "12M"],
  [12.4 * 1024 ** 2, "12M"],
  [1024 ** 2 - 1, "1M"],
  [1024 ** 3 - 1, "1G"],
  [5 * 1024 ** 3, "5G"],
  [3 * 1024 ** 4, "3T"],
])("%d bytes are told as %s", (bytes, words) => {
  expect(humanSize(bytes)).toBe(words);
});
