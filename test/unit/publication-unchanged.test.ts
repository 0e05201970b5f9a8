import { expect, test } from "vitest";
import { publishRepo } from "../../shared/publication/publish.ts";
import { changeRepo } from "../../shared/repo/alter.ts";
import { commitPackages, expectPublished, packageEntry, repoInMemory, repoOf, TYPES } from "../support/memory-repos.ts";

const pointersWritten = (writes: readonly string[]) =>
  writes.filter((write) => write.startsWith("objects.putPointer")).map((write) => write.split(" ")[1]);

test.each(TYPES)("publishing an %s repo again where nothing changed writes nothing", async (type) => {
  const { ctx, ref } = await repoInMemory(type);
  await publishRepo(ctx, ref);
  await expectPublished(ctx, ref);
  ctx.clock.ms += 5_000;
  ctx.writes.length = 0;
  await publishRepo(ctx, ref);
  expect(ctx.writes).toEqual([]);
});

test.each([
  ["apt", ["Release", "Release.gpg", "InRelease"].map((name) => `dists/stable/${name}`)],
  ["yum", ["repodata/repomd.xml", "repodata/repomd.xml.asc", "mirrorlist"]],
  ["dir", ["index.json", "index.html", "SHA256SUMS", "SHA256SUMS.asc"]],
] as const)("a package more in an %s repo rewrites what names it, and no key file", async (type, paths) => {
  const { ctx, ref } = await repoInMemory(type);
  await publishRepo(ctx, ref);
  await commitPackages(ctx, ref, [packageEntry(type, "hello")]);
  ctx.clock.ms += 5_000;
  ctx.writes.length = 0;
  await publishRepo(ctx, ref);
  await expectPublished(ctx, ref);
  expect(pointersWritten(ctx.writes)).toEqual(paths);
});

test("a package in one suite leaves the other suites' files as they are", async () => {
  const { ctx, ref } = await repoInMemory("apt");
  await commitPackages(ctx, ref, [packageEntry("apt", "hello"), packageEntry("apt", "hello", "testing")]);
  await publishRepo(ctx, ref);
  await commitPackages(ctx, ref, [packageEntry("apt", "more", "testing")]);
  ctx.clock.ms += 5_000;
  ctx.writes.length = 0;
  await publishRepo(ctx, ref);
  await expectPublished(ctx, ref);
  expect(pointersWritten(ctx.writes).filter((path) => path?.includes("/stable/"))).toEqual([]);
  expect(pointersWritten(ctx.writes)).toContain("dists/testing/InRelease");
});

test("changes that came since the last publication share the next", async () => {
  const { ctx, ref } = await repoInMemory("apt");
  await publishRepo(ctx, ref);
  for (const name of ["a", "b", "c", "d"]) await commitPackages(ctx, ref, [packageEntry("apt", name)]);
  ctx.clock.ms += 5_000;
  ctx.writes.length = 0;
  await publishRepo(ctx, ref);
  await publishRepo(ctx, ref);
  await expectPublished(ctx, ref);
  expect(pointersWritten(ctx.writes)).toHaveLength(3);
});

test("changed settings are published, though no package changed", async () => {
  const { ctx, ref } = await repoInMemory("apt");
  await publishRepo(ctx, ref);
  ctx.clock.ms += 5_000;
  await changeRepo(ctx, await repoOf(ctx, ref), { architectures: ["amd64", "riscv64"] });
  await publishRepo(ctx, ref);
  await expectPublished(ctx, ref);
  expect(String(ctx.pointers.get("pointers/apt/tools/dists/stable/Release")?.bytes)).toContain(
    "Architectures: amd64 riscv64",
  );
});
