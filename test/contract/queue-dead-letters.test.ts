import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type QueueBench, queueBench } from "../support/queue-bench.ts";

let bench: QueueBench;
beforeAll(async () => {
  bench = await queueBench();
});
afterAll(() => bench.close());

const policy = (arn: string, maxReceiveCount: number | string) =>
  JSON.stringify({ deadLetterTargetArn: arn, maxReceiveCount });

describe("a message received too often", () => {
  test("goes to the dead letters, with its id, its attributes and where it came from", async () => {
    const dead = await bench.queue();
    const source = await bench.queue({ VisibilityTimeout: "0", RedrivePolicy: policy(await bench.arn(dead), 2) });
    const MessageAttributes = { a: { DataType: "String", StringValue: "b" } };
    const sent = await bench.sqs.sendMessage({ QueueUrl: source, MessageBody: "poison", MessageAttributes });
    await bench.one(source);
    await bench.one(source);
    const waiting = bench.receive(dead, {
      AttributeNames: ["All"],
      MessageAttributeNames: ["All"],
      WaitTimeSeconds: 20,
    });
    expect(await bench.receive(source, { WaitTimeSeconds: 1 })).toEqual([]);
    const [message] = await waiting;
    expect(message).toMatchObject({ Body: "poison", MessageId: sent.MessageId, MessageAttributes });
    expect(message?.Attributes?.DeadLetterQueueSourceArn).toBe(await bench.arn(source));
  });

  test("of a FIFO queue makes way for the next of its group", async () => {
    const dead = await bench.fifo();
    const source = await bench.fifo({ VisibilityTimeout: "600", RedrivePolicy: policy(await bench.arn(dead), 1) });
    for (const MessageBody of ["poison", "good"]) {
      await bench.sqs.sendMessage({ QueueUrl: source, MessageBody, MessageGroupId: "g" });
    }
    const { ReceiptHandle } = await bench.one(source);
    await bench.sqs.changeMessageVisibility({ QueueUrl: source, ReceiptHandle, VisibilityTimeout: 0 });
    expect((await bench.receive(source)).map((message) => message.Body)).toEqual(["good"]);
    const [message] = await bench.receive(dead, { AttributeNames: ["All"] });
    expect(message).toMatchObject({ Body: "poison", Attributes: { MessageGroupId: "g" } });
  });
});

describe("a redrive policy", () => {
  test("may be set and taken away later, and names its sources", async () => {
    const dead = await bench.queue();
    const source = await bench.queue();
    const RedrivePolicy = policy(await bench.arn(dead), "3");
    await bench.sqs.setQueueAttributes({ QueueUrl: source, Attributes: { RedrivePolicy } });
    expect(JSON.parse((await bench.attribute(source, "RedrivePolicy")) ?? "")).toMatchObject({ maxReceiveCount: "3" });
    expect((await bench.sqs.listDeadLetterSourceQueues({ QueueUrl: dead })).queueUrls).toEqual([source]);
    await bench.sqs.setQueueAttributes({ QueueUrl: source, Attributes: { RedrivePolicy: "" } });
    expect(await bench.attribute(source, "RedrivePolicy")).toBeUndefined();
  });

  test("is refused when it makes no sense", async () => {
    const fifo = await bench.arn(await bench.fifo());
    const standard = await bench.arn(await bench.queue());
    const wrong = [
      "no json",
      policy("dummy", 42),
      policy(standard, 0),
      policy(standard, 1_001),
      policy(`${standard}x`, 3),
      policy(fifo, 3),
      JSON.stringify({ maxReceiveCount: 3 }),
    ];
    const QueueUrl = await bench.queue();
    for (const RedrivePolicy of wrong) {
      await expect(bench.sqs.setQueueAttributes({ QueueUrl, Attributes: { RedrivePolicy } })).rejects.toMatchObject({
        name: "InvalidParameterValue",
      });
    }
  });
});

test("dead letters go back to where they came from", async () => {
  const dead = await bench.queue();
  const source = await bench.queue({ VisibilityTimeout: "0", RedrivePolicy: policy(await bench.arn(dead), 1) });
  await bench.sqs.sendMessage({ QueueUrl: source, MessageBody: "m" });
  await bench.one(source);
  expect(await bench.now(source)).toEqual([]);
  expect(await bench.attribute(dead, "ApproximateNumberOfMessages")).toBe("1");
  await bench.sqs.startMessageMoveTask({ SourceArn: await bench.arn(dead) });
  expect((await bench.one(source)).Body).toBe("m");
});
