import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nextAfter, ScheduleExpression, scheduleOf } from "../../shared/schedule/expression.ts";

const complaint = (text: string): string => {
  const read = ScheduleExpression.safeParse(text);
  return read.success ? "" : read.error.issues.map((issue) => issue.message).join("; ");
};
/** The next times after an instant, to the minute. */
function times(expression: string, from: string, count: number): string[] {
  const found: string[] = [];
  let at: Date | undefined = new Date(from);
  while (found.length < count) {
    at = nextAfter(expression, at);
    if (!at) break;
    found.push(at.toISOString().slice(0, 16));
  }
  return found;
}

/** 1 November 2026 is a Sunday. */
const SUNDAY = "2026-11-01T00:00:00Z";

describe("what AWS's documentation gives as examples comes at the times it says", () => {
  test.each([
    ["cron(0 10 * * ? *)", ["2026-11-01T10:00", "2026-11-02T10:00"]],
    ["cron(15 12 * * ? *)", ["2026-11-01T12:15", "2026-11-02T12:15"]],
    ["cron(0 18 ? * MON-FRI *)", ["2026-11-02T18:00", "2026-11-03T18:00"]],
    ["cron(0 8 1 * ? *)", ["2026-11-01T08:00", "2026-12-01T08:00"]],
    ["cron(0/15 * * * ? *)", ["2026-11-01T00:15", "2026-11-01T00:30", "2026-11-01T00:45", "2026-11-01T01:00"]],
    ["cron(0/10 * ? * MON-FRI *)", ["2026-11-02T00:00", "2026-11-02T00:10"]],
    ["cron(1/10 * * * ? *)", ["2026-11-01T00:01", "2026-11-01T00:11"]],
    ["cron(0/30 20-2 ? * MON-FRI *)", ["2026-11-02T00:00", "2026-11-02T00:30", "2026-11-02T01:00"]],
    ["cron(0 9 ? * 2#1 *)", ["2026-11-02T09:00", "2026-12-07T09:00"]],
    // Tuesday is the third day of the week.
    ["cron(0 9 ? * 3#2 *)", ["2026-11-10T09:00", "2026-12-08T09:00"]],
    ["cron(15 10 ? * 6L 2026-2027)", ["2026-11-27T10:15", "2026-12-25T10:15", "2027-01-29T10:15"]],
  ])("%s", (expression, expected) => {
    expect(complaint(expression)).toBe("");
    expect(times(expression, SUNDAY, expected.length)).toEqual(expected);
  });
});

describe("days of a month and of a week", () => {
  test.each([
    // The last day, also of February.
    ["cron(0 0 L * ? *)", "2027-01-31T00:00:00Z", ["2027-02-28T00:00", "2027-03-31T00:00"]],
    ["cron(0 0 L 2 ? *)", "2027-03-01T00:00:00Z", ["2028-02-29T00:00"]],
    // 15 November 2026 is a Sunday, 15 August a Saturday.
    ["cron(0 0 15W 8,11 ? *)", "2026-08-01T00:00:00Z", ["2026-08-14T00:00", "2026-11-16T00:00"]],
    // 1 August 2026 is a Saturday, 31 January 2027 a Sunday: never in another month.
    ["cron(0 0 1W 8 ? *)", "2026-07-01T00:00:00Z", ["2026-08-03T00:00"]],
    ["cron(0 0 31W 1 ? *)", "2027-01-01T00:00:00Z", ["2027-01-29T00:00"]],
    ["cron(0 0 LW 1,2 ? *)", "2027-01-01T00:00:00Z", ["2027-01-29T00:00", "2027-02-26T00:00"]],
    ["cron(0 0 31 * ? *)", "2027-01-31T00:00:00Z", ["2027-03-31T00:00", "2027-05-31T00:00"]],
    ["cron(0 0 29 FEB ? *)", SUNDAY, ["2028-02-29T00:00", "2032-02-29T00:00"]],
    ["cron(0 0 ? * L *)", SUNDAY, ["2026-11-07T00:00", "2026-11-14T00:00"]],
    ["cron(0 0 ? * FRIL *)", SUNDAY, ["2026-11-27T00:00"]],
    ["cron(0 0 ? * SUN#5 *)", "2026-11-02T00:00:00Z", ["2026-11-29T00:00", "2027-01-31T00:00"]],
    [
      "cron(0 0 ? * FRI-MON *)",
      "2026-11-03T00:00:00Z",
      ["2026-11-06T00:00", "2026-11-07T00:00", "2026-11-08T00:00", "2026-11-09T00:00", "2026-11-13T00:00"],
    ],
    ["cron(0 0 ? DEC-JAN 1 *)", "2026-12-27T00:00:00Z", ["2027-01-03T00:00"]],
    ["cron(5,50 3 2-4 JAN ? 2028/2)", SUNDAY, ["2028-01-02T03:05", "2028-01-02T03:50", "2028-01-03T03:05"]],
  ])("%s", (expression, from, expected) => {
    expect(complaint(expression)).toBe("");
    expect(times(expression, from, expected.length)).toEqual(expected);
  });
});

test("a rate comes one period after, a time that is told once", () => {
  expect(times("rate(90 minutes)", SUNDAY, 2)).toEqual(["2026-11-01T01:30", "2026-11-01T03:00"]);
  expect(times("rate(1 day)", SUNDAY, 1)).toEqual(["2026-11-02T00:00"]);
  expect(times("at(2026-11-21T12:00:00)", SUNDAY, 2)).toEqual(["2026-11-21T12:00"]);
  expect(() => nextAfter("at(2026-02-30T12:00:00)", new Date())).toThrow("expected like at(");
});

test("a time that is over never comes", () => {
  expect(nextAfter("cron(0 0 1 1 ? 2026)", new Date(SUNDAY))).toBeUndefined();
});

describe("what cannot be is refused, and it is said what would be right", () => {
  test.each([
    ["every day", 'schedule is "every day": expected like rate(1 day)'],
    ["rate(1 days)", "expected rate(1 day)"],
    ["rate(2 day)", "expected rate(2 days)"],
    ["rate(0 days)", "expected a whole number"],
    ["rate(1.5 hours)", "expected a whole number"],
    ["rate(30 seconds)", "minutes, hours or days"],
    ["rate(4 minutes)", "5 minutes at least"],
    ["rate(999999 days)", "366 days at most"],
    ["at(2026-11-21T12:00:00)", "again and again"],
    ["cron(0 6 * * ?)", "here are 5"],
    ["cron()", "here are 0"],
    ["cron(0 6 * * * *)", "the other is ?"],
    ["cron(0 6 ? * ? *)", "the other is ?"],
    ["cron(0 6 1 * MON *)", "the other is ?"],
    ["cron(60 6 * * ? *)", 'minutes in cron is "60": expected 0 to 59'],
    ["cron(0 24 * * ? *)", 'hours in cron is "24": expected 0 to 23'],
    ["cron(0 6 0 * ? *)", "day-of-month in cron"],
    ["cron(0 6 32W * ? *)", "day-of-month in cron"],
    ["cron(0 6 * FOO ? *)", "expected 1 to 12 or JAN to DEC"],
    ["cron(0 6 ? * 0 *)", "expected 1 to 7 or SUN to SAT"],
    ["cron(0 6 ? * 3#6 *)", "day-of-week in cron"],
    ["cron(0 6 ? * 3#1,6#3 *)", "day-of-week in cron"],
    ["cron(0 6 * * ? 1969)", "year in cron"],
    ["cron(0 6 * * ? 2030-2026)", "ends before it begins"],
    ["cron(0/0 6 * * ? *)", "minutes in cron"],
    ["cron(1-2-3 6 * * ? *)", "minutes in cron"],
    ["cron(,5 6 * * ? *)", "minutes in cron"],
    ["cron(* * * * ? *)", "5 minutes at least"],
    ["cron(1,58 * * * ? *)", "5 minutes at least"],
    ["cron(0 0 31 2 ? *)", "no such day"],
    [`cron(${"0,".repeat(150)}0 6 * * ? *)`, "256"],
  ])("%s", (text, why) => {
    expect(complaint(text)).toContain(why);
  });
});

test("blanks and capitals are made what EventBridge takes", () => {
  expect(scheduleOf("  rate( 1  Day )")).toBe("rate(1 day)");
  expect(scheduleOf("Cron(0 6 ?  * mon-fri *)")).toBe("cron(0 6 ? * MON-FRI *)");
  expect(complaint(" CRON(0 6 ? * mon#1 *) ")).toBe("");
});

/** Slow and plain: is this minute one of the expression's? */
function holds(fields: readonly (readonly number[] | undefined)[], at: Date): boolean {
  const parts = [at.getUTCMinutes(), at.getUTCHours(), at.getUTCDate(), at.getUTCMonth() + 1, at.getUTCDay() + 1];
  return parts.every((part, index) => fields[index]?.includes(part) ?? true);
}

test("the next time is after, matches, and none between matches", () => {
  const some = (from: number, to: number, most: number) =>
    fc.option(fc.uniqueArray(fc.integer({ min: from, max: to }), { minLength: 1, maxLength: most }), {
      nil: undefined,
    });
  const days = fc.oneof(
    fc.tuple(some(1, 31, 4), fc.constant("?" as const)),
    fc.tuple(fc.constant("?" as const), some(1, 7, 3)),
  );
  const instant = fc.date({
    min: new Date("2026-01-01T00:00:00Z"),
    max: new Date("2030-01-01T00:00:00Z"),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(
      some(0, 59, 3),
      some(0, 23, 3),
      days,
      some(1, 12, 6),
      instant,
      (minutes, hours, [day, weekday], months, from) => {
        const text = (field: readonly number[] | "?" | undefined) => (field === "?" ? "?" : (field?.join(",") ?? "*"));
        const next = nextAfter(
          `cron(${text(minutes)} ${text(hours)} ${text(day)} ${text(months)} ${text(weekday)} *)`,
          from,
        );
        const listed = [minutes, hours, day, months, weekday].map((field) => (field === "?" ? undefined : field));
        const end = from.getTime() + 40 * 86_400_000;
        let expected: number | undefined;
        for (let at = Math.floor(from.getTime() / 60_000 + 1) * 60_000; at < end; at += 60_000) {
          if (!holds(listed, new Date(at))) continue;
          expected = at;
          break;
        }
        if (expected === undefined) expect(next?.getTime() ?? end).toBeGreaterThanOrEqual(end);
        else expect(next?.getTime()).toBe(expected);
      },
    ),
    { numRuns: 150 },
  );
});

test("whatever is given is taken or refused, and never breaks", () => {
  const piece = fc.constantFrom(
    "cron(",
    "rate(",
    ")",
    "*",
    "?",
    "/",
    "-",
    ",",
    "L",
    "W",
    "#",
    " ",
    "0",
    "5",
    "31",
    "MON",
    "JAN",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      complaint(pieces.join(""));
      complaint(`cron(${pieces.join("")} * * * ? *)`);
      complaint(`cron(0 0 ${pieces.join("")} * ? *)`);
    }),
  );
});
