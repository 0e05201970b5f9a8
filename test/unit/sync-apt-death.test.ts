import { describe, expect, test } from "vitest";
import { readCarried } from "../../shared/tree/carried.ts";
import { expectWhole, openSyncBench, type SyncBench } from "../support/sync-memory.ts";
import { aptFilesOf, fetcherOver, type SiteFiles } from "../support/sync-memory-site.ts";

const DEATH = new Error("the process died here");
const ORIGIN = "http://lab.test";
const SETTINGS = { path: ORIGIN, series: ["stable"], extras: ["translations" as const] };

const FIRST = { alpha: "alpha one", beta: "beta one", gamma: "gamma one" };
const SECOND = { alpha: "alpha two", beta: "beta one", delta: "delta one" };

type Side = "before" | "after";
const SIDES: readonly Side[] = ["before", "after"];

/** Dies at the Nth call of the worker, before its effect or behind it, and at every one that follows; tells whether it came so far. */
async function dieAt({ ctx, drain }: SyncBench, wanted: number, side: Side): Promise<boolean> {
  let died = false;
  ctx.calls = 0;
  ctx[side] = (call) => {
    if (call < wanted) return;
    died = true;
    throw DEATH;
  };
  await drain().catch((error: unknown) => {
    if (error !== DEATH) throw error;
  });
  return died;
}

/**
 * At every call there is: dies, starts anew with the messages that nobody had seen to, and must come to the same state as without.
 * Answers how many calls there were.
 */
async function diesAnywhere(from: SyncBench, side: Side, filesOf: () => (path: string) => SiteFiles): Promise<number> {
  const fetcher = () => fetcherOver(ORIGIN, filesOf());
  const whole = from.restarted(fetcher());
  await whole.drain();
  const expected = await whole.state();
  for (let call = 1; ; call += 1) {
    const dying = from.restarted(fetcher());
    if (!(await dieAt(dying, call, side))) return call - 1;
    const next = dying.restarted();
    await next.drain();
    expect([call, await next.state()]).toEqual([call, expected]);
    expect([call, (await next.job()).state]).toEqual([call, "done"]);
    await expectWhole(next);
    for (const { sha256 } of await readCarried(next.ctx.objects, expected.carried)) {
      expect(next.ctx.blobs.held.has(sha256)).toBe(true);
    }
    // Nothing is new: what was committed is known as such.
    await next.again();
    await next.drain();
    expect((await next.state()).number).toBe(expected.number);
  }
}

async function benchOf(packages: Readonly<Record<string, string>>, options = {}): Promise<SyncBench> {
  const bench = openSyncBench(
    fetcherOver(ORIGIN, () => aptFilesOf(packages)),
    options,
  );
  await bench.make(SETTINGS);
  return bench;
}

describe.each(SIDES)("a sync that died %s any of its calls", (side) => {
  test("is completed by the messages that are left", async () => {
    const bench = await benchOf(FIRST);
    expect(await diesAnywhere(bench, side, () => () => aptFilesOf(FIRST))).toBeGreaterThan(25);
  });

  test("is completed also where each message comes twice", async () => {
    const bench = await benchOf(FIRST, { twice: true });
    await diesAnywhere(bench, side, () => () => aptFilesOf(FIRST));
  });

  test("is completed where its files had to be read to learn what they are", async () => {
    const bench = await benchOf(FIRST);
    expect(await diesAnywhere(bench, side, () => () => aptFilesOf(FIRST, "MD5sum"))).toBeGreaterThan(40);
  });

  test("is completed where there was a commit before", async () => {
    const bench = await benchOf(FIRST);
    await bench.drain();
    await bench.again();
    expect(await diesAnywhere(bench, side, () => () => aptFilesOf(SECOND))).toBeGreaterThan(25);
  });

  test("is completed with the new content where the upstream was replaced while it was copied", async () => {
    const bench = await benchOf(FIRST);
    const replaced = () => {
      let files = aptFilesOf(FIRST);
      return (path: string) => {
        if (path === "pool/gamma.deb") files = aptFilesOf(SECOND);
        return files;
      };
    };
    expect(await diesAnywhere(bench, side, replaced)).toBeGreaterThan(40);
  });
});

test("a sync fetches nothing again that was stored before it died", async () => {
  const bench = await benchOf(FIRST);
  const fetched: string[] = [];
  const fetcher = fetcherOver(ORIGIN, (path) => {
    fetched.push(path);
    return aptFilesOf(FIRST);
  });
  const packages = () => fetched.filter((path) => path.startsWith("pool/"));
  const dying = bench.restarted(fetcher);
  dying.ctx.after = (_, name) => {
    if (name === "objects.putBlob" && packages().length === 3) throw DEATH;
  };
  await expect(dying.drain()).rejects.toBe(DEATH);
  expect(packages()).toHaveLength(3);
  const stored = dying.ctx.blobs.held.size;
  const next = dying.restarted();
  await next.drain();
  expect((await next.job()).state).toBe("done");
  expect(stored).toBeGreaterThan(3);
  expect(packages()).toHaveLength(3);
});
