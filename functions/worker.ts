import type { SQSBatchResponse, SQSEvent } from "aws-lambda";
import { z } from "zod";
import { backfillRepo } from "../shared/binary/backfill.ts";
import { buryRepo } from "../shared/publication/bury.ts";
import { follow } from "../shared/repo/change.ts";
import { REPO_TYPES, repairRepo } from "../shared/repo/repo.ts";
import { failuresOf } from "./batch.ts";
import { context } from "./context.ts";

const Message = z.object({
  kind: z.enum(["backfill", "repair", "follow", "bury"]),
  type: z.enum(REPO_TYPES),
  name: z.string(),
});

const WORK = { backfill: backfillRepo, repair: repairRepo, follow, bury: buryRepo } as const;

/** Work that no request waits for. */
export async function handler(event: SQSEvent): Promise<SQSBatchResponse> {
  return failuresOf(event, async (record) => {
    const { kind, ...ref } = Message.parse(JSON.parse(record.body));
    await WORK[kind](context(), ref);
  });
}
