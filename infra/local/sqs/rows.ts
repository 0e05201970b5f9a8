import * as z from "zod";
import type { Row } from "../database.ts";
import { ATTRIBUTE_VALUE, type AttributeMap } from "./message.ts";
import type { Queue } from "./queue.ts";

/** The queues' part of the local database. */
export const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS sqs_queue (
    name TEXT PRIMARY KEY, fifo INTEGER NOT NULL, attributes TEXT NOT NULL, tags TEXT NOT NULL,
    created INTEGER NOT NULL, modified INTEGER NOT NULL, purged INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID`,
  // visible: when it may be received (next). receipt: of the last receive; with visible in the future: in flight.
  // tries: receives from this queue; receives: from all it has been in.
  `CREATE TABLE IF NOT EXISTS sqs_message (
    id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, message_id TEXT NOT NULL, body TEXT NOT NULL,
    attributes TEXT NOT NULL, system TEXT NOT NULL, message_group TEXT, deduplication TEXT, source TEXT,
    sent INTEGER NOT NULL, visible INTEGER NOT NULL, receipt TEXT, received INTEGER, first_received INTEGER,
    tries INTEGER NOT NULL DEFAULT 0, receives INTEGER NOT NULL DEFAULT 0)`,
  "CREATE INDEX IF NOT EXISTS sqs_message_visible ON sqs_message (queue, visible, id)",
  "CREATE INDEX IF NOT EXISTS sqs_message_group ON sqs_message (queue, message_group, id) WHERE message_group IS NOT NULL",
  "CREATE INDEX IF NOT EXISTS sqs_message_order ON sqs_message (queue, id) WHERE message_group IS NOT NULL",
  "CREATE INDEX IF NOT EXISTS sqs_message_sent ON sqs_message (queue, sent)",
  `CREATE TABLE IF NOT EXISTS sqs_deduplication (
    queue TEXT NOT NULL, key TEXT NOT NULL, message_id TEXT NOT NULL, sequence TEXT NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (queue, key)) WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS sqs_deduplication_until ON sqs_deduplication (until)",
];

export type StoredMessage = {
  id: number;
  queue: string;
  messageId: string;
  body: string;
  attributes: AttributeMap;
  system: AttributeMap;
  group: string | undefined;
  deduplication: string | undefined;
  source: string | undefined;
  sentMs: number;
  visibleMs: number;
  receipt: string | undefined;
  receivedMs: number | undefined;
  firstReceivedMs: number | undefined;
  receives: number;
};

const TEXT = z
  .string()
  .nullish()
  .transform((text) => text ?? undefined);
const NUMBER = z
  .number()
  .nullish()
  .transform((number) => number ?? undefined);
const MAP = z
  .string()
  .transform((text): unknown => JSON.parse(text))
  .pipe(z.record(z.string(), ATTRIBUTE_VALUE));
const STRINGS = z
  .string()
  .transform((text): unknown => JSON.parse(text))
  .pipe(z.record(z.string(), z.string()));
const MESSAGE_ROW = z.object({
  id: z.number(),
  queue: z.string(),
  message_id: z.string(),
  body: z.string(),
  attributes: MAP,
  system: MAP,
  message_group: TEXT,
  deduplication: TEXT,
  source: TEXT,
  sent: z.number(),
  visible: z.number(),
  receipt: TEXT,
  received: NUMBER,
  first_received: NUMBER,
  tries: z.number(),
  receives: z.number(),
});
const QUEUE_ROW = z.object({
  name: z.string(),
  fifo: z.number(),
  attributes: STRINGS,
  tags: STRINGS,
  created: z.number(),
  modified: z.number(),
  purged: z.number(),
});

export function messageOf(row: Row): StoredMessage & { tries: number } {
  const { message_id, message_group, sent, visible, received, first_received, ...rest } = MESSAGE_ROW.parse(row);
  return {
    ...rest,
    messageId: message_id,
    group: message_group,
    sentMs: sent,
    visibleMs: visible,
    receivedMs: received,
    firstReceivedMs: first_received,
  };
}

export function queueOf(row: Row): Queue {
  const { fifo, created, modified, purged, ...rest } = QUEUE_ROW.parse(row);
  return { ...rest, fifo: fifo === 1, createdMs: created, modifiedMs: modified, purgedMs: purged };
}
