import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Context } from "../../shared/context.ts";
import { publishedOf, publishRepo } from "../../shared/publication/publish.ts";
import { Underway } from "../../shared/publication/underway.ts";
import { commitPackages, expectPublished, packageEntry, repoInMemory, repoOf } from "../support/memory-repos.ts";

const isPacked = (bytes: Uint8Array) => bytes[0] === 0x1f && bytes[1] === 0x8b;
const isInRelease = (bytes: Uint8Array) => Buffer.from(bytes).toString().startsWith("-----BEGIN PGP SIGNED");

/** A repo of which one package more is to be published, by a process whose indexes are stored when `gate` lets them. */
async function changedRepo(gate: Promise<void>) {
  const { ctx, ref } = await repoInMemory("apt");
  await commitPackages(ctx, ref, [packageEntry("apt", "hello")]);
  await publishRepo(ctx, ref);
  await commitPackages(ctx, ref, [packageEntry("apt", "world")]);
  ctx.clock.ms += 5_000;
  ctx.writes.length = 0;
  let isSigned = false;
  const putBlob: Context["objects"]["putBlob"] = async (bytes, sha256) => {
    if (isPacked(bytes)) await gate;
    if (isInRelease(bytes)) isSigned = true;
    return ctx.objects.putBlob(bytes, sha256);
  };
  const publishing = publishRepo({ ...ctx, objects: { ...ctx.objects, putBlob } }, ref);
  publishing.catch(() => {});
  const untilSigned = async () => {
    // Signing is done by other threads.
    for (let limit = performance.now() + 10_000; !isSigned && performance.now() < limit; ) await turn();
    for (let turns = 0; turns < 50; turns += 1) await turn();
    expect(isSigned).toBe(true);
  };
  return { ctx, ref, publishing, untilSigned };
}

test("Release is signed while the index is on its way to the store, and published when that is there", async () => {
  const gate = Promise.withResolvers<void>();
  const { ctx, ref, publishing, untilSigned } = await changedRepo(gate.promise);
  await untilSigned();
  expect(ctx.writes.filter((write) => !write.includes("putBlob"))).toEqual([]);
  gate.resolve();
  await publishing;
  await expectPublished(ctx, ref);
});

test("where the index cannot be stored nothing is published, and the next publisher does it", async () => {
  const gate = Promise.withResolvers<void>();
  const { ctx, ref, publishing, untilSigned } = await changedRepo(gate.promise);
  const before = await publishedOf(ctx, await repoOf(ctx, ref));
  await untilSigned();
  gate.reject(new Error("the store is full"));
  await expect(publishing).rejects.toThrow("the store is full");
  expect(ctx.writes.filter((write) => !write.includes("putBlob"))).toEqual([]);
  expect(await publishedOf(ctx, await repoOf(ctx, ref))).toEqual(before);
  await publishRepo(ctx, ref);
  await expectPublished(ctx, ref);
});

test("what is under way is waited for, and tells what failed to who waits", async () => {
  const underway = new Underway();
  await underway.stored();
  underway.add(Promise.resolve());
  await underway.stored();
  underway.add(Promise.reject(new Error("full")));
  await turn();
  await expect(underway.stored()).rejects.toThrow("full");
});
