import * as z from "zod";
import { invalidParameter, noSuchQueue, SqsError } from "./errors.ts";
import { define, type Sqs } from "./operation.ts";
import {
  ATTRIBUTE_NAMES,
  checkAttributes,
  checkName,
  numberOf,
  type Queue,
  redrivePolicy,
  shownAttributes,
} from "./queue.ts";

const PURGE_EVERY_MS = 60_000;
const PAGE = 1_000;
const STRINGS = z.record(z.string(), z.string());
const QUEUE_URL = z.object({ QueueUrl: z.string() });

/** Operations on queues as such. */
export const queueOperations = {
  CreateQueue: define(
    z.object({
      QueueName: z.string(),
      Attributes: STRINGS.nullish(),
      tags: STRINGS.nullish(),
      Tags: STRINGS.nullish(),
    }),
    (sqs, input) => {
      const given = input.Attributes ?? {};
      const fifo = given.FifoQueue === "true";
      if (given.FifoQueue !== undefined && !fifo)
        throw new SqsError("InvalidAttributeName", "Unknown Attribute FifoQueue.");
      checkName(input.QueueName, fifo);
      checkAttributes(given, fifo);
      const { FifoQueue, ...attributes } = given;
      checkRedrive(sqs, attributes, fifo);
      const known = sqs.store.find(input.QueueName);
      if (known) {
        const shown = shownAttributes(known);
        const other = Object.keys(attributes).find((name) => !sameValue(shown[name] ?? "", attributes[name] ?? ""));
        if (other) {
          throw new SqsError(
            "QueueNameExists",
            `A queue already exists with the same name and a different value for attribute ${other}`,
          );
        }
      } else {
        const at = sqs.now();
        const tags = input.tags ?? input.Tags ?? {};
        sqs.store.save({ name: input.QueueName, fifo, attributes, tags, createdMs: at, modifiedMs: at, purgedMs: 0 });
      }
      return { QueueUrl: sqs.urlOf(input.QueueName) };
    },
  ),

  GetQueueUrl: define(z.object({ QueueName: z.string() }), (sqs, input) => {
    if (!sqs.store.find(input.QueueName)) throw noSuchQueue();
    return { QueueUrl: sqs.urlOf(input.QueueName) };
  }),

  ListQueues: define(
    z.object({
      QueueNamePrefix: z.string().nullish(),
      MaxResults: z.number().int().nullish(),
      NextToken: z.string().nullish(),
    }),
    (sqs, input) => {
      if (input.MaxResults != null && (input.MaxResults < 1 || input.MaxResults > PAGE)) {
        throw invalidParameter("MaxResults", input.MaxResults, "Must be an integer from 1 to 1000.");
      }
      const limit = input.MaxResults ?? PAGE;
      const after = Buffer.from(input.NextToken ?? "", "base64url").toString();
      const names = sqs.store.names(input.QueueNamePrefix ?? "", after, limit + 1);
      // A client that did not ask for pages gets none: it would not know of the token.
      const more = input.MaxResults != null && names.length > limit;
      const shown = names.slice(0, limit);
      return {
        ...(shown.length > 0 ? { QueueUrls: shown.map((name) => sqs.urlOf(name)) } : {}),
        ...(more ? { NextToken: Buffer.from(shown.at(-1) ?? "").toString("base64url") } : {}),
      };
    },
  ),

  DeleteQueue: define(QUEUE_URL, (sqs, input) => {
    const queue = sqs.queueAt(input.QueueUrl);
    sqs.store.remove(queue.name);
    sqs.wake(queue.name);
    return {};
  }),

  GetQueueAttributes: define(
    z.object({ QueueUrl: z.string(), AttributeNames: z.array(z.string()).nullish() }),
    (sqs, input) => {
      const queue = sqs.queueAt(input.QueueUrl);
      const wanted = input.AttributeNames ?? [];
      for (const name of wanted) {
        if (name !== "All" && !ATTRIBUTE_NAMES.has(name))
          throw new SqsError("InvalidAttributeName", `Unknown Attribute ${name}.`);
      }
      if (wanted.length === 0) return {};
      const { visible, flying, delayed } = sqs.store.counts(queue.name, sqs.now());
      const every: Record<string, string> = {
        QueueArn: sqs.arnOf(queue.name),
        ApproximateNumberOfMessages: String(visible),
        ApproximateNumberOfMessagesNotVisible: String(flying),
        ApproximateNumberOfMessagesDelayed: String(delayed),
        CreatedTimestamp: String(Math.floor(queue.createdMs / 1_000)),
        LastModifiedTimestamp: String(Math.floor(queue.modifiedMs / 1_000)),
        ...shownAttributes(queue),
      };
      const shown = Object.entries(every).filter(([name]) => wanted.includes("All") || wanted.includes(name));
      return shown.length > 0 ? { Attributes: Object.fromEntries(shown) } : {};
    },
  ),

  SetQueueAttributes: define(z.object({ QueueUrl: z.string(), Attributes: STRINGS }), (sqs, input) => {
    const queue = sqs.queueAt(input.QueueUrl);
    const { FifoQueue, ...attributes } = input.Attributes;
    if (FifoQueue !== undefined && (FifoQueue === "true") !== queue.fifo) {
      throw new SqsError("InvalidAttributeName", "Unknown Attribute FifoQueue.");
    }
    checkAttributes(attributes, queue.fifo);
    checkRedrive(sqs, attributes, queue.fifo);
    const changed: Queue = { ...queue, attributes: { ...queue.attributes, ...attributes }, modifiedMs: sqs.now() };
    sqs.store.save(changed);
    if (queue.fifo && attributes.DelaySeconds !== undefined) {
      sqs.store.delayAgain(queue.name, numberOf(changed, "DelaySeconds") * 1_000);
      sqs.wake(queue.name);
    }
    return {};
  }),

  PurgeQueue: define(QUEUE_URL, (sqs, input) => {
    const queue = sqs.queueAt(input.QueueUrl);
    const now = sqs.now();
    if (now - queue.purgedMs < PURGE_EVERY_MS) {
      throw new SqsError(
        "PurgeQueueInProgress",
        `Only one PurgeQueue operation on ${queue.name} is allowed every 60 seconds.`,
      );
    }
    sqs.store.purge(queue.name);
    sqs.store.save({ ...queue, purgedMs: now });
    return {};
  }),

  ListDeadLetterSourceQueues: define(QUEUE_URL, (sqs, input) => {
    const { name } = sqs.queueAt(input.QueueUrl);
    const sources = sqs.store
      .queues()
      .filter((queue) => redrivePolicy(queue.attributes.RedrivePolicy)?.deadLetterName === name);
    return { queueUrls: sources.map((queue) => sqs.urlOf(queue.name)) };
  }),

  ListQueueTags: define(QUEUE_URL, (sqs, input) => {
    const { tags } = sqs.queueAt(input.QueueUrl);
    return Object.keys(tags).length > 0 ? { Tags: tags } : {};
  }),

  TagQueue: define(z.object({ QueueUrl: z.string(), Tags: STRINGS }), (sqs, input) => {
    const queue = sqs.queueAt(input.QueueUrl);
    sqs.store.save({ ...queue, tags: { ...queue.tags, ...input.Tags } });
    return {};
  }),

  UntagQueue: define(z.object({ QueueUrl: z.string(), TagKeys: z.array(z.string()) }), (sqs, input) => {
    const queue = sqs.queueAt(input.QueueUrl);
    const kept = Object.entries(queue.tags).filter(([name]) => !input.TagKeys.includes(name));
    sqs.store.save({ ...queue, tags: Object.fromEntries(kept) });
    return {};
  }),

  /** Moves all at once: nobody waits for a rate limit on one machine. */
  StartMessageMoveTask: define(
    z.object({ SourceArn: z.string(), DestinationArn: z.string().nullish() }),
    (sqs, input) => {
      const source = sqs.store.find(input.SourceArn.split(":").at(-1) ?? "");
      if (!source)
        throw new SqsError(
          "ResourceNotFoundException",
          "The resource that you specified for the SourceArn parameter doesn't exist.",
        );
      for (const message of sqs.store.messages(source.name)) {
        const to = sqs.store.find((input.DestinationArn ?? message.source ?? "").split(":").at(-1) ?? "");
        if (!to || to.fifo !== source.fifo) continue;
        sqs.store.move(message, to, undefined, sqs.now());
        sqs.wake(to.name);
      }
      return { TaskHandle: Buffer.from(JSON.stringify({ sourceArn: input.SourceArn })).toString("base64") };
    },
  ),
};

function sameValue(one: string, other: string): boolean {
  if (one === other) return true;
  try {
    const sorted = (text: string) =>
      JSON.stringify(
        Object.entries(Object(JSON.parse(text)))
          .map(([k, v]) => [k, String(v)])
          .sort(),
      );
    return sorted(one) === sorted(other) && one.startsWith("{");
  } catch {
    return false;
  }
}

function checkRedrive(sqs: Sqs, attributes: Record<string, string>, fifo: boolean): void {
  const text = attributes.RedrivePolicy;
  const policy = redrivePolicy(text);
  if (!policy) return;
  const target = sqs.store.find(policy.deadLetterName);
  if (!target) throw invalidParameter("RedrivePolicy", text, "Dead letter target does not exist.");
  if (target.fifo !== fifo) {
    throw invalidParameter("RedrivePolicy", text, "Dead-letter queue must be same type of queue as the source.");
  }
}
