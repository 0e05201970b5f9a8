import { expect, test } from "vitest";
import { findSyncJob, putSyncJob } from "../../shared/job/sync-job.ts";
import type { WorkerMessage } from "../../shared/queue/sqs.ts";
import { keys } from "../../shared/store/keys.ts";
import {
  createUpstream,
  deleteUpstream,
  findUpstream,
  listUpstreams,
  repairUpstream,
  resyncNamed,
  resyncUpstream,
  syncAgain,
  type Upstream,
  type UpstreamSettings,
} from "../../shared/sync/upstream.ts";
import { type MemoryContext, memoryContext } from "../support/memory-context.ts";

const REF = { type: "apt", name: "lab" } as const;
const SCHEDULE = "upstream-apt-lab";
const DAILY = { path: "http://lab.test/debian", schedule: "rate(1 day)" };

const made = (ctx: MemoryContext, settings: UpstreamSettings = DAILY) => createUpstream(ctx, REF, settings, "root");
async function found(ctx: MemoryContext): Promise<Upstream> {
  const upstream = await findUpstream(ctx, REF);
  if (!upstream) throw new Error("there is no upstream");
  return upstream;
}
async function endJob(ctx: MemoryContext, state: "done" | "failed" = "done"): Promise<void> {
  const job = await findSyncJob(ctx, (await found(ctx)).job);
  if (!job) throw new Error("there is no job");
  await putSyncJob(ctx, { ...job, state, phase: "end" });
}
const kinds = (ctx: MemoryContext) => ctx.sent.map((message) => (message as WorkerMessage).kind);

/** Listing, schedule and job are what the item says. */
async function expectInStep(ctx: MemoryContext): Promise<void> {
  const upstream = await findUpstream(ctx, REF);
  expect((await listUpstreams(ctx)).upstreams).toEqual(upstream ? [REF] : []);
  const schedule = upstream?.schedule && { expression: upstream.schedule, message: { kind: "resync", ...REF } };
  expect(ctx.planned.get(SCHEDULE)).toEqual(schedule || undefined);
  if (upstream) expect(await findSyncJob(ctx, upstream.job)).toMatchObject({ upstream: { id: upstream.id } });
}

const synced = async (ctx: MemoryContext, settings: UpstreamSettings = DAILY) => {
  await made(ctx, settings);
  await endJob(ctx);
};

const DEATH = new Error("the process died here");
const SIDES = ["before", "after"] as const;
const WORK: [string, (ctx: MemoryContext) => Promise<unknown>, (ctx: MemoryContext) => Promise<unknown>][] = [
  ["making one", async () => {}, made],
  [
    "giving it a schedule",
    (ctx) => synced(ctx, { path: DAILY.path }),
    async (ctx) => resyncUpstream(ctx, await found(ctx), DAILY),
  ],
  [
    "another schedule while it syncs",
    made,
    async (ctx) => resyncUpstream(ctx, await found(ctx), { schedule: "rate(2 hours)" }),
  ],
  ["another schedule", synced, async (ctx) => resyncUpstream(ctx, await found(ctx), { schedule: "rate(2 hours)" })],
  ["ending its schedule", synced, async (ctx) => resyncUpstream(ctx, await found(ctx), { schedule: null })],
  ["removing it", synced, async (ctx) => deleteUpstream(ctx, await found(ctx))],
];
test.each(WORK.flatMap(([what, ready, work]) => SIDES.map((side) => [what, side, ready, work] as const)))(
  "%s that dies %s any call is in step again after the reminder",
  async (_, side, ready, work) => {
    const start = memoryContext();
    await ready(start);
    const sent = (await findUpstream(start, REF))?.job;
    for (let wanted = 1; ; wanted += 1) {
      const dying = start.restarted();
      let died = false;
      dying[side] = (call) => {
        if (call < wanted) return;
        died = true;
        throw DEATH;
      };
      await work(dying).catch((error: unknown) => {
        if (error !== DEATH) throw error;
      });
      const next = dying.restarted();
      if (!died) {
        await expectInStep(dying.restarted());
        expect(wanted).toBeGreaterThan(3);
        return;
      }
      const reminders = dying.sent.filter((message) => (message as WorkerMessage).kind === "repair-upstream");
      for (const _message of reminders) await repairUpstream(next, REF);
      await expectInStep(next);
      const upstream = await findUpstream(next, REF);
      const job = upstream && (await findSyncJob(next, upstream.job));
      // What was to be synced is synced, by whoever sends the message.
      if (job?.state === "queued" && job.id !== sent) expect([...kinds(dying), ...kinds(next)]).toContain("sync");
    }
  },
);

test("a schedule's message starts a new sync, also after one that failed, and leaves a running one alone", async () => {
  const ctx = memoryContext();
  const { job, updatedAt } = await made(ctx);
  await resyncNamed(ctx, REF);
  expect((await found(ctx)).job).toBe(job);
  await endJob(ctx, "failed");
  ctx.clock.ms += 60_000;
  await resyncNamed(ctx, REF);
  const next = await found(ctx);
  expect(next.job).not.toBe(job);
  expect(next.updatedAt).toBe(updatedAt);
  expect(kinds(ctx).filter((kind) => kind === "sync")).toHaveLength(2);
  await expectInStep(ctx);
});

test("a schedule's message for an upstream that is no more removes the schedule", async () => {
  const ctx = memoryContext();
  await ctx.schedules.put(SCHEDULE, { expression: "rate(1 day)", message: { kind: "resync", ...REF } });
  await resyncNamed(ctx, REF);
  expect(ctx.planned.size).toBe(0);
});

test("a sync that waits while its upstream is removed has failed, and its job says why", async () => {
  const ctx = memoryContext();
  const upstream = await made(ctx);
  await deleteUpstream(ctx, upstream);
  expect(await findSyncJob(ctx, upstream.job)).toMatchObject({
    state: "failed",
    errors: [{ message: "upstream lab was removed" }],
  });
});

test("a deletion that lost its time to one who makes it anew leaves the new one its schedule", async () => {
  const ctx = memoryContext();
  const old = await made(ctx);
  ctx.before = async (_, name) => {
    if (name !== "schedules.delete") return;
    ctx.before = () => {};
    await made(ctx);
  };
  await deleteUpstream(ctx, old);
  expect((await found(ctx)).id).not.toBe(old.id);
  await expectInStep(ctx);
});

test.each(["done", "failed"] as const)("what was changed while a sync ran is synced when it is %s", async (state) => {
  const ctx = memoryContext();
  const { job } = await made(ctx);
  const changed = await resyncUpstream(ctx, await found(ctx), { components: ["main"] });
  expect(changed).toMatchObject({ job, components: ["main"] });
  await repairUpstream(ctx, REF);
  expect((await found(ctx)).job).toBe(job);
  // It looks again until that sync has ended.
  expect(kinds(ctx).at(-1)).toBe("repair-upstream");
  await endJob(ctx, state);
  await repairUpstream(ctx, REF);
  const next = await found(ctx);
  expect(next.job).not.toBe(job);
  expect(next.outdated).toBeUndefined();
  expect(kinds(ctx)).toContain("sync");
  await endJob(ctx);
  expect(await syncAgain(ctx, REF)).toBeUndefined();
});

test.each([
  [{}, false],
  [{ path: "http://lab.test/debian" }, false],
  [{ schedule: "rate(3 days)" }, false],
  [{ series: ["sid"] }, true],
  [{ path: "http://user:secret@lab.test/debian" }, true],
] satisfies [UpstreamSettings, boolean][])(
  "while a sync runs, a PUT of %j makes another one due: %s",
  async (settings, due) => {
    const ctx = memoryContext();
    await made(ctx);
    expect((await resyncUpstream(ctx, await found(ctx), settings)).outdated !== undefined).toBe(due);
  },
);

test("a sync that ends while the settings are being changed is followed by another at once", async () => {
  const ctx = memoryContext();
  const { job } = await made(ctx);
  const known = await found(ctx);
  ctx.before = async (_, name) => {
    if (name !== "table.update") return;
    ctx.before = () => {};
    await endJob(ctx);
  };
  expect((await resyncUpstream(ctx, known, { components: ["main"] })).job).not.toBe(job);
});

test("two changes at once both land", async () => {
  const ctx = memoryContext();
  const known = await made(ctx);
  await Promise.all([
    resyncUpstream(ctx, known, { include: ["a*"] }),
    resyncUpstream(ctx, known, { exclude: ["b*"] }),
    resyncUpstream(ctx, known, { schedule: null }),
  ]);
  expect(await found(ctx)).toMatchObject({ include: ["a*"], exclude: ["b*"], version: 4 });
  await expectInStep(ctx);
});

test("a change loses nothing of what a worker tells of a sync meanwhile", async () => {
  const ctx = memoryContext();
  await made(ctx);
  await ctx.table.update(keys.repo("apt", "lab"), { set: { bytes: 3 } });
  const known = await found(ctx);
  await ctx.table.update(keys.repo("apt", "lab"), { set: { bytes: 7, lastSynced: "2026-11-21T12:00:00.000Z" } });
  await resyncUpstream(ctx, known, { include: ["a*"] });
  expect(await found(ctx)).toMatchObject({ include: ["a*"], bytes: 7, lastSynced: "2026-11-21T12:00:00.000Z" });
});

test("a path without credentials takes the place of one with them", async () => {
  const ctx = memoryContext();
  await made(ctx, { path: "http://user:secret@lab.test/debian" });
  expect(await found(ctx)).toMatchObject({ path: "http://lab.test/debian", credentials: expect.anything() });
  await resyncUpstream(ctx, await found(ctx), { include: ["a*"] });
  expect((await found(ctx)).credentials).toBeDefined();
  await resyncUpstream(ctx, await found(ctx), { path: "http://lab.test/debian" });
  expect((await found(ctx)).credentials).toBeUndefined();
});

test("on_demand is refused where apt would have to go from https to http, and extras where there are none", async () => {
  const ctx = { ...memoryContext(), publicUrl: "https://packages.example.org" };
  const onDemand = { policy: "on_demand", path: "http://lab.test/debian" } as const;
  await expect(createUpstream(ctx, REF, onDemand, "root")).rejects.toMatchObject({
    kind: "unprocessable",
    message: expect.stringContaining("give an https path"),
  });
  const upstream = await createUpstream(ctx, REF, { ...onDemand, path: "https://lab.test/debian" }, "root");
  await expect(resyncUpstream(ctx, upstream, { path: "http://lab.test/" })).rejects.toMatchObject({
    kind: "unprocessable",
  });
  await expect(resyncUpstream(ctx, upstream, { policy: "immediate", path: "http://lab.test/" })).resolves.toBeDefined();
  const yum = { type: "yum", name: "lab" } as const;
  await expect(createUpstream(ctx, yum, { extras: ["dep11"] }, "root")).rejects.toMatchObject({
    kind: "unprocessable",
  });
  await expect(createUpstream(ctx, yum, { schedule: "cron(0 0 1 1 ? 2020)" }, "root")).rejects.toMatchObject({
    kind: "invalid",
    message: "schedule cron(0 0 1 1 ? 2020) never comes again",
  });
});
