import type { SQSBatchResponse, SQSEvent } from "aws-lambda";
import { z } from "zod";
import { backfillRepo } from "../shared/binary/backfill.ts";
import { REPO_TYPES, repairRepo } from "../shared/repo/repo.ts";
import { failuresOf } from "./batch.ts";
import { context } from "./context.ts";

const Message = z.object({ kind: z.enum(["backfill", "repair"]), type: z.enum(REPO_TYPES), name: z.string() });

/** Work that no request waits for. */
export async function handler(event: SQSEvent): Promise<SQSBatchResponse> {
  return failuresOf(event, async (record) => {
    const { kind, ...ref } = Message.parse(JSON.parse(record.body));
    await (kind === "backfill" ? backfillRepo : repairRepo)(context(), ref);
  });
}
