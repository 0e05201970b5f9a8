import { expect } from "vitest";
import type { Sha256 } from "../../shared/blob.ts";
import { headOf } from "../../shared/commit.ts";
import { findSyncJob } from "../../shared/job/sync-job.ts";
import type { Queues, WorkerMessage } from "../../shared/queue/sqs.ts";
import { copyBatch, syncUpstream } from "../../shared/sync/run.ts";
import {
  createUpstream,
  findUpstream,
  repairUpstream,
  resyncNamed,
  type UpstreamSettings,
} from "../../shared/sync/upstream.ts";
import { segmentsOf } from "../../shared/tree/entry.ts";
import { readRows } from "../../shared/tree/leaf.ts";
import { readTree } from "../../shared/tree/root.ts";
import type { Fetcher } from "../../shared/upstream/fetch.ts";
import { type MemoryContext, memoryContext } from "./memory-context.ts";

type Pending = { readonly message: WorkerMessage; readonly dueMs: number };

const REF = { type: "apt", name: "lab" } as const;
/** More messages than any sync of a test sends: it would never end. */
const MOST_MESSAGES = 500;

/** One upstream and the worker that syncs it, in memory; messages lie in a queue that forgets none before it was seen to. */
export type SyncBench = {
  readonly ctx: MemoryContext;
  /**
   * Delivers what is due, in its order, moving the clock on, until nothing is left. What a delivery throws leaves its message.
   * `atOnce`: so many at a time; `twice`: each a second time when it has ended.
   */
  drain(): Promise<void>;
  /** The same stored state and queue, for a process that starts anew. */
  restarted(fetcher?: Fetcher): SyncBench;
  make(settings: UpstreamSettings): Promise<void>;
  again(): Promise<void>;
  job(): Promise<NonNullable<Awaited<ReturnType<typeof findSyncJob>>>>;
  /** The newest commit and the last segments of its keys. */
  state(): Promise<{ number: number; tree: Sha256; carried: Sha256 | undefined; packages: string[] }>;
};

export function openSyncBench(
  fetcher: Fetcher,
  { twice = false, atOnce = 1 }: { twice?: boolean; atOnce?: number } = {},
  ctx = memoryContext(),
  queue: Pending[] = [],
): SyncBench {
  const worker: Queues["worker"] = async (message, delaySeconds = 0) => {
    ctx.calls += 1;
    const call = ctx.calls;
    await ctx.before(call, "queues.worker");
    queue.push({ message, dueMs: ctx.clock.ms + delaySeconds * 1000 });
    ctx.after(call, "queues.worker");
  };
  Object.assign(ctx, { fetcher, queues: { ...ctx.queues, worker } });
  const upstream = async () => {
    const found = await findUpstream(ctx, REF);
    if (!found) throw new Error("there is no upstream");
    return found;
  };
  return {
    ctx,
    async drain() {
      for (let delivered = 0; queue.length > 0; delivered += 1) {
        if (delivered > MOST_MESSAGES) throw new Error(`${MOST_MESSAGES} messages and no end`);
        const [first] = queue.toSorted((a, b) => a.dueMs - b.dueMs);
        ctx.clock.ms = Math.max(ctx.clock.ms, first?.dueMs ?? 0);
        const due = queue.filter(({ dueMs }) => dueMs <= ctx.clock.ms).slice(0, atOnce);
        await Promise.all(due.map(({ message }) => deliver(ctx, message)));
        if (twice) await Promise.all(due.map(({ message }) => deliver(ctx, message)));
        for (const one of due) queue.splice(queue.indexOf(one), 1);
      }
    },
    restarted: (other = fetcher) => openSyncBench(other, { twice, atOnce }, ctx.restarted(), [...queue]),
    make: async (settings) => void (await createUpstream(ctx, REF, settings, "root")),
    again: () => resyncNamed(ctx, REF),
    async job() {
      const job = await findSyncJob(ctx, (await upstream()).job);
      if (!job) throw new Error("there is no job");
      return job;
    },
    async state() {
      const { number, tree, carried } = await headOf(ctx, await upstream());
      const rows = await Promise.all(
        (await readTree(ctx.objects, tree)).leaves.map((leaf) => readRows(ctx.objects, leaf)),
      );
      const packages = rows.flat().map(({ key }) => segmentsOf(key).at(-1) ?? "");
      return { number, tree, carried, packages };
    },
  };
}

async function deliver(ctx: MemoryContext, message: WorkerMessage): Promise<void> {
  switch (message.kind) {
    case "copy":
      return copyBatch(ctx, message.job, message.batch);
    case "sync":
      return syncUpstream(ctx, message);
    case "resync":
      return resyncNamed(ctx, message);
    case "repair-upstream":
      return repairUpstream(ctx, message);
    default:
      throw new Error(`no worker here for ${message.kind}`);
  }
}

/** Every blob that a commit's tree names is there. */
export async function expectWhole({ ctx, state }: SyncBench): Promise<void> {
  const { tree } = await state();
  for (const leaf of (await readTree(ctx.objects, tree)).leaves) {
    for (const { files } of await readRows(ctx.objects, leaf)) {
      for (const { sha256 } of files) expect(ctx.blobs.held.has(sha256)).toBe(true);
    }
  }
}
