import type * as z from "zod";
import { missingParameter, SqsError } from "./errors.ts";
import type { Queue } from "./queue.ts";
import type { QueueStore } from "./store.ts";

/** What an operation may use. */
export type Sqs = {
  store: QueueStore;
  now(): number;
  urlOf(name: string): string;
  arnOf(name: string): string;
  /** @throws SqsError QueueDoesNotExist */
  queueAt(url: string): Queue;
  /** Lets the queue's long polls look again, once the transaction is done. */
  wake(name: string): void;
};

/** Runs within one transaction and answers before it returns. */
export type Operation = { run(sqs: Sqs, input: unknown): object };

export function define<Schema extends z.ZodType>(
  schema: Schema,
  work: (sqs: Sqs, input: z.infer<Schema>) => object,
): Operation {
  return { run: (sqs, input) => work(sqs, parse(schema, input)) };
}

/** @throws SqsError MissingParameter or SerializationException */
export function parse<Schema extends z.ZodType>(schema: Schema, input: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path.join(".") ?? "";
  if (issue?.code === "invalid_type" && valueAt(input, issue.path) === undefined) throw missingParameter(path);
  throw new SqsError("SerializationException", `${path}: ${issue?.message ?? "not what the operation takes"}`);
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined),
    value,
  );
}
