import { createHash } from "node:crypto";
import * as z from "zod";
import { invalidParameter, missingParameter, SqsError } from "./errors.ts";
import { isContentBased, numberOf, type Queue } from "./queue.ts";

export const ATTRIBUTE_VALUE = z.object({
  DataType: z.string().optional(),
  StringValue: z.string().nullish(),
  /** Base64, as JSON carries it. */
  BinaryValue: z.string().nullish(),
});
export type AttributeValue = z.infer<typeof ATTRIBUTE_VALUE>;
export type AttributeMap = Record<string, AttributeValue>;

/** What a client sends, by itself or in a batch. */
export const OUTGOING = z.object({
  MessageBody: z.string(),
  DelaySeconds: z.number().int().nullish(),
  MessageAttributes: z.record(z.string(), ATTRIBUTE_VALUE).nullish(),
  MessageSystemAttributes: z.record(z.string(), ATTRIBUTE_VALUE).nullish(),
  MessageDeduplicationId: z.string().nullish(),
  MessageGroupId: z.string().nullish(),
});
export type Outgoing = z.infer<typeof OUTGOING>;

/** XML 1.0's characters, which SQS asks for in JSON too. */
const CONTENTS = /^[\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]*$/u;
const ID = /^[A-Za-z0-9!"#$%&'()*+,\-./:;<=>?@[\\\]^_`{|}~]{1,128}$/;
const ATTRIBUTE_NAME = /^(?!\.)(?!(?:aws|amazon)\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)$/i;
const MAX_ATTRIBUTES = 10;

/** Bytes that count against the limits: the body, and each attribute's name, type and value. */
export function sizeOf(message: Outgoing): number {
  let bytes = Buffer.byteLength(message.MessageBody);
  for (const [name, value] of Object.entries(message.MessageAttributes ?? {})) {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value.DataType ?? "");
    bytes += Buffer.byteLength(value.StringValue ?? "") + Buffer.from(value.BinaryValue ?? "", "base64").length;
  }
  return bytes;
}

/** @throws SqsError with SQS's own words for what is wrong. */
export function checkOutgoing(queue: Queue, message: Outgoing): void {
  if (message.MessageBody === "") throw missingParameter("MessageBody");
  if (!CONTENTS.test(message.MessageBody)) {
    throw new SqsError(
      "InvalidMessageContents",
      "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
    );
  }
  checkMessageAttributes(message.MessageAttributes ?? {});
  const limit = numberOf(queue, "MaximumMessageSize");
  if (sizeOf(message) > limit) {
    throw new SqsError(
      "InvalidParameterValue",
      `One or more parameters are invalid. Reason: Message must be shorter than ${limit} bytes.`,
    );
  }
  const delay = message.DelaySeconds;
  if (delay != null && (delay < 0 || delay > 900)) {
    throw invalidParameter("DelaySeconds", delay, "DelaySeconds must be >= 0 and <= 900.");
  }
  checkOrder(queue, message);
}

function checkOrder(queue: Queue, message: Outgoing): void {
  const wrongKind = "The request include parameter that is not valid for this queue type.";
  const { MessageGroupId: group, MessageDeduplicationId: deduplication } = message;
  if (group != null && !ID.test(group)) throw badId("MessageGroupId", group);
  if (!queue.fifo) {
    if (deduplication != null) throw invalidParameter("MessageDeduplicationId", deduplication, wrongKind);
    return;
  }
  // A FIFO queue delays all its messages alike.
  if (message.DelaySeconds) throw invalidParameter("DelaySeconds", message.DelaySeconds, wrongKind);
  if (group == null) throw missingParameter("MessageGroupId");
  if (deduplication != null && !ID.test(deduplication)) throw badId("MessageDeduplicationId", deduplication);
  if (deduplication == null && !isContentBased(queue)) {
    throw new SqsError(
      "InvalidParameterValue",
      "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
    );
  }
}

/** Where an entry of a FIFO queue's batch misses these, SQS refuses the whole batch (and calls the value invalid). */
export function checkBatchOrder(queue: Queue, entry: Outgoing): void {
  try {
    checkOrder(queue, { ...entry, DelaySeconds: 0 });
  } catch (error) {
    throw error instanceof SqsError ? new SqsError("InvalidParameterValue", error.message) : error;
  }
}

function badId(name: string, value: string): SqsError {
  return invalidParameter(
    name,
    value,
    `${name} can only include alphanumeric and punctuation characters. 1 to 128 in length.`,
  );
}

function checkMessageAttributes(attributes: AttributeMap): void {
  const names = Object.keys(attributes);
  if (names.length > MAX_ATTRIBUTES) {
    throw new SqsError(
      "InvalidParameterValue",
      `Number of message attributes [${names.length}] exceeds the allowed maximum [${MAX_ATTRIBUTES}].`,
    );
  }
  for (const [name, value] of Object.entries(attributes)) {
    const refuse = (text: string) => new SqsError("InvalidParameterValue", text);
    if (!ATTRIBUTE_NAME.test(name)) throw refuse(`Message (user) attribute name '${name}' is invalid.`);
    if (!value.DataType) throw refuse(`The message attribute '${name}' must contain non-empty message attribute type.`);
    const [type = ""] = value.DataType.split(".");
    if (!["String", "Number", "Binary"].includes(type)) {
      throw refuse(
        `The message attribute '${name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.`,
      );
    }
    const given = type === "Binary" ? value.BinaryValue : value.StringValue;
    if (!given)
      throw refuse(
        `The message attribute '${name}' must contain a non-empty message attribute value for type '${value.DataType}'.`,
      );
    if (type === "Number" && !Number.isFinite(Number(given))) {
      throw refuse(`Can't cast the value of message (user) attribute '${name}' to a number.`);
    }
    if (type !== "Binary" && !CONTENTS.test(given))
      throw refuse(`The message attribute '${name}' contains invalid characters.`);
  }
}

export function md5Of(text: string): string {
  return createHash("md5").update(text).digest("hex");
}

/** "Calculating the MD5 message digest for message attributes", SQS Developer Guide. Undefined when there are none. */
export function md5OfAttributes(attributes: AttributeMap | null | undefined): string | undefined {
  const names = Object.keys(attributes ?? {}).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  if (!attributes || names.length === 0) return undefined;
  const hash = createHash("md5");
  const part = (bytes: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hash.update(length).update(bytes);
  };
  for (const name of names) {
    const { DataType = "", StringValue, BinaryValue } = attributes[name] ?? {};
    part(Buffer.from(name));
    part(Buffer.from(DataType));
    const binary = DataType.startsWith("Binary");
    hash.update(Uint8Array.of(binary ? 2 : 1));
    part(binary ? Buffer.from(BinaryValue ?? "", "base64") : Buffer.from(StringValue ?? ""));
  }
  return hash.digest("hex");
}

/** By exact name, `All`, `.*` or a prefix with `.*`. */
export function chosen(attributes: AttributeMap, wanted: readonly string[]): AttributeMap {
  const all = wanted.some((name) => name === "All" || name === ".*");
  const prefixes = wanted.filter((name) => name.endsWith(".*")).map((name) => name.slice(0, -2));
  const take = (name: string) => all || wanted.includes(name) || prefixes.some((prefix) => name.startsWith(prefix));
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => take(name)));
}
