import type { SQSBatchResponse, SQSEvent, SQSRecord } from "aws-lambda";
import { z } from "zod";
import { backfillRepo } from "../shared/binary/backfill.ts";
import { leaveRepos } from "../shared/binary/leave.ts";
import { verifyUpload } from "../shared/binary/look.ts";
import { continueRemoval } from "../shared/binary/remove.ts";
import { settle } from "../shared/binary/settle.ts";
import { parseSha256 } from "../shared/blob.ts";
import type { Context } from "../shared/context.ts";
import { AppError } from "../shared/error.ts";
import { watchJob } from "../shared/job/give-up.ts";
import { runPackagesJob } from "../shared/job/run-packages.ts";
import { buryRepo } from "../shared/publication/bury.ts";
import { REPO_TYPES, type RepoRef, repairRepo } from "../shared/repo/repo.ts";
import { resignRepo } from "../shared/repo/resign.ts";
import { follow } from "../shared/sync/follow.ts";
import { fetchFile } from "../shared/sync/on-demand.ts";
import { copyBatch, syncUpstream } from "../shared/sync/run.ts";
import { findUpstream, repairUpstream, resyncNamed } from "../shared/sync/upstream.ts";
import { failuresOf, logFault } from "./batch.ts";
import { context } from "./context.ts";
import { endingItsJob } from "./last-try.ts";

const Named = z.object({
  kind: z.enum(["backfill", "repair", "follow", "bury", "sync", "resync", "repair-upstream", "resign"]),
  type: z.enum(REPO_TYPES),
  name: z.string(),
});
const Fetch = z.object({
  kind: z.literal("fetch"),
  type: z.enum(REPO_TYPES),
  name: z.string(),
  commit: z.number().int(),
  sha256: z.string().transform(parseSha256),
});
const Copy = z.object({ kind: z.literal("copy"), job: z.string(), batch: z.number().int() });
const Packages = z.object({ kind: z.literal("packages"), job: z.string() });
const Watch = z.object({ kind: z.literal("watch"), job: z.string() });
const Verify = z.object({ kind: z.literal("verify"), upload: z.string() });
const Leave = z.object({ kind: z.literal("leave"), path: z.string() });
const Remove = z.object({ kind: z.literal("remove"), path: z.string(), at: z.string() });
const Message = z.union([Named, Copy, Fetch, Packages, Watch, Verify, Leave, Remove]);
type Message = z.infer<typeof Message>;

const WORK = {
  backfill: backfillRepo,
  repair: (ctx: Context, ref: RepoRef) => repairRepo(ctx, ref),
  follow,
  bury: buryRepo,
  sync: syncUpstream,
  resync: resyncNamed,
  "repair-upstream": repairUpstream,
  resign: resignRepo,
} as const;

/** Work that no request waits for. */
export async function handler(event: SQSEvent): Promise<SQSBatchResponse> {
  return failuresOf(event, async (record) => {
    const message = Message.parse(JSON.parse(record.body));
    await endingItsJob(
      record,
      () => jobOf(context(), message),
      () => work(record, message),
    );
  });
}

async function work(record: SQSRecord, message: Message): Promise<void> {
  if (message.kind === "copy") await copyBatch(context(), message.job, message.batch);
  else if (message.kind === "fetch") await orLogged(record, () => fetchFile(context(), message));
  else if (message.kind === "packages") await runPackagesJob(context(), message.job);
  else if (message.kind === "verify") await verify(context(), message.upload);
  else if (message.kind === "leave") await leave(context(), message.path);
  else if (message.kind === "remove") await remove(context(), message.path, message.at);
  else if (message.kind === "watch") await watchJob(context(), message.job);
  else await WORK[message.kind](context(), message);
}

/** The job that has a record of its own, and waits for this message. */
async function jobOf(ctx: Context, message: Message): Promise<string | undefined> {
  if (message.kind === "copy" || message.kind === "packages") return message.job;
  return message.kind === "sync" ? (await findUpstream(ctx, message))?.job : undefined;
}

async function verify(ctx: Context, upload: string): Promise<void> {
  const unsettled = await verifyUpload(ctx, upload);
  if (unsettled) await settle(ctx, [unsettled]);
}

async function leave(ctx: Context, path: string): Promise<void> {
  const changed = await leaveRepos(ctx, path);
  if (changed.length > 0) await settle(ctx, changed);
}

async function remove(ctx: Context, path: string, at: string): Promise<void> {
  if (await continueRemoval(ctx, path, at)) await leave(ctx, path);
}

/** Work that has no job to tell of it: what is wrong for good is logged, and done with. */
async function orLogged(record: SQSRecord, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    logFault(record, error);
  }
}
