import type { Message } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type QueueBench, queueBench } from "../support/queue-bench.ts";

let bench: QueueBench;
beforeAll(async () => {
  bench = await queueBench();
});
afterAll(() => bench.close());

const send = (QueueUrl: string, MessageGroupId: string, MessageBody: string, MessageDeduplicationId?: string) =>
  bench.sqs.sendMessage({
    QueueUrl,
    MessageGroupId,
    MessageBody,
    ...(MessageDeduplicationId ? { MessageDeduplicationId } : {}),
  });
const bodies = (messages: Message[]) => messages.map((message) => message.Body);
const remove = (QueueUrl: string, { ReceiptHandle }: Message) => bench.sqs.deleteMessage({ QueueUrl, ReceiptHandle });

describe("a group", () => {
  test("comes in the order in which it was sent", async () => {
    const url = await bench.fifo();
    for (let n = 1; n <= 9; n += 1) await send(url, "g", `m${n}`);
    expect(bodies(await bench.receive(url))).toEqual(["m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"]);
  });

  test("waits while one of its messages is in flight, and goes on when that is deleted", async () => {
    const url = await bench.fifo();
    await send(url, "g", "first");
    await send(url, "g", "second");
    const first = await bench.one(url);
    expect(first.Body).toBe("first");
    expect(await bench.now(url)).toEqual([]);
    const waiting = bench.receive(url, { WaitTimeSeconds: 20 });
    const at = Date.now();
    await remove(url, first);
    expect(bodies(await waiting)).toEqual(["second"]);
    expect(Date.now() - at).toBeLessThan(3_000);
  });

  test("does not hinder another", async () => {
    const url = await bench.fifo();
    await send(url, "a", "a1");
    await send(url, "a", "a2");
    await send(url, "b", "b1");
    expect((await bench.one(url)).Body).toBe("a1");
    expect(bodies(await bench.now(url))).toEqual(["b1"]);
    expect(await bench.now(url)).toEqual([]);
  });

  test("begins with the same message again when that comes back", async () => {
    const url = await bench.fifo({ VisibilityTimeout: "600" });
    await send(url, "g", "first");
    await send(url, "g", "second");
    const { ReceiptHandle } = await bench.one(url);
    await bench.sqs.changeMessageVisibility({ QueueUrl: url, ReceiptHandle, VisibilityTimeout: 0 });
    const both = await bench.receive(url, { AttributeNames: ["All"] });
    expect(bodies(both)).toEqual(["first", "second"]);
    expect(both.map((message) => message.Attributes?.ApproximateReceiveCount)).toEqual(["2", "1"]);
  });

  test("is whole again after a time-out of several", async () => {
    const url = await bench.fifo({ VisibilityTimeout: "1" });
    for (const body of ["1", "2", "3"]) await send(url, "g", body);
    expect(bodies(await bench.receive(url))).toEqual(["1", "2", "3"]);
    expect(await bench.now(url)).toEqual([]);
    expect(bodies(await bench.receive(url))).toEqual(["1", "2", "3"]);
  });

  test("taken by many receivers at once is taken by one", async () => {
    const url = await bench.fifo();
    for (let n = 0; n < 5; n += 1) await send(url, "g", `m${n}`);
    const taken = await Promise.all(Array.from({ length: 6 }, () => bench.now(url, { MaxNumberOfMessages: 2 })));
    expect(taken.filter((messages) => messages.length > 0).map(bodies)).toEqual([["m0", "m1"]]);
  });

  test("is told with each message, with its place in the sequence", async () => {
    const url = await bench.fifo({ ContentBasedDeduplication: "false" });
    const sent = [await send(url, "g", "one", "d1"), await send(url, "g", "two", "d2")];
    const got = await bench.receive(url, { MessageSystemAttributeNames: ["All"] });
    expect(got.map((message) => message.Attributes)).toEqual(
      ["d1", "d2"].map((id, index) =>
        expect.objectContaining({
          MessageGroupId: "g",
          MessageDeduplicationId: id,
          SequenceNumber: sent[index]?.SequenceNumber,
        }),
      ),
    );
    expect(BigInt(sent[1]?.SequenceNumber ?? 0)).toBeGreaterThan(BigInt(sent[0]?.SequenceNumber ?? 0));
  });
});

describe("deduplication", () => {
  test("by id: the second is accepted with the first's id and never delivered, even after the first was consumed", async () => {
    const url = await bench.fifo({ ContentBasedDeduplication: "false" });
    const first = await send(url, "g", "one", "same");
    const second = await send(url, "g", "another body", "same");
    expect(second.MessageId).toBe(first.MessageId);
    const got = await bench.receive(url);
    expect(bodies(got)).toEqual(["one"]);
    await remove(url, got[0] ?? {});
    await send(url, "g", "one", "same");
    await send(url, "g", "end", "end");
    expect(bodies(await bench.receive(url))).toEqual(["end"]);
  });

  test("by content, whatever the group", async () => {
    const url = await bench.fifo();
    await send(url, "a", "same");
    await send(url, "b", "same");
    await send(url, "b", "same", "but-another-id");
    expect(bodies(await bench.receive(url)).sort()).toEqual(["same", "same"]);
    expect(await bench.now(url)).toEqual([]);
  });

  test("of 20 racing senders delivers one message", async () => {
    const url = await bench.fifo({ ContentBasedDeduplication: "false" });
    const sent = await Promise.all(Array.from({ length: 20 }, (_, n) => send(url, "g", `m${n}`, "one-id")));
    expect(new Set(sent.map((message) => message.MessageId)).size).toBe(1);
    expect(await bench.receive(url)).toHaveLength(1);
  });

  test("within a batch too", async () => {
    const url = await bench.fifo();
    const Entries = ["x", "x", "y"].map((MessageBody, n) => ({ Id: `e${n}`, MessageBody, MessageGroupId: "g" }));
    const { Successful = [] } = await bench.sqs.sendMessageBatch({ QueueUrl: url, Entries });
    expect(Successful).toHaveLength(3);
    expect(bodies(await bench.receive(url))).toEqual(["x", "y"]);
  });
});

describe("a FIFO queue", () => {
  test("refuses what has no group, no way of deduplication, or a delay of its own", async () => {
    const url = await bench.fifo({ ContentBasedDeduplication: "false" });
    const base = { QueueUrl: url, MessageBody: "m" };
    await expect(bench.sqs.sendMessage(base)).rejects.toMatchObject({ name: "MissingParameter" });
    await expect(bench.sqs.sendMessage({ ...base, MessageGroupId: "g" })).rejects.toMatchObject({
      name: "InvalidParameterValue",
      message: expect.stringContaining("ContentBasedDeduplication"),
    });
    const whole = { ...base, MessageGroupId: "g", MessageDeduplicationId: "d" };
    await expect(bench.sqs.sendMessage({ ...whole, DelaySeconds: 2 })).rejects.toMatchObject({
      name: "InvalidParameterValue",
    });
    await bench.sqs.sendMessage({ ...whole, DelaySeconds: 0 });
    const Entries = [
      { ...whole, Id: "a" },
      { Id: "b", MessageBody: "m" },
    ];
    await expect(bench.sqs.sendMessageBatch({ QueueUrl: url, Entries })).rejects.toMatchObject({
      name: "InvalidParameterValue",
      message: expect.stringContaining("MessageGroupId"),
    });
  });

  test("delays all its messages alike", async () => {
    const url = await bench.fifo({ DelaySeconds: "1" });
    await send(url, "g", "m");
    expect(await bench.now(url)).toEqual([]);
    expect(await bench.receive(url)).toHaveLength(1);
  });

  test("refuses to delete by the handle of a receive that timed out", async () => {
    const url = await bench.fifo({ VisibilityTimeout: "600" });
    await send(url, "g", "m");
    const message = await bench.one(url, { VisibilityTimeout: 0 });
    await expect(remove(url, message)).rejects.toMatchObject({
      name: "InvalidParameterValue",
      message: expect.stringContaining("The receipt handle has expired"),
    });
    const latest = await bench.one(url);
    await remove(url, latest);
    await remove(url, latest);
    expect(await bench.now(url)).toEqual([]);
  });
});
