import { setTimeout as wait } from "node:timers/promises";
import {
  ConflictException,
  CreateScheduleCommand,
  type CreateScheduleCommandInput,
  DeleteScheduleCommand,
  GetScheduleCommand,
  ResourceNotFoundException,
  type SchedulerClient,
  UpdateScheduleCommand,
} from "@aws-sdk/client-scheduler";
import { sha256Of } from "../blob.ts";
import type { WorkerMessage } from "../queue/sqs.ts";

/** When a message comes to the worker: `rate(…)` and `cron(…)` again and again, `at(2026-11-21T12:00:00)` once. All in UTC. */
export type Schedule = { readonly expression: string; readonly message: WorkerMessage };

/** Messages to the worker at times to come. Names as `scheduleName` makes them. */
export type Schedules = {
  /** Makes or replaces it. One that is the same already is let be, so that its rate goes on counting. */
  put(name: string, schedule: Schedule): Promise<void>;
  /** One that is not there is no error. */
  delete(name: string): Promise<void>;
};

const MOST_NAME = 64;
/** What could not be sent for so long goes to the dead letters. */
const MOST_AGE_SECONDS = 3600;
const MOST_TRIES = 10;
/** Of two that write at once, one finds what the other has done. */
const ROUNDS = 4;
const PAUSE_MS = 100;

/** `[0-9A-Za-z_.-]{1,64}`. What is too long ends in a hash, marked by capitals, which no name of a repo has. */
export function scheduleName(kind: string, ...parts: readonly string[]): string {
  const whole = [kind, ...parts].join("-");
  if (whole.length <= MOST_NAME) return whole;
  return `${kind}-SHA-${sha256Of(parts.join("\n")).slice(0, 40)}`;
}

export type ScheduleTarget = {
  readonly group: string;
  readonly queueArn: string;
  readonly deadLettersArn: string;
  /** What the scheduler takes on to send to both. */
  readonly roleArn: string;
};

export function schedulesOf(client: SchedulerClient, target: ScheduleTarget): Schedules {
  const { group: GroupName } = target;
  return {
    async put(Name, schedule) {
      const wanted = { Name, GroupName, ...wantedOf(schedule, target) };
      const create = () => unless(() => client.send(new CreateScheduleCommand(wanted)), ConflictException);
      const update = () =>
        unless(() => client.send(new UpdateScheduleCommand(wanted)), ResourceNotFoundException, ConflictException);
      for (let round = 1; ; round += 1) {
        const get = new GetScheduleCommand({ Name, GroupName });
        const found = await unless(() => client.send(get), ResourceNotFoundException);
        if (found && isSame(found, wanted)) return;
        // What was made a moment ago may not be told yet.
        if (found ? await update() : ((await create()) ?? (await update()))) return;
        if (round === ROUNDS) throw new Error(`schedule ${Name} is made and removed by others all the time`);
        await wait(round * PAUSE_MS);
      }
    },
    async delete(Name) {
      await unless(() => client.send(new DeleteScheduleCommand({ Name, GroupName })), ResourceNotFoundException);
    },
  };
}

type Wanted = Omit<CreateScheduleCommandInput, "Name" | "GroupName">;

function wantedOf({ expression, message }: Schedule, target: ScheduleTarget): Wanted {
  return {
    ScheduleExpression: expression,
    ScheduleExpressionTimezone: "UTC",
    FlexibleTimeWindow: { Mode: "OFF" },
    ActionAfterCompletion: expression.startsWith("at(") ? "DELETE" : "NONE",
    Target: {
      Arn: target.queueArn,
      RoleArn: target.roleArn,
      Input: JSON.stringify(message),
      DeadLetterConfig: { Arn: target.deadLettersArn },
      RetryPolicy: { MaximumEventAgeInSeconds: MOST_AGE_SECONDS, MaximumRetryAttempts: MOST_TRIES },
    },
  };
}

function isSame(found: Partial<Wanted>, wanted: Wanted): boolean {
  return (
    found.ScheduleExpression === wanted.ScheduleExpression &&
    found.Target?.Arn === wanted.Target?.Arn &&
    found.Target?.RoleArn === wanted.Target?.RoleArn &&
    found.Target?.Input === wanted.Target?.Input &&
    found.Target?.DeadLetterConfig?.Arn === wanted.Target?.DeadLetterConfig?.Arn
  );
}

/** Undefined where one of these errors came. */
async function unless<T>(
  call: () => Promise<T>,
  ...expected: readonly (typeof ResourceNotFoundException | typeof ConflictException)[]
): Promise<T | undefined> {
  try {
    return await call();
  } catch (thrown) {
    if (expected.some((error) => thrown instanceof error)) return undefined;
    throw thrown;
  }
}
