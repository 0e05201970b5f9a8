import { SQS } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, uniqueName } from "../support/aws-endpoints.ts";
import { type QueueBench, queueBench } from "../support/queue-bench.ts";

let bench: QueueBench;
beforeAll(async () => {
  bench = await queueBench();
});
afterAll(() => bench.close());

describe("a queue", () => {
  test("made again with the same attributes is the same, with others it is refused", async () => {
    const QueueName = uniqueName("contract");
    const Attributes = { VisibilityTimeout: "45" };
    const first = await bench.sqs.createQueue({ QueueName, Attributes });
    expect(await bench.sqs.createQueue({ QueueName, Attributes })).toMatchObject({ QueueUrl: first.QueueUrl });
    expect(await bench.sqs.createQueue({ QueueName })).toMatchObject({ QueueUrl: first.QueueUrl });
    await expect(bench.sqs.createQueue({ QueueName, Attributes: { VisibilityTimeout: "46" } })).rejects.toMatchObject({
      name: "QueueNameExists",
      Code: "QueueAlreadyExists",
    });
    expect(await bench.sqs.getQueueUrl({ QueueName })).toMatchObject({ QueueUrl: first.QueueUrl });
    await bench.sqs.deleteQueue({ QueueUrl: first.QueueUrl });
    await expect(bench.sqs.getQueueUrl({ QueueName })).rejects.toMatchObject({
      name: "QueueDoesNotExist",
      Code: "AWS.SimpleQueueService.NonExistentQueue",
    });
  });

  test("tells its attributes, all or some, and takes new ones", async () => {
    const QueueUrl = await bench.queue({ MessageRetentionPeriod: "600" });
    const { Attributes } = await bench.sqs.getQueueAttributes({ QueueUrl, AttributeNames: ["All"] });
    expect(Attributes).toMatchObject({
      ApproximateNumberOfMessages: "0",
      ApproximateNumberOfMessagesNotVisible: "0",
      ApproximateNumberOfMessagesDelayed: "0",
      DelaySeconds: "0",
      MaximumMessageSize: "1048576",
      MessageRetentionPeriod: "600",
      QueueArn: expect.stringMatching(/^arn:aws:sqs:[a-z0-9-]+:\d{12}:contract-/),
      ReceiveMessageWaitTimeSeconds: "0",
      VisibilityTimeout: "30",
    });
    expect(Attributes).not.toHaveProperty("FifoQueue");
    await bench.sqs.setQueueAttributes({ QueueUrl, Attributes: { VisibilityTimeout: "7" } });
    const some = await bench.sqs.getQueueAttributes({ QueueUrl, AttributeNames: ["VisibilityTimeout"] });
    expect(some.Attributes).toEqual({ VisibilityTimeout: "7" });
    expect((await bench.sqs.getQueueAttributes({ QueueUrl })).Attributes).toBeUndefined();
  });

  test("counts what waits and what is in flight", async () => {
    const QueueUrl = await bench.queue();
    for (const MessageBody of ["a", "b", "c"]) await bench.sqs.sendMessage({ QueueUrl, MessageBody });
    await bench.one(QueueUrl);
    await eventually(async () => {
      const visible = await bench.attribute(QueueUrl, "ApproximateNumberOfMessages");
      const flying = await bench.attribute(QueueUrl, "ApproximateNumberOfMessagesNotVisible");
      return visible === "2" && flying === "1" ? true : undefined;
    }, "two waiting and one in flight");
  });

  test("that is purged has nothing, in flight or not, and is not purged again at once", async () => {
    const QueueUrl = await bench.queue({ VisibilityTimeout: "0" });
    for (const MessageBody of ["a", "b"]) await bench.sqs.sendMessage({ QueueUrl, MessageBody });
    await bench.one(QueueUrl);
    await bench.sqs.purgeQueue({ QueueUrl });
    await eventually(async () => ((await bench.now(QueueUrl)).length === 0 ? true : undefined), "an empty queue");
    await expect(bench.sqs.purgeQueue({ QueueUrl })).rejects.toMatchObject({ name: "PurgeQueueInProgress" });
  });

  test("is listed by its prefix, page by page", async () => {
    const stem = uniqueName("contract-list");
    const urls: (string | undefined)[] = [];
    for (const letter of ["a", "b", "c"]) {
      urls.push((await bench.sqs.createQueue({ QueueName: `${stem}-${letter}` })).QueueUrl);
    }
    const first = await bench.sqs.listQueues({ QueueNamePrefix: stem, MaxResults: 2 });
    expect(first.QueueUrls).toHaveLength(2);
    const second = await bench.sqs.listQueues({ QueueNamePrefix: stem, MaxResults: 2, NextToken: first.NextToken });
    expect([...(first.QueueUrls ?? []), ...(second.QueueUrls ?? [])].sort()).toEqual(urls);
    expect(second.NextToken).toBeUndefined();
    for (const QueueUrl of urls) await bench.sqs.deleteQueue({ QueueUrl });
  });

  test("has tags", async () => {
    const QueueUrl = await bench.queue();
    await bench.sqs.tagQueue({ QueueUrl, Tags: { a: "1", b: "2" } });
    await bench.sqs.untagQueue({ QueueUrl, TagKeys: ["a"] });
    expect((await bench.sqs.listQueueTags({ QueueUrl })).Tags).toEqual({ b: "2" });
  });

  test.each([
    ["with a dot", "a.b", {}],
    ["that is too long", "a".repeat(81), {}],
    ["of a FIFO queue without its ending", "abc", { FifoQueue: "true" }],
    ["of a standard queue with a FIFO queue's ending", "abc.fifo", {}],
  ])("may not have a name %s", async (_, QueueName, Attributes) => {
    await expect(bench.sqs.createQueue({ QueueName, Attributes })).rejects.toMatchObject({
      name: "InvalidParameterValue",
    });
  });

  test("may not have attributes that do not exist or make no sense", async () => {
    const QueueName = uniqueName("contract");
    const make = (Attributes: Record<string, string>) => bench.sqs.createQueue({ QueueName, Attributes });
    await expect(make({ Nonsense: "1" })).rejects.toMatchObject({ name: "InvalidAttributeName" });
    await expect(make({ ContentBasedDeduplication: "true" })).rejects.toMatchObject({ name: "InvalidAttributeName" });
    await expect(make({ VisibilityTimeout: "43201" })).rejects.toMatchObject({ name: "InvalidAttributeValue" });
    await expect(make({ MessageRetentionPeriod: "59" })).rejects.toMatchObject({ name: "InvalidAttributeValue" });
  });
});

describe("a batch", () => {
  test("answers for each entry by itself", async () => {
    const QueueUrl = await bench.queue({ VisibilityTimeout: "600" });
    const sent = await bench.sqs.sendMessageBatch({
      QueueUrl,
      Entries: [
        { Id: "good", MessageBody: "x" },
        { Id: "bad", MessageBody: "y", DelaySeconds: 901 },
      ],
    });
    expect(sent.Successful?.map((entry) => entry.Id)).toEqual(["good"]);
    expect(sent.Failed).toEqual([
      expect.objectContaining({ Id: "bad", SenderFault: true, Code: "InvalidParameterValue" }),
    ]);
    const { ReceiptHandle } = await bench.one(QueueUrl);
    const Entries = [
      { Id: "mine", ReceiptHandle, VisibilityTimeout: 30 },
      { Id: "nonsense", ReceiptHandle: "nonsense", VisibilityTimeout: 30 },
    ];
    const changed = await bench.sqs.changeMessageVisibilityBatch({ QueueUrl, Entries });
    expect(changed.Successful?.map((entry) => entry.Id)).toEqual(["mine"]);
    expect(changed.Failed?.map((entry) => [entry.Id, entry.Code])).toEqual([["nonsense", "ReceiptHandleIsInvalid"]]);
    const deleted = await bench.sqs.deleteMessageBatch({ QueueUrl, Entries });
    expect(deleted.Successful?.map((entry) => entry.Id)).toEqual(["mine"]);
    expect(deleted.Failed?.map((entry) => [entry.Id, entry.Code])).toEqual([["nonsense", "ReceiptHandleIsInvalid"]]);
  });

  test.each([
    ["EmptyBatchRequest", []],
    ["TooManyEntriesInBatchRequest", Array.from({ length: 11 }, (_, n) => ({ Id: `e${n}`, MessageBody: "m" }))],
    ["BatchEntryIdsNotDistinct", ["a", "a"].map((Id) => ({ Id, MessageBody: "m" }))],
    ["InvalidBatchEntryId", [{ Id: "a b", MessageBody: "m" }]],
    ["BatchRequestTooLong", ["a", "b"].map((Id) => ({ Id, MessageBody: "m".repeat(600_000) }))],
  ])("is refused whole: %s", async (name, Entries) => {
    const QueueUrl = await bench.queue();
    const refused = bench.sqs.sendMessageBatch({ QueueUrl, Entries });
    await expect(refused).rejects.toMatchObject({ name, Code: `AWS.SimpleQueueService.${name}` });
    expect(await bench.now(QueueUrl)).toEqual([]);
  });
});

describe("a request", () => {
  test("for a queue that is not there says so", async () => {
    const url = await bench.queue();
    const QueueUrl = `${url}-not`;
    const wanted = { name: "QueueDoesNotExist", Code: "AWS.SimpleQueueService.NonExistentQueue" };
    await expect(bench.sqs.sendMessage({ QueueUrl, MessageBody: "m" })).rejects.toMatchObject(wanted);
    await expect(bench.sqs.receiveMessage({ QueueUrl })).rejects.toMatchObject(wanted);
    await expect(bench.sqs.deleteQueue({ QueueUrl })).rejects.toMatchObject(wanted);
  });

  test("with a handle that is none, or another queue's, says so", async () => {
    const one = await bench.queue();
    const other = await bench.queue();
    await bench.sqs.sendMessage({ QueueUrl: one, MessageBody: "m" });
    const { ReceiptHandle } = await bench.one(one);
    const wanted = { name: "ReceiptHandleIsInvalid" };
    await expect(bench.sqs.deleteMessage({ QueueUrl: one, ReceiptHandle: "no" })).rejects.toMatchObject(wanted);
    await expect(bench.sqs.deleteMessage({ QueueUrl: other, ReceiptHandle })).rejects.toMatchObject(wanted);
  });

  test("to send nothing, or characters that XML has not, is refused", async () => {
    const QueueUrl = await bench.queue();
    await expect(bench.sqs.sendMessage({ QueueUrl, MessageBody: "" })).rejects.toMatchObject({
      name: "MissingParameter",
    });
    await expect(bench.sqs.sendMessage({ QueueUrl, MessageBody: "\u0001" })).rejects.toMatchObject({
      name: "InvalidMessageContents",
    });
    const MessageAttributes = { a: { DataType: "String", StringValue: "" } };
    await expect(bench.sqs.sendMessage({ QueueUrl, MessageBody: "m", MessageAttributes })).rejects.toMatchObject({
      name: "InvalidParameterValue",
    });
  });

  test("that is signed with other keys, or not signed, is refused", async () => {
    const QueueUrl = await bench.queue();
    const region = await bench.sqs.config.region();
    const credentials = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wrong" };
    const stranger = new SQS({ endpoint: new URL(QueueUrl).origin, region, credentials });
    await expect(stranger.sendMessage({ QueueUrl, MessageBody: "m" })).rejects.toMatchObject({ $fault: "client" });
    stranger.destroy();
    const headers = { "content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.ReceiveMessage" };
    const bare = await fetch(new URL(QueueUrl).origin, { method: "POST", headers, body: JSON.stringify({ QueueUrl }) });
    expect(bare.status).toBe(403);
    expect(await bench.now(QueueUrl)).toEqual([]);
  });
});
