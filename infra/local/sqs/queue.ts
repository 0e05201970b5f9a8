import * as z from "zod";
import { invalidParameter, SqsError } from "./errors.ts";

/** 1 MiB since August 2025, for one message and for a batch. */
export const MAX_PAYLOAD_BYTES = 1_048_576;
export const MAX_VISIBILITY_SECONDS = 43_200;

export type Queue = {
  name: string;
  fifo: boolean;
  /** What was set; the rest are defaults. */
  attributes: Record<string, string>;
  tags: Record<string, string>;
  createdMs: number;
  modifiedMs: number;
  purgedMs: number;
};

export type RedrivePolicy = { deadLetterName: string; deadLetterArn: string; maxReceives: number };

/** Name, default, least and greatest value. */
const NUMBERS: Record<string, readonly [string, number, number]> = {
  DelaySeconds: ["0", 0, 900],
  MaximumMessageSize: [String(MAX_PAYLOAD_BYTES), 1_024, MAX_PAYLOAD_BYTES],
  MessageRetentionPeriod: ["345600", 60, 1_209_600],
  ReceiveMessageWaitTimeSeconds: ["0", 0, 20],
  VisibilityTimeout: ["30", 0, MAX_VISIBILITY_SECONDS],
};
const CHOICES: Record<string, readonly string[]> = {
  SqsManagedSseEnabled: ["true", "false"],
  ContentBasedDeduplication: ["false", "true"],
  DeduplicationScope: ["queue", "messageGroup"],
  FifoThroughputLimit: ["perQueue", "perMessageGroupId"],
};
const FIFO_ONLY = ["ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"];
const FREE = [
  "Policy",
  "KmsMasterKeyId",
  "KmsDataKeyReusePeriodSeconds",
  "RedriveAllowPolicy",
  "RedrivePolicy",
  "FifoQueue",
];
export const COMPUTED = [
  "ApproximateNumberOfMessages",
  "ApproximateNumberOfMessagesNotVisible",
  "ApproximateNumberOfMessagesDelayed",
  "CreatedTimestamp",
  "LastModifiedTimestamp",
  "QueueArn",
];
export const ATTRIBUTE_NAMES = new Set([...COMPUTED, ...Object.keys(NUMBERS), ...Object.keys(CHOICES), ...FREE]);

const PLAIN_NAME = /^[A-Za-z0-9_-]{1,80}$/;

export function checkName(name: string, fifo: boolean): void {
  const stem = fifo && name.endsWith(".fifo") ? `${name.slice(0, -5)}_fifo` : name;
  if (fifo && !name.endsWith(".fifo")) {
    throw new SqsError(
      "InvalidParameterValue",
      "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length",
    );
  }
  if (!PLAIN_NAME.test(stem)) {
    throw new SqsError(
      "InvalidParameterValue",
      "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
    );
  }
}

/** What a client may set; a queue's kind is set once. */
export function checkAttributes(attributes: Record<string, string>, fifo: boolean): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (!ATTRIBUTE_NAMES.has(name) || COMPUTED.includes(name)) {
      throw new SqsError("InvalidAttributeName", `Unknown Attribute ${name}.`);
    }
    if (!fifo && FIFO_ONLY.includes(name)) {
      const message =
        name === "ContentBasedDeduplication"
          ? `Unknown Attribute ${name}.`
          : `You can specify the ${name} only when FifoQueue is set to true.`;
      throw new SqsError("InvalidAttributeName", message);
    }
    if (!fits(name, value)) throw new SqsError("InvalidAttributeValue", `Invalid value for the parameter ${name}.`);
  }
}

function fits(name: string, value: string): boolean {
  const range = NUMBERS[name];
  if (range) return /^\d{1,9}$/.test(value) && Number(value) >= range[1] && Number(value) <= range[2];
  return CHOICES[name]?.includes(value) ?? true;
}

const REDRIVE = z.object({
  deadLetterTargetArn: z.string(),
  maxReceiveCount: z.coerce.number().int().min(1).max(1_000),
});

/** @throws SqsError where SQS refuses a RedrivePolicy before it looks for the dead-letter queue. */
export function redrivePolicy(text: string | undefined): RedrivePolicy | undefined {
  if (!text) return undefined;
  const refuse = (reason: string) => invalidParameter("RedrivePolicy", text, reason);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw refuse("Redrive policy is not a valid JSON map.");
  }
  const parsed = REDRIVE.safeParse(json);
  if (!parsed.success) {
    const path = String(parsed.error.issues[0]?.path[0] ?? "");
    if (path === "maxReceiveCount" && isRecord(json) && json.maxReceiveCount !== undefined) {
      throw refuse(
        `Invalid value for maxReceiveCount: ${String(json.maxReceiveCount)}, valid values are from 1 to 1000 both inclusive.`,
      );
    }
    throw refuse(`Redrive policy does not contain mandatory attribute: ${path || "maxReceiveCount"}.`);
  }
  const { deadLetterTargetArn: arn, maxReceiveCount } = parsed.data;
  const name = /^arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:([A-Za-z0-9_.-]+)$/.exec(arn)?.[1];
  if (name === undefined) throw refuse("Invalid value for deadLetterTargetArn.");
  return { deadLetterName: name, deadLetterArn: arn, maxReceives: maxReceiveCount };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

export function numberOf(queue: Queue, name: keyof typeof NUMBERS & string): number {
  return Number(queue.attributes[name] ?? NUMBERS[name]?.[0] ?? 0);
}

export function isContentBased(queue: Queue): boolean {
  return queue.attributes.ContentBasedDeduplication === "true";
}

/** All that is not computed, in the form GetQueueAttributes gives. */
export function shownAttributes(queue: Queue): Record<string, string> {
  const defaults: Record<string, string> = {};
  for (const [name, [value]] of Object.entries(NUMBERS)) defaults[name] = value;
  for (const [name, [value]] of Object.entries(CHOICES)) {
    if (value !== undefined && (queue.fifo || !FIFO_ONLY.includes(name))) defaults[name] = value;
  }
  const set = Object.entries(queue.attributes).filter(([, value]) => value !== "");
  return { ...defaults, ...Object.fromEntries(set), ...(queue.fifo ? { FifoQueue: "true" } : {}) };
}
