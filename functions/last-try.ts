import type { SQSRecord } from "aws-lambda";
import { giveUp, haveWatched } from "../shared/job/give-up.ts";
import { MAX_RECEIVES } from "../shared/settings.ts";
import { context } from "./context.ts";

/**
 * Does the work of a message. Where this is the last time that its queue gives it to anybody, the job that it is of ends with it:
 * now, should it fail once more, or a little later, should this function die.
 */
export async function endingItsJob(
  record: SQSRecord,
  jobOf: () => Promise<string | undefined>,
  work: () => Promise<void>,
): Promise<void> {
  if (Number(record.attributes.ApproximateReceiveCount) < MAX_RECEIVES) return work();
  const job = await jobOf();
  if (job === undefined) return work();
  await haveWatched(context(), job);
  try {
    await work();
  } catch (error) {
    // Should this fail too, whoever watches gives it up.
    await giveUp(context(), job).catch(() => {});
    throw error;
  }
}
