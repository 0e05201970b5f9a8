import { AppError } from "../error.ts";

/**
 * AWS's cron: minutes hours day-of-month month day-of-week year, in UTC.
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
 */
export type Cron = {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly months: readonly number[];
  readonly years: readonly number[];
  /** The days of a month (1 to 12) of a year, rising. */
  readonly daysOf: (year: number, month: number) => readonly number[];
};

type Field = {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** Names of the values, from `from` on. */
  readonly names?: readonly string[];
};

const MINUTES: Field = { name: "minutes", from: 0, to: 59 };
const HOURS: Field = { name: "hours", from: 0, to: 23 };
const DAYS: Field = { name: "day-of-month", from: 1, to: 31 };
const MONTHS: Field = {
  name: "month",
  from: 1,
  to: 12,
  names: ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
/** 1 is Sunday. */
const WEEKDAYS: Field = {
  name: "day-of-week",
  from: 1,
  to: 7,
  names: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
};
const YEARS: Field = { name: "year", from: 1970, to: 2199 };
const SATURDAY = 7;
const SUNDAY = 1;

/** Of the text between the parentheses. @throws AppError `invalid` that names the field and what would be right */
export function parseCron(text: string): Cron {
  const fields = text.trim().toUpperCase().split(/\s+/);
  const [minutes = "", hours = "", days = "", months = "", weekdays = "", years = ""] = fields;
  if (fields.length !== 6) {
    throw new AppError(
      "invalid",
      `cron has 6 fields (minutes hours day-of-month month day-of-week year), here are ${text.trim() ? fields.length : 0}`,
    );
  }
  if ((days === "?") === (weekdays === "?")) {
    throw new AppError("invalid", "of day-of-month and day-of-week in cron, one is given and the other is ?");
  }
  return {
    minutes: valuesOf(minutes, MINUTES),
    hours: valuesOf(hours, HOURS),
    months: valuesOf(months, MONTHS),
    years: valuesOf(years, YEARS),
    daysOf: weekdays === "?" ? daysOfMonth(days) : daysOfWeek(weekdays),
  };
}

/** Strictly after `date`; undefined where there is none any more. */
export function nextOfCron(cron: Cron, date: Date): Date | undefined {
  // A minute is the finest that it knows.
  const first = new Date(Math.floor(date.getTime() / 60_000 + 1) * 60_000);
  const least = [
    first.getUTCFullYear(),
    first.getUTCMonth() + 1,
    first.getUTCDate(),
    first.getUTCHours(),
    first.getUTCMinutes(),
  ];
  const valuesAt = (chosen: readonly number[]): readonly number[] => {
    const [year = 0, month = 0] = chosen;
    if (chosen.length === 2) return cron.daysOf(year, month);
    return [cron.years, cron.months, [], cron.hours, cron.minutes][chosen.length] ?? [];
  };
  /** The earliest way to choose what is left; `open`: what is chosen so far is later than `first` already. */
  const choose = (chosen: readonly number[], open: boolean): readonly number[] | undefined => {
    if (chosen.length === least.length) return chosen;
    const bound = least[chosen.length] ?? 0;
    for (const value of valuesAt(chosen)) {
      if (!open && value < bound) continue;
      const found = choose([...chosen, value], open || value > bound);
      if (found) return found;
    }
    return undefined;
  };
  const found = choose([], false);
  if (!found) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0] = found;
  return new Date(Date.UTC(year, month - 1, day, hour, minute));
}

/** A list of `*`, a value or a range, each with a step at will. */
function valuesOf(text: string, field: Field): readonly number[] {
  const values = new Set<number>();
  for (const part of text.split(",")) {
    const [range = "", step, ...more] = part.split("/");
    const [low = "", high, ...rest] = range.split("-");
    if (more.length > 0 || rest.length > 0) throw wrong(text, field);
    if (range === "*" && step === undefined && text !== "*") throw wrong(text, field);
    const from = range === "*" ? field.from : oneOf(low, text, field);
    const to = endOf(range, high, step, { text, field, from });
    const by = step === undefined ? 1 : numberIn(step, 1, field.to - field.from + 1);
    if (by === undefined) throw wrong(text, field);
    const size = field.to - field.from + 1;
    for (let value = from; value <= to; value += by) values.add(value > field.to ? value - size : value);
  }
  return [...values].sort((a, b) => a - b);
}

function endOf(
  range: string,
  high: string | undefined,
  step: string | undefined,
  { text, field, from }: { text: string; field: Field; from: number },
): number {
  if (high === undefined) return range === "*" || step !== undefined ? field.to : from;
  const to = oneOf(high, text, field);
  if (to >= from) return to;
  // As in `20-2` hours or `FRI-MON`, past the end of the day or the week; years have no end to go past.
  if (field === YEARS) throw new AppError("invalid", `year in cron: the range ${range} ends before it begins`);
  return to + field.to - field.from + 1;
}

function oneOf(text: string, whole: string, field: Field): number {
  const named = field.names?.indexOf(text) ?? -1;
  const value = named >= 0 ? field.from + named : numberIn(text, field.from, field.to);
  if (value === undefined) throw wrong(whole, field);
  return value;
}

function numberIn(text: string, from: number, to: number): number | undefined {
  if (!/^\d{1,4}$/.test(text)) return undefined;
  const value = Number(text);
  return value >= from && value <= to ? value : undefined;
}

function wrong(text: string, { name, from, to, names }: Field): AppError {
  const also = names ? ` or ${names[0]} to ${names.at(-1)}` : "";
  const signs = { "day-of-month": ", - * ? / L W", "day-of-week": ", - * ? / L #" }[name] ?? ", - * /";
  return new AppError(
    "invalid",
    `${name} in cron is ${JSON.stringify(text.slice(0, 60))}: expected ${from} to ${to}${also}, with ${signs}`,
  );
}

function daysOfMonth(text: string): Cron["daysOf"] {
  if (text === "L") return (year, month) => [lastOf(year, month)];
  if (text === "LW") return (year, month) => [nearestWeekday(year, month, lastOf(year, month))];
  const [, near] = /^(\d{1,2})W$/.exec(text) ?? [];
  if (near !== undefined) {
    const day = oneOf(near, text, DAYS);
    return (year, month) => (day > lastOf(year, month) ? [] : [nearestWeekday(year, month, day)]);
  }
  const days = valuesOf(text, DAYS);
  return (year, month) => days.filter((day) => day <= lastOf(year, month));
}

function daysOfWeek(text: string): Cron["daysOf"] {
  if (text === "L") return (year, month) => theseWeekdays(year, month, [SATURDAY]);
  const [, last, nth, count] = /^(?:(\w+)L|(\w+)#([1-5]))$/.exec(text) ?? [];
  if (last !== undefined && last !== "") {
    const weekday = oneOf(last, text, WEEKDAYS);
    return (year, month) => theseWeekdays(year, month, [weekday]).slice(-1);
  }
  if (nth !== undefined) {
    const weekday = oneOf(nth, text, WEEKDAYS);
    const index = Number(count) - 1;
    return (year, month) => theseWeekdays(year, month, [weekday]).slice(index, index + 1);
  }
  const weekdays = valuesOf(text, WEEKDAYS);
  return (year, month) => theseWeekdays(year, month, weekdays);
}

function theseWeekdays(year: number, month: number, weekdays: readonly number[]): readonly number[] {
  const days = Array.from({ length: lastOf(year, month) }, (_, index) => index + 1);
  return days.filter((day) => weekdays.includes(weekdayOf(year, month, day)));
}

/** From Monday to Friday, and never in another month. */
function nearestWeekday(year: number, month: number, day: number): number {
  const weekday = weekdayOf(year, month, day);
  if (weekday === SATURDAY) return day === 1 ? 3 : day - 1;
  if (weekday === SUNDAY) return day === lastOf(year, month) ? day - 2 : day + 1;
  return day;
}

function weekdayOf(year: number, month: number, day: number): number {
  return new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 1;
}

function lastOf(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}
