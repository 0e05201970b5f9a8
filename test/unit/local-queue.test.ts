import { spawn } from "node:child_process";
import { join } from "node:path";
import { SQS } from "@aws-sdk/client-sqs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openDatabase } from "../../infra/local/database.ts";
import {
  CREDENTIALS,
  eventually,
  type LocalQueues,
  REGION,
  serveQueues,
  temporaryDatabase,
} from "../support/aws-endpoints.ts";

// What only our own queues promise, or what would take too long to wait for: time is ours here.

const MINUTE = 60_000;
let database: ReturnType<typeof temporaryDatabase>;
let queues: LocalQueues;
let now = Date.now();

beforeEach(async () => {
  database = temporaryDatabase();
  queues = await serveQueues(database.db, () => now);
});
afterEach(async () => {
  await queues.close();
  database.close();
});

async function create(QueueName: string, Attributes: Record<string, string> = {}): Promise<string> {
  return (await queues.sqs.createQueue({ QueueName, Attributes })).QueueUrl ?? "";
}

/** Waits until so many requests are being answered. */
const requests = (count: number) =>
  eventually(async () => (queues.open() === count ? true : undefined), `${count} open requests`);

const FIFO = { FifoQueue: "true", ContentBasedDeduplication: "true" };

async function bodies(QueueUrl: string): Promise<(string | undefined)[]> {
  const { Messages = [] } = await queues.sqs.receiveMessage({ QueueUrl, MaxNumberOfMessages: 10 });
  return Messages.map((message) => message.Body);
}

test("a long poll that asks in the same moment as its message is sent gets it, and does not wait in vain", async () => {
  const urls = await Promise.all(Array.from({ length: 12 }, (_, n) => create(`q${n}`)));
  const started = performance.now();
  const got = await Promise.all(
    urls.map(async (QueueUrl) => {
      const polled = queues.sqs.receiveMessage({ QueueUrl, WaitTimeSeconds: 10 });
      await queues.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
      return ((await polled).Messages ?? []).length;
    }),
  );
  expect(got).toEqual(urls.map(() => 1));
  expect(performance.now() - started).toBeLessThan(8_000);
});

describe("time", () => {
  test("lets a deduplication id be used again after five minutes, not before", async () => {
    const QueueUrl = await create("a.fifo", { ...FIFO, VisibilityTimeout: "0" });
    const send = () => queues.sqs.sendMessage({ QueueUrl, MessageBody: "m", MessageGroupId: "g" });
    await send();
    now += 5 * MINUTE - 1;
    await send();
    expect(await bodies(QueueUrl)).toHaveLength(1);
    now += 1;
    await send();
    expect(await bodies(QueueUrl)).toHaveLength(2);
  });

  test("takes a message away after the queue's retention period", async () => {
    const QueueUrl = await create("a", { MessageRetentionPeriod: "60", VisibilityTimeout: "0" });
    await queues.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
    now += MINUTE - 1;
    expect(await bodies(QueueUrl)).toEqual(["m"]);
    now += 1;
    expect(await bodies(QueueUrl)).toEqual([]);
  });

  test("in flight is at most twelve hours", async () => {
    const QueueUrl = await create("a");
    await queues.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
    const { Messages = [] } = await queues.sqs.receiveMessage({ QueueUrl, VisibilityTimeout: 43_200 });
    now += 1_000;
    const change = { QueueUrl, ReceiptHandle: Messages[0]?.ReceiptHandle, VisibilityTimeout: 43_200 };
    await expect(queues.sqs.changeMessageVisibility(change)).rejects.toMatchObject({ name: "InvalidParameterValue" });
  });

  test("of visibility that is over is told as such", async () => {
    const QueueUrl = await create("a");
    await queues.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
    const { Messages = [] } = await queues.sqs.receiveMessage({ QueueUrl });
    now += 31_000;
    const change = { QueueUrl, ReceiptHandle: Messages[0]?.ReceiptHandle, VisibilityTimeout: 30 };
    await expect(queues.sqs.changeMessageVisibility(change)).rejects.toMatchObject({ name: "MessageNotInflight" });
  });

  test("of a FIFO queue's new delay holds for what waits already", async () => {
    const QueueUrl = await create("a.fifo", { ...FIFO, DelaySeconds: "900" });
    await queues.sqs.sendMessage({ QueueUrl, MessageBody: "m", MessageGroupId: "g" });
    expect(await bodies(QueueUrl)).toEqual([]);
    await queues.sqs.setQueueAttributes({ QueueUrl, Attributes: { DelaySeconds: "0" } });
    expect(await bodies(QueueUrl)).toEqual(["m"]);
  });
});

describe("a message sent from within", () => {
  test("comes when its transaction commits, and wakes who waits", async () => {
    const QueueUrl = await create("a");
    const waiting = queues.sqs.receiveMessage({ QueueUrl, WaitTimeSeconds: 20 });
    await requests(1);
    database.db.transaction(() => queues.endpoint.send("a", "from within"));
    expect((await waiting).Messages?.map((message) => message.Body)).toEqual(["from within"]);
  });

  test("never was when its transaction fails", async () => {
    const QueueUrl = await create("a");
    expect(() =>
      database.db.transaction(() => {
        queues.endpoint.send("a", "m");
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(await bodies(QueueUrl)).toEqual([]);
  });

  test("to a queue that is not there is an error", () => {
    expect(() => queues.endpoint.send("nowhere", "m")).toThrow("does not exist");
  });
});

test("a FIFO group stays blocked while a later message of it is in flight, though an earlier one came back", async () => {
  const QueueUrl = await create("a.fifo", { ...FIFO, VisibilityTimeout: "600" });
  for (const MessageBody of ["1", "2", "3"])
    await queues.sqs.sendMessage({ QueueUrl, MessageBody, MessageGroupId: "g" });
  const { Messages = [] } = await queues.sqs.receiveMessage({ QueueUrl, MaxNumberOfMessages: 2 });
  const show = (index: number) =>
    queues.sqs.changeMessageVisibility({
      QueueUrl,
      ReceiptHandle: Messages[index]?.ReceiptHandle,
      VisibilityTimeout: 0,
    });
  await show(0);
  expect(await bodies(QueueUrl)).toEqual([]);
  await show(1);
  expect(await bodies(QueueUrl)).toEqual(["1", "2", "3"]);
});

describe("a client", () => {
  test("that went away while it waited takes no message with it", async () => {
    const QueueUrl = await create("a");
    const gone = new AbortController();
    const waiting = queues.sqs.receiveMessage({ QueueUrl, WaitTimeSeconds: 20 }, { abortSignal: gone.signal });
    const refused = expect(waiting).rejects.toMatchObject({ name: "AbortError" });
    await requests(1);
    gone.abort();
    await refused;
    await requests(0);
    await queues.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
    expect(await bodies(QueueUrl)).toEqual(["m"]);
  });

  test("that waits is answered when the endpoint closes", async () => {
    const QueueUrl = await create("a");
    const waiting = queues.sqs.receiveMessage({ QueueUrl, WaitTimeSeconds: 20 });
    await requests(1);
    queues.endpoint.close();
    expect((await waiting).Messages).toBeUndefined();
  });
});

test("what was in flight when a process ended is released at the next start, with its count", async () => {
  const QueueUrl = await create("a", { VisibilityTimeout: "600" });
  await queues.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
  expect(await bodies(QueueUrl)).toEqual(["m"]);
  expect(await bodies(QueueUrl)).toEqual([]);
  expect(queues.endpoint.releaseInFlight()).toBe(1);
  const { Messages = [] } = await queues.sqs.receiveMessage({ QueueUrl, AttributeNames: ["All"] });
  expect(Messages[0]?.Attributes?.ApproximateReceiveCount).toBe("2");
});

test("a process that is killed again and again over a message does not make a dead letter of it", async () => {
  const dead = await create("dead");
  const { Attributes } = await queues.sqs.getQueueAttributes({ QueueUrl: dead, AttributeNames: ["QueueArn"] });
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: Attributes?.QueueArn, maxReceiveCount: 2 });
  const QueueUrl = await create("a", { VisibilityTimeout: "600", RedrivePolicy });
  await queues.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
  for (let kills = 0; kills < 5; kills += 1) {
    expect(await bodies(QueueUrl)).toEqual(["m"]);
    expect(queues.endpoint.releaseInFlight()).toBe(1);
  }
  expect(await bodies(QueueUrl)).toEqual(["m"]);
});

test("a send for which the disk has no space fails, and the next one works", async () => {
  const QueueUrl = await create("a");
  const pages = Number(database.db.statement("PRAGMA page_count").get()?.page_count);
  database.db.statement(`PRAGMA max_page_count = ${pages + 2}`).get();
  const send = (MessageBody: string) => queues.sqs.sendMessage({ QueueUrl, MessageBody });
  await expect(send("x".repeat(500_000))).rejects.toMatchObject({ message: expect.stringContaining("no space left") });
  database.db.statement("PRAGMA max_page_count = 1000000").get();
  await send("small");
  expect(await bodies(QueueUrl)).toEqual(["small"]);
});

test("nothing that a killed process answered is lost or comes back", async () => {
  await queues.close();
  database.db.close();
  const script = join(import.meta.dirname, "../support/queue-server.ts");
  const sent = new Set<string>();
  const deleted = new Set<string>();
  for (let round = 0; round < 4; round += 1) {
    const server = spawn(process.execPath, [script, database.folder], { stdio: ["ignore", "pipe", "inherit"] });
    const url = await new Promise<string>((resolve) =>
      server.stdout.once("data", (chunk) => resolve(String(chunk).trim())),
    );
    const QueueUrl = `${url}/000000000000/durable`;
    const client = new SQS({ endpoint: url, region: REGION, credentials: CREDENTIALS, maxAttempts: 1 });
    const until = Date.now() + 400;
    const sending = (async () => {
      for (let n = 0; ; n += 1) {
        const body = `${round}-${n}`;
        await client.sendMessage({ QueueUrl, MessageBody: body });
        sent.add(body);
      }
    })();
    const deleting = (async () => {
      for (;;) {
        const { Messages = [] } = await client.receiveMessage({ QueueUrl, MaxNumberOfMessages: 2, WaitTimeSeconds: 1 });
        for (const { Body, ReceiptHandle } of Messages.slice(0, 1)) {
          await client.deleteMessage({ QueueUrl, ReceiptHandle });
          deleted.add(Body ?? "");
        }
      }
    })();
    const ended = Promise.allSettled([sending, deleting]);
    await eventually(async () => (Date.now() > until && sent.size > (round + 1) * 20 ? true : undefined), "traffic");
    server.kill("SIGKILL");
    await ended;
    client.destroy();
  }
  const db = openDatabase(database.folder);
  const held = db
    .statement("SELECT body FROM sqs_message")
    .all()
    .map((row) => String(row.body));
  db.close();
  expect(held.length).toBe(new Set(held).size);
  // In each round one delete may have been done and not answered.
  expect([...sent].filter((body) => !deleted.has(body) && !held.includes(body)).length).toBeLessThanOrEqual(4);
  expect(held.filter((body) => deleted.has(body))).toEqual([]);
});
