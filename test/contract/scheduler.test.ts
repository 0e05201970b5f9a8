import {
  CreateScheduleCommand,
  GetScheduleCommand,
  ResourceNotFoundException,
  SchedulerClient,
  UpdateScheduleCommand,
} from "@aws-sdk/client-scheduler";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { scheduleName } from "../../shared/schedule/eventbridge.ts";
import { REGION } from "../support/aws-endpoints.ts";
import { GROUP, type SchedulerBench, schedulerBench } from "../support/scheduler-bench.ts";

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await schedulerBench();
});
afterEach(() => bench.close());

const message = { kind: "resync", type: "apt", name: "lab" } as const;
const BODY = `worker ${JSON.stringify(message)}`;
const got = (Name: string) => bench.client.send(new GetScheduleCommand({ Name, GroupName: GROUP }));
const isAbsent = (Name: string) =>
  got(Name).then(
    () => false,
    (error: unknown) => error instanceof ResourceNotFoundException,
  );

describe("a schedule", () => {
  test("sends its message to the worker each time, in the step it began with", async () => {
    await bench.schedules.put("lab", { expression: "rate(10 minutes)", message });
    await bench.pass(9);
    expect(bench.sent).toEqual([]);
    // Four minutes late, which does not put off the next one.
    await bench.pass(5);
    expect(bench.sent).toEqual([BODY]);
    await bench.pass(6);
    expect(bench.sent).toEqual([BODY, BODY]);
    expect(bench.faults).toEqual([]);
  });

  test("in cron comes at its minutes", async () => {
    await bench.schedules.put("lab", { expression: "cron(30 0/12 * * ? *)", message });
    await bench.pass(29);
    expect(bench.sent).toEqual([]);
    await bench.pass(1);
    expect(bench.sent).toEqual([BODY]);
    await bench.pass(719);
    expect(bench.sent).toHaveLength(1);
    await bench.pass(1);
    expect(bench.sent).toHaveLength(2);
  });

  test("that was put again as it is goes on counting", async () => {
    await bench.schedules.put("lab", { expression: "rate(10 minutes)", message });
    await bench.pass(8);
    await bench.schedules.put("lab", { expression: "rate(10 minutes)", message });
    await bench.pass(2);
    expect(bench.sent).toEqual([BODY]);
  });

  test("that is replaced comes as the new one says, and no more as the old one", async () => {
    await bench.schedules.put("lab", { expression: "rate(10 minutes)", message });
    await bench.schedules.put("lab", { expression: "rate(1 hour)", message: { ...message, name: "other" } });
    await bench.pass(59);
    expect(bench.sent).toEqual([]);
    await bench.pass(1);
    expect(bench.sent).toEqual([`worker ${JSON.stringify({ ...message, name: "other" })}`]);
  });

  test("that is deleted comes no more, and may be deleted again", async () => {
    await bench.schedules.put("lab", { expression: "rate(10 minutes)", message });
    await bench.schedules.delete("lab");
    await bench.schedules.delete("lab");
    await bench.pass(60);
    expect(bench.sent).toEqual([]);
  });

  test("for one time comes once and is gone then", async () => {
    await bench.schedules.put("once", { expression: "at(2026-11-01T00:05:00)", message });
    expect(await isAbsent("once")).toBe(false);
    await bench.pass(5);
    await bench.pass(60);
    expect(bench.sent).toEqual([BODY]);
    expect(await isAbsent("once")).toBe(true);
  });

  test("that has no time left stays, and comes no more", async () => {
    await bench.schedules.put("lab", { expression: "cron(30 0 1 11 ? 2026)", message });
    await bench.pass(60);
    await bench.pass(60 * 24 * 400);
    expect(bench.sent).toEqual([BODY]);
    expect(await isAbsent("lab")).toBe(false);
  });

  test("whose times were missed while nothing ran comes once at start, and then in its step", async () => {
    await bench.schedules.put("lab", { expression: "rate(10 minutes)", message });
    await bench.restart(45);
    expect(bench.sent).toEqual([BODY]);
    await bench.pass(4);
    expect(bench.sent).toHaveLength(1);
    await bench.pass(1);
    expect(bench.sent).toHaveLength(2);
  });

  test("that cannot be sent holds up no other, and goes on at its next time", async () => {
    const broken = "arn:aws:sqs:us-east-1:000000000000:broken";
    const made = await got("lab").catch(() => undefined);
    expect(made).toBeUndefined();
    await bench.schedules.put("lab", { expression: "rate(10 minutes)", message });
    const { Target } = await got("lab");
    await bench.client.send(
      new CreateScheduleCommand({
        Name: "a-broken-one",
        GroupName: GROUP,
        ScheduleExpression: "rate(10 minutes)",
        FlexibleTimeWindow: { Mode: "OFF" },
        Target: { ...Target, RoleArn: Target?.RoleArn, Arn: broken },
      }),
    );
    await bench.pass(10);
    expect(bench.sent).toEqual([BODY]);
    expect(bench.faults).toHaveLength(1);
    await bench.pass(10);
    expect(bench.sent).toEqual([BODY, BODY]);
  });

  test("is told as it was given", async () => {
    await bench.schedules.put("lab", { expression: "rate(1 day)", message });
    expect(await got("lab")).toMatchObject({
      Name: "lab",
      GroupName: GROUP,
      Arn: `arn:aws:scheduler:${REGION}:000000000000:schedule/${GROUP}/lab`,
      ScheduleExpression: "rate(1 day)",
      ScheduleExpressionTimezone: "UTC",
      State: "ENABLED",
      CreationDate: new Date("2026-11-01T00:00:30Z"),
      Target: { Input: JSON.stringify(message), RetryPolicy: { MaximumRetryAttempts: 10 } },
    });
  });
});

test("two that make the same schedule at once both succeed, and there is one", async () => {
  await Promise.all(
    Array.from({ length: 8 }, () => bench.schedules.put("lab", { expression: "rate(10 minutes)", message })),
  );
  await bench.pass(10);
  expect(bench.sent).toEqual([BODY]);
});

describe("is refused", () => {
  const wanted = {
    Name: "lab",
    GroupName: GROUP,
    ScheduleExpression: "rate(1 day)",
    FlexibleTimeWindow: { Mode: "OFF" },
    Target: {
      Arn: "arn:aws:sqs:us-east-1:000000000000:worker",
      RoleArn: "arn:aws:iam::000000000000:role/s",
      Input: "{}",
    },
  } as const;

  test("what is there is not made again, what is not there is not changed", async () => {
    await expect(bench.client.send(new UpdateScheduleCommand(wanted))).rejects.toMatchObject({
      name: "ResourceNotFoundException",
      $metadata: { httpStatusCode: 404 },
    });
    await bench.client.send(new CreateScheduleCommand(wanted));
    await expect(bench.client.send(new CreateScheduleCommand(wanted))).rejects.toMatchObject({
      name: "ConflictException",
      $metadata: { httpStatusCode: 409 },
    });
    // Another group is another place.
    expect(await isAbsent("lab")).toBe(false);
    await expect(bench.client.send(new GetScheduleCommand({ Name: "lab" }))).rejects.toThrow(ResourceNotFoundException);
  });

  test.each([
    ["an expression that is none", { ScheduleExpression: "rate(1 days)" }],
    [
      "a target that is no queue",
      { Target: { ...wanted.Target, Arn: "arn:aws:lambda:us-east-1:000000000000:function:f" } },
    ],
    ["another time zone", { ScheduleExpressionTimezone: "Europe/Berlin" }],
    ["a name with a slash", { Name: "a/b" }],
  ])("%s", async (_, changes) => {
    await expect(bench.client.send(new CreateScheduleCommand({ ...wanted, ...changes }))).rejects.toMatchObject({
      name: "ValidationException",
    });
  });

  test("who has not our key, or none", async () => {
    const stranger = new SchedulerClient({
      endpoint: bench.url(),
      region: REGION,
      credentials: { accessKeyId: "AKIAPACKHOUSETESTS00", secretAccessKey: "another" },
    });
    await expect(stranger.send(new GetScheduleCommand({ Name: "lab" }))).rejects.toMatchObject({
      name: "AccessDeniedException",
    });
    stranger.destroy();
    expect((await fetch(`${bench.url()}/schedules/lab`, { method: "DELETE" })).status).toBe(403);
  });
});

test("a name is what EventBridge takes, and no two things have the same", () => {
  const long = (end: string) => `${"a".repeat(90)}${end}`;
  expect(scheduleName("upstream", "apt", "lab.main_1-2")).toBe("upstream-apt-lab.main_1-2");
  const names = [long("x"), long("y")].map((name) => scheduleName("upstream", "apt", name));
  for (const name of names) expect(name).toMatch(/^[0-9A-Za-z_.-]{1,64}$/);
  expect(new Set([...names, scheduleName("upstream", "yum", long("x"))]).size).toBe(3);
});
