import type { SQSBatchResponse, SQSEvent } from "aws-lambda";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Poller, type PollerOptions, startPoller } from "../../infra/local/poller.ts";
import { eventually, type LocalQueues, serveQueues, temporaryDatabase } from "../support/aws-endpoints.ts";

let database: ReturnType<typeof temporaryDatabase>;
let queues: LocalQueues;
const pollers: Poller[] = [];

beforeEach(async () => {
  database = temporaryDatabase();
  queues = await serveQueues(database.db);
});
afterEach(async () => {
  for (const poller of pollers.splice(0)) await poller.stop();
  await queues.close();
  database.close();
});

async function create(QueueName: string, Attributes: Record<string, string> = {}): Promise<string> {
  return (await queues.sqs.createQueue({ QueueName, Attributes })).QueueUrl ?? "";
}

function poll(queueUrl: string, handler: PollerOptions["handler"], more: Partial<PollerOptions> = {}): Poller {
  const poller = startPoller({ client: queues.sqs, queueUrl, batchSize: 10, concurrency: 1, handler, ...more });
  pollers.push(poller);
  return poller;
}

async function left(QueueUrl: string): Promise<number> {
  const { Attributes = {} } = await queues.sqs.getQueueAttributes({ QueueUrl, AttributeNames: ["All"] });
  const { ApproximateNumberOfMessages: waiting, ApproximateNumberOfMessagesNotVisible: flying } = Attributes;
  return Number(waiting) + Number(flying);
}

const empty = (url: string) => eventually(async () => ((await left(url)) === 0 ? true : undefined), "an empty queue");
const failing = (event: SQSEvent, bodies: string[]): SQSBatchResponse => ({
  batchItemFailures: event.Records.filter(({ body }) => bodies.includes(body)).map(({ messageId }) => ({
    itemIdentifier: messageId,
  })),
});

describe("a handler", () => {
  test("is given an event as Lambda gives it, and what it handled is gone", async () => {
    const url = await create("a");
    const events: SQSEvent[] = [];
    poll(url, async (event) => void events.push(event));
    const MessageAttributes = { k: { DataType: "String", StringValue: "v" } };
    const { MessageId } = await queues.sqs.sendMessage({ QueueUrl: url, MessageBody: "m", MessageAttributes });
    await empty(url);
    expect(events).toEqual([
      {
        Records: [
          {
            messageId: MessageId,
            receiptHandle: expect.any(String),
            body: "m",
            attributes: expect.objectContaining({
              ApproximateReceiveCount: "1",
              SentTimestamp: expect.stringMatching(/^\d{13}$/),
            }),
            messageAttributes: { k: { dataType: "String", stringValue: "v" } },
            md5OfBody: expect.stringMatching(/^[0-9a-f]{32}$/),
            eventSource: "aws:sqs",
            eventSourceARN: "arn:aws:sqs:us-east-1:000000000000:a",
            awsRegion: "us-east-1",
          },
        ],
      },
    ]);
  });

  test("gets again, later, what it names as failed, and only that", async () => {
    const url = await create("a", { VisibilityTimeout: "600" });
    for (const MessageBody of ["good", "bad"]) await queues.sqs.sendMessage({ QueueUrl: url, MessageBody });
    const counts: [string, string][] = [];
    poll(url, async (event) => {
      for (const { body, attributes } of event.Records) counts.push([body, attributes.ApproximateReceiveCount]);
      return event.Records[0]?.attributes.ApproximateReceiveCount === "1" ? failing(event, ["bad"]) : undefined;
    });
    await empty(url);
    expect(counts).toEqual([
      ["good", "1"],
      ["bad", "1"],
      ["bad", "2"],
    ]);
  });

  test("that throws gets all of the batch again; the error is told", async () => {
    const url = await create("a", { VisibilityTimeout: "600" });
    await queues.sqs.sendMessage({ QueueUrl: url, MessageBody: "m" });
    const errors: unknown[] = [];
    let calls = 0;
    const handler = async () => {
      calls += 1;
      if (calls === 1) throw new Error("first");
    };
    poll(url, handler, { onError: (error) => errors.push(error) });
    await empty(url);
    expect(calls).toBe(2);
    expect(errors).toEqual([expect.objectContaining({ message: "first" })]);
  });

  test("that names an unknown message as failed gets all again", async () => {
    const url = await create("a", { VisibilityTimeout: "600" });
    await queues.sqs.sendMessage({ QueueUrl: url, MessageBody: "m" });
    let calls = 0;
    poll(url, async () => {
      calls += 1;
      return calls === 1 ? { batchItemFailures: [{ itemIdentifier: "who" }] } : undefined;
    });
    await empty(url);
    expect(calls).toBe(2);
  });

  test("of a FIFO queue gets a group again from its first failure on, in order; other groups are done", async () => {
    const url = await create("a.fifo", {
      FifoQueue: "true",
      ContentBasedDeduplication: "true",
      VisibilityTimeout: "600",
    });
    const Entries = ["a1", "a2", "b1", "a3"].map((MessageBody) => ({
      Id: MessageBody,
      MessageBody,
      MessageGroupId: MessageBody.slice(0, 1),
    }));
    await queues.sqs.sendMessageBatch({ QueueUrl: url, Entries });
    const batches: string[][] = [];
    poll(url, async (event) => {
      batches.push(event.Records.map(({ body }) => body));
      return batches.length === 1 ? failing(event, ["a2"]) : undefined;
    });
    await empty(url);
    expect(batches).toEqual([
      ["a1", "a2", "a3", "b1"],
      ["a2", "a3"],
    ]);
  });
});

async function fill(QueueUrl: string, count: number): Promise<void> {
  const bodies = Array.from({ length: count }, (_, n) => `${n}`);
  for (let at = 0; at < count; at += 10) {
    const Entries = bodies.slice(at, at + 10).map((MessageBody) => ({ Id: MessageBody, MessageBody }));
    await queues.sqs.sendMessageBatch({ QueueUrl, Entries });
  }
}

test("a batch takes all that is there, though a queue gives ten at a time; each of it is gone, or comes again", async () => {
  const url = await create("a", { VisibilityTimeout: "600" });
  await fill(url, 37);
  const batches: number[] = [];
  const tries = new Map<string, number>();
  poll(
    url,
    async (event) => {
      batches.push(event.Records.length);
      for (const { body } of event.Records) tries.set(body, (tries.get(body) ?? 0) + 1);
      const odd = event.Records.filter(({ body, attributes }) => {
        return Number(body) % 2 === 1 && attributes.ApproximateReceiveCount === "1";
      });
      return { batchItemFailures: odd.map(({ messageId }) => ({ itemIdentifier: messageId })) };
    },
    { batchSize: 25 },
  );
  await empty(url);
  expect(batches.slice(0, 2)).toEqual([25, 12]);
  expect([...tries].filter(([body, count]) => count !== (Number(body) % 2) + 1)).toEqual([]);
  expect(tries.size).toBe(37);
});

test("what was received is worked, also when no more can be received", async () => {
  const url = await create("a");
  await fill(url, 15);
  const errors: unknown[] = [];
  const send = queues.sqs.send.bind(queues.sqs);
  let receives = 0;
  const client = Object.assign(Object.create(queues.sqs), {
    send: (command: { constructor: { name: string } }, options?: object) => {
      if (command.constructor.name === "ReceiveMessageCommand") receives += 1;
      if (receives === 2) return Promise.reject(new Error(`no receive ${receives++}`));
      return send(command as never, options);
    },
  });
  const batches: number[] = [];
  poll(url, async (event) => void batches.push(event.Records.length), {
    client,
    batchSize: 40,
    onError: (error) => errors.push(error),
  });
  await empty(url);
  expect(batches).toEqual([10, 5]);
  expect(errors).toHaveLength(1);
});

test("as many batches run at a time as asked for, and no more", async () => {
  const url = await create("a");
  await fill(url, 9);
  let running = 0;
  let most = 0;
  let together = Promise.withResolvers<void>();
  const handler = async () => {
    running += 1;
    most = Math.max(most, running);
    const { promise } = together;
    if (running === 3) {
      together.resolve();
      together = Promise.withResolvers();
    }
    await promise;
    running -= 1;
  };
  poll(url, handler, { batchSize: 1, concurrency: 3 });
  await empty(url);
  expect(most).toBe(3);
});

describe("stopping", () => {
  test("waits for the running handler and deletes what it did", async () => {
    const url = await create("a", { VisibilityTimeout: "600" });
    await queues.sqs.sendMessage({ QueueUrl: url, MessageBody: "m" });
    let finish = () => {};
    const poller = poll(
      url,
      () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    );
    await eventually(async () => (finish.length === 1 ? true : undefined), "the handler to begin");
    const stopped = poller.stop();
    finish();
    expect(await stopped).toBe(true);
    expect(await left(url)).toBe(0);
  });

  test("is done at once when nothing runs", async () => {
    const url = await create("a");
    const poller = poll(url, async () => undefined, { concurrency: 4 });
    await eventually(async () => (queues.open() === 4 ? true : undefined), "four waiting receives");
    expect(await poller.stop(2_000)).toBe(true);
  });

  test("gives up on a handler that does not end", async () => {
    const url = await create("a");
    await queues.sqs.sendMessage({ QueueUrl: url, MessageBody: "m" });
    let began = false;
    let finish = () => {};
    const poller = poll(
      url,
      () =>
        new Promise((resolve) => {
          began = true;
          finish = () => resolve();
        }),
    );
    await eventually(async () => (began ? true : undefined), "the handler to begin");
    expect(await poller.stop(50)).toBe(false);
    finish();
  });
});

test("a queue that cannot be read is tried again", async () => {
  const errors: unknown[] = [];
  const bodies: string[] = [];
  const url = `${queues.url}/000000000000/later`;
  poll(url, async (event) => void bodies.push(...event.Records.map(({ body }) => body)), {
    onError: (error) => errors.push(error),
  });
  await eventually(async () => (errors.length > 0 ? true : undefined), "an error");
  await create("later");
  await queues.sqs.sendMessage({ QueueUrl: url, MessageBody: "m" });
  await empty(url);
  expect(bodies).toEqual(["m"]);
});
