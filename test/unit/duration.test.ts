import { expect, test } from "vitest";
import { durationInput, secondsOf, wordsOf } from "../../shared/duration.ts";

test.each([
  ["7 days", 604_800],
  ["36 hours", 129_600],
  ["1 day", 86_400],
  ["90minutes", 5_400],
  [" 2 Weeks ", 1_209_600],
  ["1 year", 31_536_000],
  ["0 days", 0],
  ["0", 0],
] as const)("%s is so many seconds", (words, seconds) => {
  expect(secondsOf(words)).toBe(seconds);
});

test.each(["", "7", "days", "-1 day", "1.5 days", "7 moons", "1 constructor", "1 day 2 hours", "99999999999 days"])(
  "%j is no duration",
  (words) => {
    expect(secondsOf(words)).toBeUndefined();
  },
);

test.each(["7 days", "36 hours", "1 hour", "90 minutes", "61 seconds", "3650 days"])(
  "%s is told as it was said",
  (words) => {
    expect(wordsOf(secondsOf(words) ?? -1)).toBe(words);
  },
);

test("a duration out of its bounds is refused with them, and what it was", () => {
  const input = durationInput(3600, 86_400);
  expect(input.parse("1 hour")).toBe(3600);
  expect(input.parse("1 day")).toBe(86_400);
  for (const words of ["59 minutes", "25 hours", "soon"]) {
    expect(input.safeParse(words).error?.issues[0]?.message).toMatch(
      new RegExp(`^"${words}" is no duration from 1 hour to 1 day; expected words like`),
    );
  }
});
