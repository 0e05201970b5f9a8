import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type QueueBench, queueBench } from "../support/queue-bench.ts";

// What Packhouse needs of SQS's standard queues, and what their clients expect.

let bench: QueueBench;
beforeAll(async () => {
  bench = await queueBench();
});
afterAll(() => bench.close());

describe("a message", () => {
  test("comes with the body, id and MD5 that it was sent with", async () => {
    const QueueUrl = await bench.queue();
    const body = "þetta\tis\n<one> & 日本 😀";
    const sent = await bench.sqs.sendMessage({ QueueUrl, MessageBody: body });
    const got = await bench.one(QueueUrl);
    expect(got).toMatchObject({ Body: body, MessageId: sent.MessageId, MD5OfBody: sent.MD5OfMessageBody });
    expect(got.MD5OfBody).toBe(createHash("md5").update(body).digest("hex"));
    expect(got.Attributes).toBeUndefined();
  });

  test("carries its attributes, asked for by name, prefix or all, with their MD5", async () => {
    const QueueUrl = await bench.queue({ VisibilityTimeout: "0" });
    const MessageAttributes = {
      Hello: { DataType: "String", StringValue: "There" },
      "Help.Me": { DataType: "String", StringValue: "Me" },
      General: { DataType: "String", StringValue: "Kenobi" },
    };
    const sent = await bench.sqs.sendMessage({ QueueUrl, MessageBody: "msg", MessageAttributes });
    // Recorded from SQS for these three.
    expect(sent.MD5OfMessageAttributes).toBe("4c360f3fdafd970e05fae2f149d997f5");
    const names = async (MessageAttributeNames: string[]) => {
      const { MessageAttributes: got = {}, MD5OfMessageAttributes: md5 } = await bench.one(QueueUrl, {
        MessageAttributeNames,
      });
      return [Object.keys(got).sort(), md5];
    };
    expect(await names(["All"])).toEqual([["General", "Hello", "Help.Me"], "4c360f3fdafd970e05fae2f149d997f5"]);
    expect(await names([".*"])).toEqual([["General", "Hello", "Help.Me"], "4c360f3fdafd970e05fae2f149d997f5"]);
    expect(await names(["Hel.*"])).toEqual([["Hello", "Help.Me"], "83fee93c1bcd8b9a5a923ffacdc636c7"]);
    expect(await names(["Hello", "General"])).toEqual([["General", "Hello"], "fca026605781cb4126a1e9044df24232"]);
    expect(await names(["Nothing"])).toEqual([[], undefined]);
  });

  test("carries numbers and bytes as attributes", async () => {
    const QueueUrl = await bench.queue();
    const MessageAttributes = {
      bytes: { DataType: "Binary.png", BinaryValue: Uint8Array.of(0, 255, 30) },
      count: { DataType: "Number", StringValue: "-1.5e3" },
    };
    await bench.sqs.sendMessage({ QueueUrl, MessageBody: "m", MessageAttributes });
    const got = await bench.one(QueueUrl, { MessageAttributeNames: ["All"] });
    expect(got.MessageAttributes?.count).toEqual(MessageAttributes.count);
    expect([...(got.MessageAttributes?.bytes?.BinaryValue ?? [])]).toEqual([0, 255, 30]);
  });

  test("tells when it was sent, how often it came and when first", async () => {
    const QueueUrl = await bench.queue({ VisibilityTimeout: "0" });
    const before = Date.now();
    await bench.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
    const first = await bench.one(QueueUrl, { AttributeNames: ["All"] });
    const second = await bench.one(QueueUrl, { MessageSystemAttributeNames: ["All"] });
    expect(first.Attributes?.ApproximateReceiveCount).toBe("1");
    expect(second.Attributes?.ApproximateReceiveCount).toBe("2");
    expect(second.Attributes?.ApproximateFirstReceiveTimestamp).toBe(
      first.Attributes?.ApproximateFirstReceiveTimestamp,
    );
    expect(Math.abs(Number(first.Attributes?.SentTimestamp) - before)).toBeLessThan(60_000);
    expect(second.ReceiptHandle).not.toBe(first.ReceiptHandle);
    const some = await bench.one(QueueUrl, { MessageSystemAttributeNames: ["ApproximateReceiveCount"] });
    expect(some.Attributes).toEqual({ ApproximateReceiveCount: "3" });
  });

  test("of a mebibyte is taken, a byte more refused", async () => {
    const QueueUrl = await bench.queue();
    const body = "x".repeat(1_048_576);
    await bench.sqs.sendMessage({ QueueUrl, MessageBody: body });
    expect((await bench.one(QueueUrl)).Body).toHaveLength(1_048_576);
    await expect(bench.sqs.sendMessage({ QueueUrl, MessageBody: `${body}x` })).rejects.toMatchObject({
      name: "InvalidParameterValue",
      message: expect.stringContaining("Message must be shorter than 1048576 bytes"),
    });
  });

  test("is gone once it is deleted, and may be deleted again", async () => {
    const QueueUrl = await bench.queue({ VisibilityTimeout: "1" });
    await bench.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
    const { ReceiptHandle } = await bench.one(QueueUrl);
    await bench.sqs.deleteMessage({ QueueUrl, ReceiptHandle });
    await bench.sqs.deleteMessage({ QueueUrl, ReceiptHandle });
    expect(await bench.receive(QueueUrl, { WaitTimeSeconds: 2 })).toEqual([]);
  });
});

describe("a received message", () => {
  test("is out of sight for its visibility timeout, then comes again, with its count", async () => {
    const QueueUrl = await bench.queue({ VisibilityTimeout: "1" });
    await bench.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
    await bench.one(QueueUrl);
    expect(await bench.now(QueueUrl)).toEqual([]);
    const again = await bench.one(QueueUrl, { AttributeNames: ["All"] });
    expect(again.Attributes?.ApproximateReceiveCount).toBe("2");
  });

  test("stays away as long as the receive asked, whatever the queue says", async () => {
    const QueueUrl = await bench.queue({ VisibilityTimeout: "0" });
    await bench.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
    await bench.one(QueueUrl, { VisibilityTimeout: 600 });
    expect(await bench.now(QueueUrl)).toEqual([]);
  });

  test("comes back at once when its visibility is set to 0, waking who waits", async () => {
    const QueueUrl = await bench.queue({ VisibilityTimeout: "600" });
    await bench.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
    const first = await bench.one(QueueUrl);
    const waiting = bench.receive(QueueUrl, { WaitTimeSeconds: 20 });
    const at = Date.now();
    await bench.sqs.changeMessageVisibility({ QueueUrl, ReceiptHandle: first.ReceiptHandle, VisibilityTimeout: 0 });
    expect(await waiting).toHaveLength(1);
    expect(Date.now() - at).toBeLessThan(3_000);
  });

  test("stays away longer when its visibility is prolonged", async () => {
    const QueueUrl = await bench.queue({ VisibilityTimeout: "1" });
    await bench.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
    const { ReceiptHandle } = await bench.one(QueueUrl);
    await bench.sqs.changeMessageVisibility({ QueueUrl, ReceiptHandle, VisibilityTimeout: 600 });
    expect(await bench.receive(QueueUrl, { WaitTimeSeconds: 2 })).toEqual([]);
  });

  test("is deleted by its latest handle even after its timeout", async () => {
    const QueueUrl = await bench.queue({ VisibilityTimeout: "0" });
    await bench.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
    const { ReceiptHandle } = await bench.one(QueueUrl);
    await bench.sqs.deleteMessage({ QueueUrl, ReceiptHandle });
    expect(await bench.receive(QueueUrl, { WaitTimeSeconds: 1 })).toEqual([]);
  });

  test("is not deleted by the handle of an earlier receive", async () => {
    const QueueUrl = await bench.queue({ VisibilityTimeout: "0" });
    await bench.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
    const { ReceiptHandle } = await bench.one(QueueUrl);
    await bench.one(QueueUrl);
    await bench.sqs.deleteMessage({ QueueUrl, ReceiptHandle });
    expect(await bench.receive(QueueUrl)).toHaveLength(1);
  });

  test("that was deleted has no visibility to change", async () => {
    const QueueUrl = await bench.queue();
    await bench.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
    const { ReceiptHandle } = await bench.one(QueueUrl);
    await bench.sqs.deleteMessage({ QueueUrl, ReceiptHandle });
    await expect(
      bench.sqs.changeMessageVisibility({ QueueUrl, ReceiptHandle, VisibilityTimeout: 5 }),
    ).rejects.toMatchObject({
      name: "InvalidParameterValue",
    });
  });
});

describe("receiving", () => {
  test("waits for a message and is answered when it comes", async () => {
    const QueueUrl = await bench.queue();
    const waiting = bench.receive(QueueUrl, { WaitTimeSeconds: 20 });
    await bench.now(QueueUrl);
    const at = Date.now();
    await bench.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
    expect(await waiting).toHaveLength(1);
    expect(Date.now() - at).toBeLessThan(3_000);
  });

  test("waits as long as it asked, or as the queue says, and no longer", async () => {
    const QueueUrl = await bench.queue({ ReceiveMessageWaitTimeSeconds: "1" });
    const at = Date.now();
    expect((await bench.sqs.receiveMessage({ QueueUrl })).Messages).toBeUndefined();
    const waited = Date.now() - at;
    expect(waited).toBeGreaterThan(900);
    expect(waited).toBeLessThan(4_000);
    const again = Date.now();
    expect(await bench.now(QueueUrl)).toEqual([]);
    expect(Date.now() - again).toBeLessThan(900);
  });

  test("gives a message to one of many who wait", async () => {
    const QueueUrl = await bench.queue({ VisibilityTimeout: "600" });
    const waiting = Array.from({ length: 8 }, () => bench.receive(QueueUrl, { WaitTimeSeconds: 3 }));
    await bench.sqs.sendMessage({ QueueUrl, MessageBody: "m" });
    const counts = (await Promise.all(waiting)).map((messages) => messages.length);
    expect(counts.sort()).toEqual([0, 0, 0, 0, 0, 0, 0, 1]);
  });

  test("gives up to ten, each once, until the queue is empty", async () => {
    const QueueUrl = await bench.queue({ VisibilityTimeout: "600" });
    for (let batch = 0; batch < 3; batch += 1) {
      const Entries = Array.from({ length: 10 }, (_, n) => ({ Id: `e${n}`, MessageBody: `${batch}-${n}` }));
      expect((await bench.sqs.sendMessageBatch({ QueueUrl, Entries })).Successful).toHaveLength(10);
    }
    const bodies = new Set<string | undefined>();
    while (bodies.size < 30) {
      const messages = await bench.receive(QueueUrl);
      expect(messages.length).toBeGreaterThan(0);
      for (const { Body } of messages) {
        expect(bodies.has(Body)).toBe(false);
        bodies.add(Body);
      }
    }
    expect(await bench.now(QueueUrl)).toEqual([]);
  });

  test.each([
    [{ MaxNumberOfMessages: 0 }, "MaxNumberOfMessages"],
    [{ MaxNumberOfMessages: 11 }, "MaxNumberOfMessages"],
    [{ WaitTimeSeconds: 21 }, "WaitTimeSeconds"],
    [{ VisibilityTimeout: 43_201 }, "VisibilityTimeout"],
  ])("refuses %j", async (wrong, name) => {
    const QueueUrl = await bench.queue();
    await expect(bench.sqs.receiveMessage({ QueueUrl, ...wrong })).rejects.toMatchObject({
      name: "InvalidParameterValue",
      message: expect.stringContaining(`for parameter ${name} is invalid`),
    });
  });
});

describe("a delay", () => {
  test("of a message keeps it back for that long", async () => {
    const QueueUrl = await bench.queue();
    await bench.sqs.sendMessage({ QueueUrl, MessageBody: "later", DelaySeconds: 1 });
    expect(await bench.now(QueueUrl)).toEqual([]);
    expect((await bench.one(QueueUrl)).Body).toBe("later");
  });

  test("of the queue holds for messages that name none", async () => {
    const QueueUrl = await bench.queue({ DelaySeconds: "900" });
    await bench.sqs.sendMessage({ QueueUrl, MessageBody: "later" });
    await bench.sqs.sendMessage({ QueueUrl, MessageBody: "now", DelaySeconds: 0 });
    expect((await bench.receive(QueueUrl)).map((message) => message.Body)).toEqual(["now"]);
    const { Attributes } = await bench.sqs.getQueueAttributes({ QueueUrl, AttributeNames: ["All"] });
    expect(Attributes).toMatchObject({
      ApproximateNumberOfMessagesDelayed: "1",
      ApproximateNumberOfMessagesNotVisible: "1",
    });
  });

  test("over 15 minutes is refused", async () => {
    const QueueUrl = await bench.queue();
    await expect(bench.sqs.sendMessage({ QueueUrl, MessageBody: "m", DelaySeconds: 901 })).rejects.toMatchObject({
      name: "InvalidParameterValue",
    });
  });
});
