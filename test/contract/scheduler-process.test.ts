import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetScheduleCommand, SchedulerClient } from "@aws-sdk/client-scheduler";
import { SQS } from "@aws-sdk/client-sqs";
import { afterEach, expect, test } from "vitest";
import { schedulesOf } from "../../shared/schedule/eventbridge.ts";
import { eventually } from "../support/aws-endpoints.ts";

const AWS = join(import.meta.dirname, "../../infra/local/aws.ts");
const GROUP = "packhouse";
const folder = mkdtempSync(join(tmpdir(), "packhouse-scheduler-"));
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/** `npm run aws` over the folder, and clients of what it prints. */
async function startAws() {
  const child = spawn(process.execPath, [AWS], {
    env: { PATH: process.env.PATH, PACKHOUSE_DATA: folder, PACKHOUSE_PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  let said = "";
  child.stdout.on("data", (text) => {
    said += String(text);
  });
  const last = await eventually(async () => /^AWS_SECRET_ACCESS_KEY=(\S+)\n/m.exec(said)?.[1], "its credentials");
  const told = (name: string) => new RegExp(`^${name}=(\\S+)$`, "m").exec(said)?.[1] ?? "";
  const shared = {
    region: told("AWS_REGION"),
    credentials: { accessKeyId: told("AWS_ACCESS_KEY_ID"), secretAccessKey: last },
  };
  const scheduler = new SchedulerClient({ ...shared, endpoint: told("AWS_ENDPOINT_URL_SCHEDULER") });
  const sqs = new SQS({ ...shared, endpoint: told("AWS_ENDPOINT_URL_SQS"), useQueueUrlAsEndpoint: false });
  const { QueueUrl = "" } = await sqs.createQueue({ QueueName: "worker" });
  const arn = (name: string) => `arn:aws:sqs:${shared.region}:000000000000:${name}`;
  const target = {
    group: GROUP,
    queueArn: arn("worker"),
    deadLettersArn: arn("dead"),
    roleArn: "arn:aws:iam::000000000000:role/scheduler",
  };
  return { child, sqs, QueueUrl, scheduler, schedules: schedulesOf(scheduler, target) };
}

test("a schedule survives a kill, and the time that was missed comes once when it runs again", async () => {
  const first = await startAws();
  const at = new Date(Date.now() + 2_000);
  const message = { kind: "resync", type: "apt", name: "lab" } as const;
  await first.schedules.put("once", { expression: `at(${at.toISOString().slice(0, 19)})`, message });
  await first.schedules.put("daily", { expression: "rate(1 day)", message });
  first.child.kill("SIGKILL");
  await once(first.child, "exit");
  await eventually(async () => (Date.now() > at.getTime() ? true : undefined), "the time that is missed");

  const { sqs, QueueUrl, scheduler } = await startAws();
  const { Messages = [] } = await sqs.receiveMessage({ QueueUrl, WaitTimeSeconds: 10, MaxNumberOfMessages: 10 });
  expect(Messages.map(({ Body }) => Body)).toEqual([JSON.stringify(message)]);
  await expect(scheduler.send(new GetScheduleCommand({ Name: "once", GroupName: GROUP }))).rejects.toMatchObject({
    name: "ResourceNotFoundException",
  });
  const { Attributes } = await sqs.getQueueAttributes({ QueueUrl, AttributeNames: ["ApproximateNumberOfMessages"] });
  expect(Attributes).toEqual({ ApproximateNumberOfMessages: "0" });
  expect(await scheduler.send(new GetScheduleCommand({ Name: "daily", GroupName: GROUP }))).toMatchObject({
    ScheduleExpression: "rate(1 day)",
  });
}, 40_000);
