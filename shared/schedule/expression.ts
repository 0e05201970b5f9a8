import { z } from "zod";
import { AppError } from "../error.ts";
import { type Cron, nextOfCron, parseCron } from "./cron.ts";

/** What EventBridge takes: `rate(1 day)`, `cron(0 6 * * ? *)`, `at(2026-11-21T12:00:00)`; all in UTC. */
type Parsed =
  | { readonly kind: "rate"; readonly periodMs: number }
  | { readonly kind: "cron"; readonly cron: Cron }
  | { readonly kind: "at"; readonly time: Date };

const UNITS_MS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;
const LEAST_MINUTES = 5;
const MOST_DAYS = 366;
/** What EventBridge takes at most. */
const MOST_CHARACTERS = 256;
const EXPECTED = "expected like rate(1 day), rate(6 hours) or cron(0 6 * * ? *), in UTC";

/** When something is to come again and again, as a caller may say it; `scheduleOf` makes it what EventBridge takes. */
export const ScheduleExpression = z
  .string()
  .max(MOST_CHARACTERS)
  .superRefine((text, context) => {
    try {
      checkOften(parse(scheduleOf(text)));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      context.addIssue({ code: "custom", message: error.message });
    }
  });

/** Single spaces, small letters outside and capitals inside of cron. Of what `ScheduleExpression` took. */
export function scheduleOf(text: string): string {
  const [, kind = "", inside = ""] = /^\s*([a-z]+)\s*\(([^()]*)\)\s*$/i.exec(text) ?? [];
  if (kind === "") throw new AppError("invalid", `schedule is ${JSON.stringify(text.slice(0, 60))}: ${EXPECTED}`);
  const fields = inside.trim().split(/\s+/).join(" ");
  return /^rate$/i.test(kind) ? `rate(${fields.toLowerCase()})` : `${kind.toLowerCase()}(${fields.toUpperCase()})`;
}

/**
 * The first time strictly after `date`; undefined where there is none. Of a rate, the one period after `date`.
 *
 * @throws AppError `invalid` where the expression is none
 */
export function nextAfter(expression: string, date: Date): Date | undefined {
  const parsed = parse(expression);
  if (parsed.kind === "rate") return new Date(date.getTime() + parsed.periodMs);
  if (parsed.kind === "at") return parsed.time.getTime() > date.getTime() ? parsed.time : undefined;
  return nextOfCron(parsed.cron, date);
}

function parse(expression: string): Parsed {
  const [, kind, inside = ""] = /^(rate|cron|at)\(([^()]*)\)$/.exec(expression) ?? [];
  if (kind === "rate") return { kind, periodMs: periodOf(inside) };
  if (kind === "cron") return { kind, cron: parseCron(inside) };
  if (kind === "at") return { kind, time: timeOf(inside) };
  throw new AppError("invalid", `schedule is ${JSON.stringify(expression.slice(0, 60))}: ${EXPECTED}`);
}

function periodOf(text: string): number {
  const [, count = "", unit, many] = /^([1-9]\d{0,6}) (minute|hour|day)(s?)$/.exec(text) ?? [];
  if (unit !== "minute" && unit !== "hour" && unit !== "day") {
    throw new AppError(
      "invalid",
      `rate is ${JSON.stringify(text.slice(0, 60))}: expected a whole number and minutes, hours or days, like rate(6 hours)`,
    );
  }
  // EventBridge wants the singular for 1, and for nothing else.
  if ((count === "1") !== (many === "")) {
    const right = count === "1" ? unit : `${unit}s`;
    throw new AppError("invalid", `rate is ${JSON.stringify(text)}: expected rate(${count} ${right})`);
  }
  return Number(count) * UNITS_MS[unit];
}

function timeOf(text: string): Date {
  const time = new Date(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/.test(text) ? `${text}Z` : Number.NaN);
  if (Number.isNaN(time.getTime()) || time.toISOString().slice(0, 19) !== text) {
    throw new AppError("invalid", `at is ${JSON.stringify(text.slice(0, 60))}: expected like at(2026-11-21T12:00:00)`);
  }
  return time;
}

/** Other people's servers are not asked more often than this, and nothing that never comes is promised. */
function checkOften(parsed: Parsed): void {
  const tooOften = new AppError("invalid", `schedule: expected ${LEAST_MINUTES} minutes at least between two times`);
  if (parsed.kind === "at") throw new AppError("invalid", `schedule is to come again and again: ${EXPECTED}`);
  if (parsed.kind === "rate") {
    if (parsed.periodMs < LEAST_MINUTES * UNITS_MS.minute) throw tooOften;
    if (parsed.periodMs > MOST_DAYS * UNITS_MS.day) {
      throw new AppError("invalid", `schedule: expected ${MOST_DAYS} days at most between two times`);
    }
    return;
  }
  const { minutes } = parsed.cron;
  const gaps = minutes.map((minute, index) => (minutes[index + 1] ?? (minutes[0] ?? 0) + 60) - minute);
  if (gaps.some((gap) => gap < LEAST_MINUTES)) throw tooOften;
  if (!nextOfCron(parsed.cron, new Date(0)))
    throw new AppError("invalid", "schedule: there is no such day in any year");
}
