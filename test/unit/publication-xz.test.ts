import { beforeEach, expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { headOf } from "../../shared/commit.ts";
import { decompress } from "../../shared/compression.ts";
import { type Manifest, readManifest } from "../../shared/publication/manifest.ts";
import { publishedOf, publishRepo } from "../../shared/publication/publish.ts";
import { changeRepo } from "../../shared/repo/alter.ts";
import type { RepoRef } from "../../shared/repo/repo.ts";
import { keys } from "../../shared/store/keys.ts";
import { readTree } from "../../shared/tree/root.ts";
import type { MemoryContext } from "../support/memory-context.ts";
import { commitPackages, expectPublished, packageEntry, repoInMemory, repoOf } from "../support/memory-repos.ts";

const XZ = { indexes: ["gz" as const, "xz" as const] };
const MANY = Array.from({ length: 3000 }, (_, number) => `p${String(number).padStart(5, "0")}`);

let calls: string[];
beforeEach(() => {
  calls = [];
});

async function repoOfMany(type: "apt" | "yum", settings = {}): Promise<{ ctx: MemoryContext; ref: RepoRef }> {
  const { ctx, ref } = await repoInMemory(type, settings);
  await commitPackages(
    ctx,
    ref,
    MANY.map((name) => packageEntry(type, name)),
  );
  ctx.after = (_, name) => void calls.push(name);
  return { ctx, ref };
}

async function publish(ctx: MemoryContext, ref: RepoRef): Promise<Manifest> {
  ctx.clock.ms += 5_000;
  ctx.writes.length = 0;
  calls = [];
  await publishRepo(ctx, ref);
  await expectPublished(ctx, ref);
  const published = await publishedOf(ctx, await repoOf(ctx, ref));
  if (!published) throw new Error("nothing is published");
  return readManifest(ctx, published.manifest);
}

const PACKAGES = "dists/stable/main/binary-amd64/Packages";
/** A block begins with the length of its header, and that both sizes are in it. */
const isBlock = (bytes: Uint8Array) => bytes[0] !== 0 && bytes[1] === 0xc0;
const remembered = (ctx: MemoryContext) => ctx.writes.filter((write) => write.startsWith("table.put xz#"));

test.each([
  ["apt", 1],
  ["yum", 3],
] as const)(
  "an index of an %s repo in xz holds what the one in gz holds, under the hash that is noted",
  async (type, filled) => {
    const { ctx, ref } = await repoOfMany(type, XZ);
    const { indexes } = await publish(ctx, ref);
    let larger = 0;
    for (const { packed, plain, xz } of Object.values(indexes)) {
      if (!xz) throw new Error("an index is not there in xz");
      const bytes = await ctx.objects.getBlob(xz.sha256);
      expect(bytes.length).toBe(xz.sizeBytes);
      const text = await decompress("xz", bytes, { maxBytes: plain.sizeBytes });
      expect([sha256Of(text), text.length]).toEqual([plain.sha256, plain.sizeBytes]);
      if (plain.sizeBytes > 10_000) larger += 1;
      expect(packed.sha256).not.toBe(xz.sha256);
    }
    expect(larger).toBe(filled);
  },
);

test("a package more makes the block that it is in, from that of before", async () => {
  const { ctx, ref } = await repoOfMany("apt", XZ);
  const first = await publish(ctx, ref);
  expect(remembered(ctx)).toHaveLength(1);
  await commitPackages(ctx, ref, [packageEntry("apt", `${MANY[1500]}a`)]);
  const { indexes } = await publish(ctx, ref);
  expect(remembered(ctx)).toHaveLength(1);
  // The block, the index in gz and in xz, the three of the suite, the manifest.
  expect(calls.filter((name) => name === "objects.putBlob")).toHaveLength(7);
  // Whether the block is there, and where that of before is.
  expect(calls.filter((name) => name === "table.getMany")).toHaveLength(2);
  const sizes = [first, { indexes }].map((manifest) => manifest.indexes[PACKAGES]?.xz?.sizeBytes ?? 0);
  expect(Math.abs((sizes[1] ?? 0) - (sizes[0] ?? 0))).toBeLessThan(100);
});

test("a block of an index that is not there, or is damaged, is made from its text alone", async () => {
  const { ctx, ref } = await repoOfMany("apt", XZ);
  for (const name of ["one", "two"]) {
    await publish(ctx, ref);
    if (name === "one") for (const [sha256, bytes] of ctx.blobs.held) if (isBlock(bytes)) ctx.blobs.damage(sha256, 40);
    for (const key of name === "two" ? [...ctx.table.items.keys()] : [])
      if (key.startsWith("xz#")) ctx.table.items.delete(key);
    await commitPackages(ctx, ref, [packageEntry("apt", name)]);
    const { indexes } = await publish(ctx, ref);
    const { xz, plain } = indexes[PACKAGES] ?? {};
    if (!xz || !plain) throw new Error("no index in xz");
    const text = await decompress("xz", await ctx.objects.getBlob(xz.sha256), { maxBytes: plain.sizeBytes });
    expect(sha256Of(text)).toBe(plain.sha256);
  }
});

test("blocks of single fragments, as they were remembered before, are left alone", async () => {
  const { ctx, ref } = await repoOfMany("apt", XZ);
  const { tree } = await headOf(ctx, await repoOf(ctx, ref));
  for (const { fragments } of (await readTree(ctx.objects, tree)).leaves) {
    const old = { block: sha256Of("gone"), unpaddedBytes: 9, plainBytes: fragments.Packages?.plainBytes ?? 0 };
    await ctx.table.put({ ...keys.xzBlock(fragments.Packages?.sha256 ?? sha256Of("")), ...old });
  }
  const { indexes } = await publish(ctx, ref);
  const { xz, plain } = indexes[PACKAGES] ?? {};
  const text = await decompress("xz", await ctx.objects.getBlob(xz?.sha256 ?? sha256Of("")), { maxBytes: 1 << 20 });
  expect(sha256Of(text)).toBe(plain?.sha256);
});

test("another publication of the same leaves compresses none, and is the same", async () => {
  const { ctx, ref } = await repoOfMany("apt", XZ);
  const first = await publish(ctx, ref);
  await commitPackages(ctx, ref, [packageEntry("apt", "more")]);
  await publish(ctx, ref);
  const repo = await changeRepo(ctx, await repoOf(ctx, ref), { indexes: ["gz"] });
  await publish(ctx, ref);
  await changeRepo(ctx, repo, XZ);
  const again = await publish(ctx, ref);
  expect(remembered(ctx)).toEqual([]);
  expect(Object.keys(again.indexes)).toEqual(Object.keys(first.indexes));
});

test("a repo without xz asks for no block and writes none, and lists none any more", async () => {
  const { ctx, ref } = await repoOfMany("apt", XZ);
  await publish(ctx, ref);
  await changeRepo(ctx, await repoOf(ctx, ref), { indexes: ["gz"] });
  const { indexes } = await publish(ctx, ref);
  expect(Object.values(indexes).filter(({ xz }) => xz)).toEqual([]);
  expect(calls).not.toContain("table.getMany");
  expect(String(ctx.pointers.get("pointers/apt/tools/dists/stable/Release")?.bytes)).not.toContain(".xz");
  // The three of the suite and the manifest: no index is written anew.
  expect(calls.filter((name) => name === "objects.putBlob")).toHaveLength(4);

  await commitPackages(ctx, ref, [packageEntry("apt", "more")]);
  await publish(ctx, ref);
  expect(calls).not.toContain("table.getMany");
  expect(remembered(ctx)).toEqual([]);
});

test("a publisher that dies among the blocks leaves those it made to the next", async () => {
  const { ctx, ref } = await repoOfMany("apt", XZ);
  await commitPackages(ctx, ref, [packageEntry("apt", "other", "testing")]);
  ctx.after = (_, name) => {
    if (name === "table.put" && remembered(ctx).length === 1) throw new Error("died");
  };
  ctx.clock.ms += 5_000;
  ctx.writes.length = 0;
  await expect(publishRepo(ctx, ref)).rejects.toThrow("died");
  const [made] = remembered(ctx);
  ctx.after = () => {};
  await publish(ctx, ref);
  expect(remembered(ctx)).toHaveLength(1);
  expect(remembered(ctx)).not.toContain(made);
});

test("a block that is needed and is damaged where it lies is refused", async () => {
  const { ctx, ref } = await repoOfMany("apt", XZ);
  await publish(ctx, ref);
  const repo = await changeRepo(ctx, await repoOf(ctx, ref), { indexes: ["gz"] });
  await publish(ctx, ref);
  for (const [sha256, bytes] of ctx.blobs.held) if (isBlock(bytes)) ctx.blobs.damage(sha256, 40);
  await changeRepo(ctx, repo, XZ);
  ctx.clock.ms += 5_000;
  await expect(publishRepo(ctx, ref)).rejects.toThrow(/is damaged/);
});
