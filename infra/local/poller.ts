import { setTimeout as sleep } from "node:timers/promises";
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import type { SQSBatchResponse, SQSEvent, SQSRecord } from "aws-lambda";

export type PollerOptions = {
  client: SQSClient;
  queueUrl: string;
  /** Messages a call of the handler at most: as many as are there. */
  batchSize: number;
  /** Calls of the handler at a time. */
  concurrency: number;
  // biome-ignore lint/suspicious/noConfusingVoidType: as Lambda's handlers are typed
  handler: (event: SQSEvent) => Promise<SQSBatchResponse | void>;
  /** Told of what the handler threw and of receives that failed; the poller goes on. */
  onError?: (error: unknown) => void;
};

export type Poller = {
  /** Receives nothing more, and waits for the running handlers, at most `limitMs`. True when all have ended. */
  stop(limitMs?: number): Promise<boolean>;
};

const WAIT_SECONDS = 20;
const LONGEST_BACKOFF_SECONDS = 60;
const RETRY_RECEIVE_MS = 1_000;
/** Of any request to a queue. */
const MOST_MESSAGES = 10;

/** What Lambda's event source mapping does for a queue: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html */
export function startPoller(options: PollerOptions): Poller {
  const stopping = new AbortController();
  const loops = Promise.all(Array.from({ length: options.concurrency }, () => loop(options, stopping.signal)));
  return {
    async stop(limitMs = 10_000) {
      stopping.abort();
      return await Promise.race([loops.then(() => true), sleep(limitMs, false, { ref: false })]);
    },
  };
}

async function loop(options: PollerOptions, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted) {
    try {
      const messages = await receiveBatch(options, stopping);
      if (messages.length > 0) await runBatch(options, messages);
    } catch (error) {
      if (stopping.aborted) return;
      options.onError?.(error);
      await sleep(RETRY_RECEIVE_MS, undefined, { signal: stopping }).catch(() => undefined);
    }
  }
}

/** Waits until there is something; then takes what is there, up to a batch, and waits no longer. */
async function receiveBatch(options: PollerOptions, stopping: AbortSignal): Promise<Message[]> {
  const { batchSize, onError } = options;
  const messages = await receive(options, stopping, { most: batchSize, waitSeconds: WAIT_SECONDS });
  for (let last = messages.length; last === MOST_MESSAGES && messages.length < batchSize; ) {
    try {
      const more = await receive(options, stopping, { most: batchSize - messages.length, waitSeconds: 0 });
      messages.push(...more);
      last = more.length;
    } catch (error) {
      // Those that are here are worked all the same.
      if (!stopping.aborted) onError?.(error);
      break;
    }
  }
  return messages;
}

async function receive(
  { client, queueUrl }: PollerOptions,
  stopping: AbortSignal,
  { most, waitSeconds }: { most: number; waitSeconds: number },
): Promise<Message[]> {
  const command = new ReceiveMessageCommand({
    QueueUrl: queueUrl,
    MaxNumberOfMessages: Math.min(most, MOST_MESSAGES),
    WaitTimeSeconds: waitSeconds,
    MessageSystemAttributeNames: ["All"],
    MessageAttributeNames: ["All"],
  });
  const { Messages = [] } = await client.send(command, { abortSignal: stopping });
  return Messages;
}

async function runBatch(options: PollerOptions, messages: Message[]): Promise<void> {
  const failed = await failures(options, messages);
  const done = messages.filter((message) => !failed.has(message.MessageId ?? ""));
  const again = messages.filter((message) => failed.has(message.MessageId ?? ""));
  await Promise.all([remove(options, done), putOff(options, again)]);
}

/** The ids of the messages that shall come again. */
async function failures(
  { client, handler, queueUrl, onError }: PollerOptions,
  messages: Message[],
): Promise<Set<string>> {
  const everything = new Set(messages.map((message) => message.MessageId ?? ""));
  let failed: Set<string>;
  try {
    const region = await client.config.region();
    const response = await handler({ Records: messages.map((message) => recordOf(message, queueUrl, region)) });
    failed = new Set((response?.batchItemFailures ?? []).map((failure) => failure.itemIdentifier));
  } catch (error) {
    onError?.(error);
    return everything;
  }
  // As Lambda: a failure that names no message of the batch is one of all of them.
  if (![...failed].every((id) => everything.has(id))) return everything;
  if (queueUrl.endsWith(".fifo")) keepOrder(messages, failed);
  return failed;
}

/** After the first failure of a group all of it comes again, in order. */
function keepOrder(messages: Message[], failed: Set<string>): void {
  const stuck = new Set<string | undefined>();
  for (const { MessageId = "", Attributes } of messages) {
    if (failed.has(MessageId)) stuck.add(Attributes?.MessageGroupId);
    else if (stuck.has(Attributes?.MessageGroupId)) failed.add(MessageId);
  }
}

async function remove({ client, queueUrl, onError }: PollerOptions, messages: Message[]): Promise<void> {
  for (const some of inTens(messages)) {
    const Entries = some.map((message, index) => ({ Id: String(index), ReceiptHandle: message.ReceiptHandle }));
    const { Failed = [] } = await client.send(new DeleteMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
    for (const { Code, Message: text } of Failed)
      onError?.(new Error(`could not delete a handled message: ${Code}: ${text}`));
  }
}

/**
 * On AWS a failed message waits for the whole visibility timeout, six times as long as the function may take. On one machine
 * nobody wants to wait that long for a retry: it comes again after 2, 4, 8 … seconds, at most a minute.
 */
async function putOff({ client, queueUrl }: PollerOptions, messages: Message[]): Promise<void> {
  for (const some of inTens(messages)) {
    const Entries = some.map((message, index) => ({
      Id: String(index),
      ReceiptHandle: message.ReceiptHandle,
      VisibilityTimeout: Math.min(
        2 ** Number(message.Attributes?.ApproximateReceiveCount ?? 1),
        LONGEST_BACKOFF_SECONDS,
      ),
    }));
    await client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: queueUrl, Entries }));
  }
}

function inTens(messages: Message[]): Message[][] {
  return Array.from({ length: Math.ceil(messages.length / MOST_MESSAGES) }, (_, index) =>
    messages.slice(index * MOST_MESSAGES, (index + 1) * MOST_MESSAGES),
  );
}

function recordOf(message: Message, queueUrl: string, region: string): SQSRecord {
  const attributes = message.Attributes ?? {};
  const [account, name] = queueUrl.split("/").slice(-2);
  return {
    messageId: message.MessageId ?? "",
    receiptHandle: message.ReceiptHandle ?? "",
    body: message.Body ?? "",
    attributes: {
      ...attributes,
      ApproximateReceiveCount: attributes.ApproximateReceiveCount ?? "1",
      SentTimestamp: attributes.SentTimestamp ?? "",
      SenderId: attributes.SenderId ?? "",
      ApproximateFirstReceiveTimestamp: attributes.ApproximateFirstReceiveTimestamp ?? "",
    },
    messageAttributes: Object.fromEntries(
      Object.entries(message.MessageAttributes ?? {}).map(([key, value]) => [
        key,
        {
          dataType: value.DataType ?? "String",
          ...(value.StringValue === undefined ? {} : { stringValue: value.StringValue }),
          ...(value.BinaryValue === undefined
            ? {}
            : { binaryValue: Buffer.from(value.BinaryValue).toString("base64") }),
        },
      ]),
    ),
    md5OfBody: message.MD5OfBody ?? "",
    eventSource: "aws:sqs",
    eventSourceARN: `arn:aws:sqs:${region}:${account}:${name}`,
    awsRegion: region,
  };
}
