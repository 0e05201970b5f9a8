import type { SQSBatchResponse, SQSEvent } from "aws-lambda";
import { z } from "zod";
import { publishRepo } from "../shared/publication/publish.ts";
import { REPO_TYPES } from "../shared/repo/repo.ts";
import { failuresOf } from "./batch.ts";
import { context } from "./context.ts";

const Message = z.object({ type: z.enum(REPO_TYPES), name: z.string() });

/** Brings what clients read up to the heads of the repos named; messages for one repo share a publication. */
export async function handler(event: SQSEvent): Promise<SQSBatchResponse> {
  const ctx = context();
  const running = new Map<string, Promise<void>>();
  return failuresOf(event, (record) => {
    const ref = Message.parse(JSON.parse(record.body));
    const name = `${ref.type}/${ref.name}`;
    const publication = running.get(name) ?? publishRepo(ctx, ref);
    running.set(name, publication);
    return publication;
  });
}
