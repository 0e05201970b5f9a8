import type { SQSEvent } from "aws-lambda";
import { expect, test } from "vitest";
import { useContext } from "../../functions/context.ts";
import { handler } from "../../functions/worker.ts";
import { watchJob } from "../../shared/job/give-up.ts";
import { findPackagesJob, startPackagesJob } from "../../shared/job/packages-job.ts";
import { findSyncJob, newSyncJob, putSyncJob, type SyncJob } from "../../shared/job/sync-job.ts";
import type { WorkerMessage } from "../../shared/queue/sqs.ts";
import { putMapBlob } from "../../shared/repo/map-blob.ts";
import { MAX_RECEIVES } from "../../shared/settings.ts";
import { createUpstream, findUpstream } from "../../shared/sync/upstream.ts";
import { type MemoryContext, memoryContext } from "../support/memory-context.ts";
import { BY, newRepo } from "../support/memory-sets.ts";

const UPSTREAM = { type: "apt", name: "theirs" } as const;
const OUR_SIDE = { message: expect.stringContaining("failed each time on our side") };

function eventOf(message: WorkerMessage, tries: number): SQSEvent {
  const attributes = {
    ApproximateReceiveCount: String(tries),
    SentTimestamp: "",
    SenderId: "",
    ApproximateFirstReceiveTimestamp: "",
  };
  const record = {
    messageId: "1",
    receiptHandle: "1",
    body: JSON.stringify(message),
    attributes,
    messageAttributes: {},
  };
  const from = { md5OfBody: "", eventSource: "aws:sqs", eventSourceARN: "arn:aws:sqs:x:1:worker", awsRegion: "x" };
  return { Records: [{ ...record, ...from }] };
}

/** Works a message as the queue gives it, while the store is away and no partition can be read; tells whether it failed. */
async function worked(ctx: MemoryContext, message: WorkerMessage, tries: number): Promise<boolean> {
  ctx.before = (_, call) => {
    if (/^objects\.|^table\.query$/.test(call)) throw new Error("away");
  };
  useContext(ctx);
  const { batchItemFailures } = await handler(eventOf(message, tries));
  ctx.before = () => {};
  return batchItemFailures.length > 0;
}

async function packagesJob() {
  const ctx = memoryContext();
  const repo = await newRepo(ctx, "apt", "tools");
  const map = await putMapBlob(ctx, Buffer.from("{}"));
  const { id } = await startPackagesJob(ctx, repo, { ...BY, map, force: false, since: 0 });
  return { ctx, id, message: { kind: "packages", job: id } as const, find: () => findPackagesJob(ctx, id) };
}

async function syncJob(more: Partial<SyncJob> = {}) {
  const ctx = memoryContext();
  const { id: upstreamId, job: id } = await createUpstream(ctx, UPSTREAM, { path: "http://lab.test" }, "root");
  await putSyncJob(ctx, { ...newSyncJob(ctx, id, { id: upstreamId, ...UPSTREAM }), ...more });
  return { ctx, id, find: () => findSyncJob(ctx, id) };
}

test("a packages job whose message fails for the last time ends, and says that our side failed; before, it works on", async () => {
  const { ctx, message, find } = await packagesJob();
  for (let tries = 1; tries < MAX_RECEIVES; tries += 1) {
    expect(await worked(ctx, message, tries)).toBe(true);
    expect(await find()).toMatchObject({ state: "working" });
  }
  expect(ctx.sent.filter((sent) => JSON.stringify(sent).includes("watch"))).toEqual([]);
  expect(await worked(ctx, message, MAX_RECEIVES)).toBe(true);
  expect(await find()).toMatchObject({ state: "failed", phase: "end", error: { ...OUR_SIDE, details: {} } });
});

test("a last time that succeeds ends the job well", async () => {
  const { ctx, message, find } = await packagesJob();
  useContext(ctx);
  expect((await handler(eventOf(message, MAX_RECEIVES))).batchItemFailures).toEqual([]);
  expect(await find()).toMatchObject({ state: "done" });
  await watchJob(ctx, message.job);
  expect(await find()).toMatchObject({ state: "done" });
});

test("a sync whose message, or that of a batch, fails for the last time ends, and keeps what it had told", async () => {
  const told = [{ url: "http://lab.test/x", message: "503" }];
  for (const kind of ["sync", "copy"] as const) {
    const { ctx, id, find } = await syncJob({ state: "working", phase: "packages", errors: told });
    const message: WorkerMessage = kind === "sync" ? { kind, ...UPSTREAM } : { kind, job: id, batch: 0 };
    // A batch has no plan here.
    expect(await worked(ctx, message, MAX_RECEIVES - 1)).toBe(true);
    expect(await find()).toMatchObject({ state: "working" });
    expect(await worked(ctx, message, MAX_RECEIVES)).toBe(true);
    expect(await find()).toMatchObject({ state: "failed", phase: "end", errors: [...told, OUR_SIDE] });
    expect((await findUpstream(ctx, UPSTREAM))?.job).toBe(id);
  }
});

test("a function that dies at its last try leaves a message that ends the job when it was silent for longer than any function runs", async () => {
  const { ctx, message, find } = await packagesJob();
  useContext(ctx);
  let isDead = false;
  ctx.before = (_, call) => {
    // It is gone as soon as it has begun, and writes nothing more.
    isDead ||= call.startsWith("objects.");
    if (isDead) throw new Error("gone");
  };
  await handler(eventOf(message, MAX_RECEIVES));
  ctx.before = () => {};
  expect(await find()).toMatchObject({ state: "working" });
  const watch = { kind: "watch", job: message.job };
  expect(ctx.sent.filter((sent) => JSON.stringify(sent) === JSON.stringify(watch))).toHaveLength(1);
  ctx.clock.ms += 15 * 60_000;
  await handler(eventOf({ kind: "watch", job: message.job }, 1));
  expect(await find()).toMatchObject({ state: "working" });
  expect(ctx.sent.filter((sent) => JSON.stringify(sent) === JSON.stringify(watch))).toHaveLength(2);
  ctx.clock.ms += 15 * 60_000;
  await handler(eventOf({ kind: "watch", job: message.job }, 1));
  expect(await find()).toMatchObject({ state: "failed", error: OUR_SIDE });
});

test("one that waits for an upstream, or whose batches go on, is not given up", async () => {
  const waiting = await syncJob({ state: "working" });
  const { ctx, id, find } = waiting;
  await putSyncJob(ctx, {
    ...((await find()) ?? expect.fail()),
    notBefore: new Date(ctx.clock.ms + 7200_000).toISOString(),
  });
  ctx.clock.ms += 3600_000;
  await watchJob(ctx, id);
  expect(await find()).toMatchObject({ state: "working" });
  ctx.clock.ms += 2 * 3600_000;
  await watchJob(ctx, id);
  expect(await find()).toMatchObject({ state: "failed" });
});
