import type { SQSBatchResponse, SQSEvent, SQSRecord } from "aws-lambda";
import pMap from "p-map";
import { context } from "./context.ts";

const PARALLEL = 10;
/** A queue keeps a message away for six times its function's limit: that is for a function that died, not for one that failed. */
const FIRST_PAUSE_SECONDS = 10;
const TIMES_EACH = 4;

/**
 * Works each message of a batch, then what came of all of them together. A message that failed stays in its queue; when
 * the common step fails, all do. Faults are logged without what the message or our store holds.
 */
export async function failuresOf<T>(
  event: SQSEvent,
  each: (record: SQSRecord) => Promise<T>,
  together: (results: T[]) => Promise<void> = async () => {},
): Promise<SQSBatchResponse> {
  const failed = new Set<string>();
  const results: T[] = [];
  await pMap(
    event.Records,
    async (record) => {
      try {
        results.push(await each(record));
      } catch (error) {
        failed.add(record.messageId);
        logFault(record, error);
      }
    },
    { concurrency: PARALLEL },
  );
  try {
    if (results.length > 0) await together(results);
  } catch (error) {
    for (const record of event.Records) {
      failed.add(record.messageId);
    }
    if (event.Records[0]) logFault(event.Records[0], error);
  }
  await Promise.all(event.Records.filter(({ messageId }) => failed.has(messageId)).map(comeBackSoon));
  return { batchItemFailures: [...failed].map((itemIdentifier) => ({ itemIdentifier })) };
}

async function comeBackSoon({ eventSourceARN, receiptHandle, attributes }: SQSRecord): Promise<void> {
  const tries = Number(attributes.ApproximateReceiveCount) || 1;
  const seconds = FIRST_PAUSE_SECONDS * TIMES_EACH ** (tries - 1);
  // Should this fail too, the message comes when its time is over.
  await context()
    .queues.comeBack(eventSourceARN, receiptHandle, seconds)
    .catch(() => {});
}

export function logFault(record: SQSRecord, error: unknown): void {
  const told =
    error instanceof Error ? { name: error.name, message: error.message, stack: error.stack } : { name: "?" };
  process.stderr.write(`${JSON.stringify({ level: "error", queue: record.eventSourceARN, ...told })}\n`);
}
