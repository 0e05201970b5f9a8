import { z } from "zod";
import { AppError } from "../../../shared/error.ts";
import { nextAfter } from "../../../shared/schedule/expression.ts";
import type { LocalDatabase, Row } from "../database.ts";

const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS scheduler_schedule (
    group_name TEXT NOT NULL, name TEXT NOT NULL, definition TEXT NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL,
    next INTEGER, PRIMARY KEY (group_name, name)
  ) STRICT`,
  "CREATE INDEX IF NOT EXISTS scheduler_schedule_next ON scheduler_schedule (next) WHERE next IS NOT NULL",
];

const text = (most: number) => z.string().min(1).max(most);

/** What is kept of a schedule: the part of AWS's own that a queue on this machine can be the target of. */
export const Definition = z.strictObject({
  ScheduleExpression: text(256),
  ScheduleExpressionTimezone: z.literal("UTC").default("UTC"),
  FlexibleTimeWindow: z.strictObject({ Mode: z.literal("OFF") }),
  ActionAfterCompletion: z.enum(["NONE", "DELETE"]).default("NONE"),
  State: z.enum(["ENABLED", "DISABLED"]).default("ENABLED"),
  Description: z.string().max(512).optional(),
  Target: z.strictObject({
    Arn: z.string().regex(/^arn:aws:sqs:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,80}$/),
    RoleArn: z.string().regex(/^arn:aws:iam::\d{12}:role\/.{1,500}$/),
    Input: text(262_144),
    DeadLetterConfig: z.strictObject({ Arn: text(1600) }).optional(),
    RetryPolicy: z
      .strictObject({
        MaximumEventAgeInSeconds: z.int().min(60).max(86_400).optional(),
        MaximumRetryAttempts: z.int().min(0).max(185).optional(),
      })
      .optional(),
  }),
});
export type Definition = z.infer<typeof Definition>;

export type ScheduleKey = { readonly group: string; readonly name: string };
export type Stored = ScheduleKey & {
  readonly definition: Definition;
  readonly createdMs: number;
  readonly modifiedMs: number;
};
export type Due = ScheduleKey & { readonly definition: Definition; readonly nextMs: number };

export type ScheduleRows = ReturnType<typeof scheduleRows>;

/** The schedules' rows, each with the time when it is due next. Times are given, in milliseconds. */
export function scheduleRows(db: LocalDatabase) {
  for (const sql of SCHEMA) db.statement(sql).run();

  function setNext({ group, name }: ScheduleKey, nextMs: number | undefined): void {
    db.statement("UPDATE scheduler_schedule SET next = ? WHERE group_name = ? AND name = ?").run(
      nextMs ?? null,
      group,
      name,
    );
  }

  return {
    find({ group, name }: ScheduleKey): Stored | undefined {
      const row = db.statement("SELECT * FROM scheduler_schedule WHERE group_name = ? AND name = ?").get(group, name);
      return (
        row && {
          group,
          name,
          definition: definitionOf(row),
          createdMs: numberOf(row.created),
          modifiedMs: numberOf(row.modified),
        }
      );
    },

    /** Begins to count anew. @throws AppError where the expression is none */
    save({ group, name }: ScheduleKey, definition: Definition, nowMs: number): void {
      const next = definition.State === "DISABLED" ? undefined : firstTime(definition, nowMs);
      db.statement(
        `INSERT INTO scheduler_schedule (group_name, name, definition, created, modified, next) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET definition = excluded.definition, modified = excluded.modified, next = excluded.next`,
      ).run(group, name, JSON.stringify(definition), nowMs, nowMs, next ?? null);
    },

    remove({ group, name }: ScheduleKey): boolean {
      const { changes } = db
        .statement("DELETE FROM scheduler_schedule WHERE group_name = ? AND name = ?")
        .run(group, name);
      return Number(changes) > 0;
    },

    /** Those whose time has come, the longest overdue first. */
    due(nowMs: number, count: number): Due[] {
      return db
        .statement("SELECT * FROM scheduler_schedule WHERE next <= ? ORDER BY next LIMIT ?")
        .all(nowMs, count)
        .map((row) => ({
          group: String(row.group_name),
          name: String(row.name),
          definition: definitionOf(row),
          nextMs: numberOf(row.next),
        }));
    },

    /** It has had its time: on to the next one after now, however many were missed; or it is done. */
    advance(due: Due, nowMs: number): void {
      const { ScheduleExpression, ActionAfterCompletion } = due.definition;
      const next = timeAfter(ScheduleExpression, due.nextMs, nowMs);
      if (next === undefined && ActionAfterCompletion === "DELETE") this.remove(due);
      else setNext(due, next);
    },

    /** When the next one is due; undefined where none is. */
    earliest(): number | undefined {
      const row = db.statement("SELECT min(next) AS next FROM scheduler_schedule WHERE next IS NOT NULL").get();
      return typeof row?.next === "number" ? row.next : undefined;
    },
  };
}

/** One time that is past already is due at once. */
function firstTime({ ScheduleExpression }: Definition, nowMs: number): number | undefined {
  const next = nextAfter(ScheduleExpression, new Date(nowMs))?.getTime();
  return next ?? (ScheduleExpression.startsWith("at(") ? nowMs : undefined);
}

/** A rate keeps its step: a run that was late does not put off all that follow. */
function timeAfter(expression: string, dueMs: number, nowMs: number): number | undefined {
  if (!expression.startsWith("rate(")) return nextAfter(expression, new Date(nowMs))?.getTime();
  const periodMs = (nextAfter(expression, new Date(dueMs))?.getTime() ?? dueMs) - dueMs;
  return dueMs + (Math.floor(Math.max(0, nowMs - dueMs) / periodMs) + 1) * periodMs;
}

function definitionOf(row: Row): Definition {
  return Definition.parse(JSON.parse(String(row.definition)));
}

function numberOf(value: Row[string] | undefined): number {
  if (typeof value !== "number") throw new AppError("unavailable", "a time of a schedule is no number");
  return value;
}
