import * as z from "zod";
import { invalidParameter, SqsError } from "./errors.ts";
import {
  checkBatchOrder,
  checkOutgoing,
  chosen,
  md5Of,
  md5OfAttributes,
  OUTGOING,
  type Outgoing,
  sizeOf,
} from "./message.ts";
import { define, parse, type Sqs } from "./operation.ts";
import { MAX_PAYLOAD_BYTES, MAX_VISIBILITY_SECONDS, numberOf, type Queue } from "./queue.ts";
import type { StoredMessage } from "./rows.ts";
import { sequenceOf } from "./store.ts";

const MAX_ENTRIES = 10;
const MAX_WAIT_SECONDS = 20;
const ENTRY_ID = /^[A-Za-z0-9_-]{1,80}$/;

/** Operations on messages; ReceiveMessage, the only one that waits, is `receive` below. */
export const messageOperations = {
  SendMessage: define(OUTGOING.extend({ QueueUrl: z.string() }), (sqs, input) =>
    sendTo(sqs, sqs.queueAt(input.QueueUrl), input),
  ),

  SendMessageBatch: define(batchOf({}), (sqs, input) => {
    const queue = sqs.queueAt(input.QueueUrl);
    const entries = checkEntries(input.Entries).map((entry) => ({ ...parse(OUTGOING, entry), Id: entry.Id }));
    const bytes = entries.reduce((sum, entry) => sum + sizeOf(entry), 0);
    if (bytes > MAX_PAYLOAD_BYTES) {
      throw new SqsError(
        "BatchRequestTooLong",
        `Batch requests cannot be longer than ${MAX_PAYLOAD_BYTES} bytes. You have sent ${bytes} bytes.`,
      );
    }
    for (const entry of entries) if (queue.fifo) checkBatchOrder(queue, entry);
    return each(entries, (entry) => sendTo(sqs, queue, entry));
  }),

  DeleteMessage: define(z.object({ QueueUrl: z.string(), ReceiptHandle: z.string() }), (sqs, input) => {
    deleteFrom(sqs, sqs.queueAt(input.QueueUrl), input.ReceiptHandle);
    return {};
  }),

  DeleteMessageBatch: define(batchOf({ ReceiptHandle: z.string() }), (sqs, input) => {
    const queue = sqs.queueAt(input.QueueUrl);
    return each(checkEntries(input.Entries), (entry) => deleteFrom(sqs, queue, String(entry.ReceiptHandle)));
  }),

  ChangeMessageVisibility: define(
    z.object({ QueueUrl: z.string(), ReceiptHandle: z.string(), VisibilityTimeout: z.number().int() }),
    (sqs, input) => {
      changeVisibility(sqs, sqs.queueAt(input.QueueUrl), input.ReceiptHandle, input.VisibilityTimeout);
      return {};
    },
  ),

  ChangeMessageVisibilityBatch: define(
    batchOf({ ReceiptHandle: z.string(), VisibilityTimeout: z.number().int().nullish() }),
    (sqs, input) => {
      const queue = sqs.queueAt(input.QueueUrl);
      return each(checkEntries(input.Entries), (entry) =>
        changeVisibility(
          sqs,
          queue,
          String(entry.ReceiptHandle),
          Number(entry.VisibilityTimeout ?? numberOf(queue, "VisibilityTimeout")),
        ),
      );
    },
  ),
};

const NAMES = z.array(z.string()).nullish();
const RECEIVE = z.object({
  QueueUrl: z.string(),
  MaxNumberOfMessages: z.number().int().nullish(),
  VisibilityTimeout: z.number().int().nullish(),
  WaitTimeSeconds: z.number().int().nullish(),
  AttributeNames: NAMES,
  MessageSystemAttributeNames: NAMES,
  MessageAttributeNames: NAMES,
});

/** A checked ReceiveMessage: how long it may wait, and one try to take messages (to be run within a transaction). */
export function receive(sqs: Sqs, body: unknown): { queue: string; waitSeconds: number; attempt(): object[] } {
  const input = parse(RECEIVE, body);
  const count = inRange(
    "MaxNumberOfMessages",
    input.MaxNumberOfMessages ?? 1,
    1,
    MAX_ENTRIES,
    "Must be between 1 and 10, if provided.",
  );
  const queue = sqs.queueAt(input.QueueUrl);
  const wait = input.WaitTimeSeconds ?? numberOf(queue, "ReceiveMessageWaitTimeSeconds");
  const waitSeconds = inRange("WaitTimeSeconds", wait, 0, MAX_WAIT_SECONDS, "Must be >= 0 and <= 20, if provided.");
  if (input.VisibilityTimeout != null) checkTimeout(input.VisibilityTimeout);
  const system = [...(input.AttributeNames ?? []), ...(input.MessageSystemAttributeNames ?? [])];
  return {
    queue: queue.name,
    waitSeconds,
    attempt() {
      const current = sqs.queueAt(input.QueueUrl);
      const visibility = input.VisibilityTimeout ?? numberOf(current, "VisibilityTimeout");
      const { taken, woken } = sqs.store.receive(
        current,
        count,
        visibility * 1_000,
        sqs.now(),
        sqs.arnOf(current.name),
      );
      for (const name of woken) sqs.wake(name);
      return taken.map((message) => shown(message, system, input.MessageAttributeNames ?? []));
    },
  };
}

function shown(message: StoredMessage, systemNames: string[], names: string[]): object {
  const fifo = message.deduplication !== undefined;
  const system: Record<string, string | undefined> = {
    SenderId: "000000000000",
    SentTimestamp: String(message.sentMs),
    ApproximateReceiveCount: String(message.receives),
    ApproximateFirstReceiveTimestamp: String(message.firstReceivedMs),
    MessageGroupId: message.group,
    MessageDeduplicationId: message.deduplication,
    SequenceNumber: fifo ? sequenceOf(message.id) : undefined,
    AWSTraceHeader: message.system.AWSTraceHeader?.StringValue ?? undefined,
    DeadLetterQueueSourceArn: message.source,
  };
  const all = systemNames.includes("All");
  const attributes = Object.entries(system).filter(
    ([name, value]) => value !== undefined && (all || systemNames.includes(name)),
  );
  const own = chosen(message.attributes, names);
  const md5 = md5OfAttributes(own);
  return {
    MessageId: message.messageId,
    ReceiptHandle: handleOf(message),
    MD5OfBody: md5Of(message.body),
    Body: message.body,
    ...(attributes.length > 0 ? { Attributes: Object.fromEntries(attributes) } : {}),
    ...(md5 ? { MD5OfMessageAttributes: md5, MessageAttributes: own } : {}),
  };
}

export function sendTo(sqs: Sqs, queue: Queue, message: Outgoing): object {
  checkOutgoing(queue, message);
  const { messageId, sequence } = sqs.store.send(queue, message, sqs.now());
  sqs.wake(queue.name);
  const attributes = md5OfAttributes(message.MessageAttributes);
  const system = md5OfAttributes(message.MessageSystemAttributes);
  return {
    MessageId: messageId,
    MD5OfMessageBody: md5Of(message.MessageBody),
    ...(attributes ? { MD5OfMessageAttributes: attributes } : {}),
    ...(system ? { MD5OfMessageSystemAttributes: system } : {}),
    ...(sequence ? { SequenceNumber: sequence } : {}),
  };
}

function deleteFrom(sqs: Sqs, queue: Queue, handle: string): undefined {
  const { message, current } = resolve(sqs, queue, handle);
  if (!message) return;
  if (queue.fifo && (!current || message.visibleMs <= sqs.now())) {
    throw invalidParameter("ReceiptHandle", handle, "The receipt handle has expired.");
  }
  // "the request succeeds, but the message will not be deleted" (API reference, DeleteMessage, of an earlier handle).
  if (!current) return;
  sqs.store.forget(message.id);
  // The rest of its group comes in sight.
  if (queue.fifo) sqs.wake(queue.name);
}

function changeVisibility(sqs: Sqs, queue: Queue, handle: string, seconds: number): undefined {
  checkTimeout(seconds);
  const { message, current } = resolve(sqs, queue, handle);
  const now = sqs.now();
  if (!message || !current) {
    throw invalidParameter(
      "ReceiptHandle",
      handle,
      "Message does not exist or is not available for visibility timeout change.",
    );
  }
  if (message.visibleMs <= now) {
    if (seconds === 0) return;
    throw new SqsError("MessageNotInflight", "The specified message isn't in flight.");
  }
  const until = now + seconds * 1_000;
  if (until - (message.receivedMs ?? now) > MAX_VISIBILITY_SECONDS * 1_000) {
    throw invalidParameter(
      "VisibilityTimeout",
      seconds,
      `Total VisibilityTimeout for the message is beyond the limit [${MAX_VISIBILITY_SECONDS} seconds].`,
    );
  }
  sqs.store.show(message.id, until);
  sqs.wake(queue.name);
}

/** Opaque to clients: the queue, the row and the receive that it stands for. */
function handleOf(message: StoredMessage): string {
  return Buffer.from(JSON.stringify([message.queue, message.id, message.receipt])).toString("base64");
}

const HANDLE = z.tuple([z.string(), z.number(), z.string()]);

function resolve(sqs: Sqs, queue: Queue, handle: string): { message: StoredMessage | undefined; current: boolean } {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(handle, "base64").toString());
  } catch {
    json = undefined;
  }
  const parsed = HANDLE.safeParse(json);
  if (!parsed.success || parsed.data[0] !== queue.name) {
    throw new SqsError("ReceiptHandleIsInvalid", `The input receipt handle "${handle}" is not a valid receipt handle.`);
  }
  const [name, id, receipt] = parsed.data;
  const message = sqs.store.message(id);
  if (message?.queue !== name) return { message: undefined, current: false };
  return { message, current: message.receipt === receipt };
}

function checkTimeout(seconds: number): void {
  inRange(
    "VisibilityTimeout",
    seconds,
    0,
    MAX_VISIBILITY_SECONDS,
    `Must be between 0 and ${MAX_VISIBILITY_SECONDS}, if provided.`,
  );
}

function inRange(name: string, value: number, least: number, most: number, reason: string): number {
  if (value < least || value > most) throw invalidParameter(name, value, reason);
  return value;
}

function batchOf<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.object({ QueueUrl: z.string(), Entries: z.array(z.looseObject({ Id: z.string(), ...shape })).nullish() });
}

type Entry = { Id: string; [name: string]: unknown };

function checkEntries(entries: readonly object[] | null | undefined): Entry[] {
  const list = (entries ?? []).map((entry) => parse(z.looseObject({ Id: z.string() }), entry));
  if (list.length === 0)
    throw new SqsError(
      "EmptyBatchRequest",
      "There should be at least one SendMessageBatchRequestEntry in the request.",
    );
  if (list.length > MAX_ENTRIES) {
    throw new SqsError(
      "TooManyEntriesInBatchRequest",
      `Maximum number of entries per request are ${MAX_ENTRIES}. You have sent ${list.length}.`,
    );
  }
  const ids = new Set<string>();
  for (const { Id } of list) {
    if (!ENTRY_ID.test(Id)) {
      throw new SqsError(
        "InvalidBatchEntryId",
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
      );
    }
    if (ids.has(Id)) throw new SqsError("BatchEntryIdsNotDistinct", `Id ${Id} repeated.`);
    ids.add(Id);
  }
  return list;
}

/** Each entry by itself; one that is refused does not hinder the others. */
function each<E extends { Id: string }>(entries: readonly E[], work: (entry: E) => object | undefined): object {
  const done: object[] = [];
  const refused: object[] = [];
  for (const entry of entries) {
    try {
      done.push({ Id: entry.Id, ...work(entry) });
    } catch (error) {
      if (!(error instanceof SqsError)) throw error;
      const { queryCode, fault } = error.answer;
      refused.push({ Id: entry.Id, Code: queryCode, Message: error.message, SenderFault: fault === "Sender" });
    }
  }
  return { ...(done.length > 0 ? { Successful: done } : {}), ...(refused.length > 0 ? { Failed: refused } : {}) };
}
