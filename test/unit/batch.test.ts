import type { SQSEvent, SQSRecord } from "aws-lambda";
import { expect, test } from "vitest";
import { failuresOf } from "../../functions/batch.ts";
import { useContext } from "../../functions/context.ts";
import { memoryContext } from "../support/memory-context.ts";

const ARN = "arn:aws:sqs:eu-central-1:1:worker";

function record(messageId: string, tries: number): SQSRecord {
  return {
    messageId,
    receiptHandle: `handle of ${messageId}`,
    body: "{}",
    attributes: {
      ApproximateReceiveCount: String(tries),
      SentTimestamp: "",
      SenderId: "",
      ApproximateFirstReceiveTimestamp: "",
    },
    messageAttributes: {},
    md5OfBody: "",
    eventSource: "aws:sqs",
    eventSourceARN: ARN,
    awsRegion: "eu-central-1",
  };
}

async function worked(event: SQSEvent, comeBack: (...given: unknown[]) => Promise<void>) {
  const ctx = memoryContext();
  useContext({ ...ctx, queues: { ...ctx.queues, comeBack } });
  return failuresOf(event, async ({ messageId }) => {
    if (messageId.startsWith("bad")) throw new Error("not now");
  });
}

test("what failed stays in the queue and comes again soon, each time later; what was worked does not", async () => {
  const asked: unknown[] = [];
  const event = { Records: [record("good", 1), record("bad-1", 1), record("bad-2", 3)] };
  const answer = await worked(event, async (...given) => void asked.push(given));
  expect(answer.batchItemFailures).toEqual([{ itemIdentifier: "bad-1" }, { itemIdentifier: "bad-2" }]);
  expect(asked).toEqual([
    [ARN, "handle of bad-1", 10],
    [ARN, "handle of bad-2", 160],
  ]);
});

test("a queue that cannot be told keeps the message for its own time", async () => {
  const answer = await worked({ Records: [record("bad", 1)] }, () => Promise.reject(new Error("gone")));
  expect(answer.batchItemFailures).toEqual([{ itemIdentifier: "bad" }]);
});
