import { expect, test } from "vitest";
import { publishedOf, publishRepo } from "../../shared/publication/publish.ts";
import {
  commitPackages,
  expectPublished,
  expectRisingDates,
  packageEntry,
  repoInMemory,
  repoOf,
  TYPES,
} from "../support/memory-repos.ts";

test.each(TYPES)("the date of each %s repo rises with each publication, also when our clock stumbles", async (type) => {
  const { ctx, ref } = await repoInMemory(type);
  expectRisingDates(ctx);
  await publishRepo(ctx, ref);
  const dates = [];
  for (const shift of [5_000, -900, 1_000, 7_200_000]) {
    ctx.clock.ms += shift;
    await commitPackages(ctx, ref, [packageEntry(type, `p${dates.length}`)]);
    await publishRepo(ctx, ref);
    await expectPublished(ctx, ref);
    dates.push((await publishedOf(ctx, await repoOf(ctx, ref)))?.date ?? 0);
  }
  expect(dates).toEqual([...new Set(dates)].sort((a, b) => a - b));
});

test("where our clock went back for long, nothing is dated ahead of it: the repo waits until it has caught up", async () => {
  const { ctx, ref } = await repoInMemory("apt");
  expectRisingDates(ctx);
  await publishRepo(ctx, ref);
  await commitPackages(ctx, ref, [packageEntry("apt", "hello")]);
  ctx.clock.ms -= 60_000;
  ctx.writes.length = 0;
  await expect(publishRepo(ctx, ref)).rejects.toThrow(/ahead of this clock/);
  expect(ctx.writes).toEqual([]);
  ctx.clock.ms += 65_000;
  await publishRepo(ctx, ref);
  await expectPublished(ctx, ref);
});

test("what is published says the time of now", async () => {
  const { ctx, ref } = await repoInMemory("apt");
  await publishRepo(ctx, ref);
  const release = String(ctx.pointers.get("pointers/apt/tools/dists/stable/Release")?.bytes);
  expect(release).toContain("Date: Sat, 21 Nov 2026 12:00:00");
});

test("no two publications of a repo come within a second", async () => {
  const { ctx, ref } = await repoInMemory("apt");
  await publishRepo(ctx, ref);
  await commitPackages(ctx, ref, [packageEntry("apt", "hello")]);
  const start = performance.now();
  ctx.clock.ms += 700;
  await publishRepo(ctx, ref);
  // The clock of the test stands still: what is left of the second passes on the real one.
  expect(performance.now() - start).toBeGreaterThan(290);
});
