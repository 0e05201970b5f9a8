import { z } from "zod";

const SECONDS: Readonly<Record<string, number>> = {
  second: 1,
  minute: 60,
  hour: 3_600,
  day: 86_400,
  week: 7 * 86_400,
  year: 365 * 86_400,
};
/** What durations are told in. */
const TOLD = ["day", "hour", "minute"] as const;
export const TEN_YEARS_SECONDS = 10 * 365 * 86_400;

/** Seconds that words like `7 days`, `36 hours` or `0` mean; undefined where they mean none. A year has 365 days. */
export function secondsOf(words: string): number | undefined {
  const [, count, unit] = /^\s*(\d{1,10})\s*([a-z]+?)s?\s*$/i.exec(words) ?? [];
  if (count === undefined || unit === undefined) return /^\s*0+\s*$/.test(words) ? 0 : undefined;
  const seconds = Object.hasOwn(SECONDS, unit.toLowerCase()) ? SECONDS[unit.toLowerCase()] : undefined;
  return seconds === undefined ? undefined : Number(count) * seconds;
}

/** In the largest unit up to days that tells it exactly: `7 days`, `36 hours`. */
export function wordsOf(seconds: number): string {
  const unit = TOLD.find((one) => seconds % (SECONDS[one] ?? 1) === 0) ?? "second";
  const count = seconds / (SECONDS[unit] ?? 1);
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** A duration in words, as a body gives it; read as seconds. */
export function durationInput(leastSeconds: number, mostSeconds: number) {
  return z
    .string()
    .max(60)
    .transform((words, check) => {
      const seconds = secondsOf(words);
      if (seconds !== undefined && seconds >= leastSeconds && seconds <= mostSeconds) return seconds;
      const bounds = `from ${wordsOf(leastSeconds)} to ${wordsOf(mostSeconds)}`;
      check.addIssue({
        code: "custom",
        message: `${JSON.stringify(words)} is no duration ${bounds}; expected words like "7 days" or "36 hours"`,
      });
      return z.NEVER;
    });
}
