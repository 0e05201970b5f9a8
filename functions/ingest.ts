import type { SQSBatchResponse, SQSEvent, SQSRecord } from "aws-lambda";
import { z } from "zod";
import { findUnsettled, storeUpload, type Unsettled } from "../shared/binary/ingest.ts";
import { lookForUpload } from "../shared/binary/look.ts";
import { settle } from "../shared/binary/settle.ts";
import { findWaiting } from "../shared/binary/waiting.ts";
import type { Context } from "../shared/context.ts";
import { INCOMING_PREFIX } from "../shared/objects/keys.ts";
import { failuresOf } from "./batch.ts";
import { context } from "./context.ts";

const S3Event = z.object({
  Records: z.array(z.object({ s3: z.object({ object: z.object({ key: z.string() }) }) })),
});
const OwnMessage = z.object({
  kind: z.enum(["settle", "look", "wait"]),
  path: z.string(),
  upload: z.string().optional(),
});
/** S3 sends one when notifications are switched on. */
const TestEvent = z.object({ Event: z.literal("s3:TestEvent") });
const Body = z.union([S3Event, OwnMessage, TestEvent]);

const LOOK_AT = { settle: findUnsettled, wait: findWaiting } as const;

/** What arrived in the bucket, and what is to be looked at again. */
export async function handler(event: SQSEvent): Promise<SQSBatchResponse> {
  const ctx = context();
  const failures = await failuresOf(
    event,
    (record) => stored(ctx, record),
    async (unsettled) => {
      // One binary may be named by several messages of a batch.
      const distinct = new Map(unsettled.flat().map((one) => [one.segments.join("/"), one]));
      await settle(ctx, [...distinct.values()]);
    },
  );
  return failures;
}

async function stored(ctx: Context, record: SQSRecord): Promise<Unsettled[]> {
  const body = Body.parse(JSON.parse(record.body));
  if ("Event" in body) return [];
  if ("kind" in body) {
    const { kind, path, upload } = body;
    const found = await (kind === "look" ? lookForUpload(ctx, path, upload) : LOOK_AT[kind](ctx, path));
    return found ? [found] : [];
  }
  const found: Unsettled[] = [];
  for (const { s3 } of body.Records) {
    // S3 writes keys as in a form: ours hold nothing that this would change, but it is what it sends.
    const key = decodeURIComponent(s3.object.key.replaceAll("+", " "));
    if (!key.startsWith(INCOMING_PREFIX)) continue;
    const unsettled = await storeUpload(ctx, key.slice(INCOMING_PREFIX.length));
    if (unsettled) found.push(unsettled);
  }
  return found;
}
