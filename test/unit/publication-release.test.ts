import { expect, test } from "vitest";
import { parseRelease } from "../../shared/apt/release.ts";
import { commitSameTree, commitTree, headOf } from "../../shared/commit.ts";
import { fileIn, readManifest } from "../../shared/publication/manifest.ts";
import { publishedOf, publishRepo } from "../../shared/publication/publish.ts";
import type { RepoRef, RepoSettings } from "../../shared/repo/repo.ts";
import { type CarriedFile, writeCarried } from "../../shared/tree/carried.ts";
import type { Entry } from "../../shared/tree/entry.ts";
import type { MemoryContext } from "../support/memory-context.ts";
import { commitPackages, expectPublished, packageEntry, repoInMemory, repoOf } from "../support/memory-repos.ts";

const HOUR = 3600;

const pointerText = (ctx: MemoryContext, path: string) => String(ctx.pointers.get(`pointers/${path}`)?.bytes);
const releaseOf = (ctx: MemoryContext, suite = "stable") =>
  parseRelease(pointerText(ctx, `apt/tools/dists/${suite}/Release`));
const typesOf = (ctx: MemoryContext) => /^Types: (.*)$/m.exec(pointerText(ctx, "apt/tools/packhouse.sources"))?.[1];

async function publish(ctx: MemoryContext, ref: RepoRef): Promise<void> {
  ctx.clock.ms += 5_000;
  ctx.writes.length = 0;
  await publishRepo(ctx, ref);
  await expectPublished(ctx, ref);
}

async function aptRepo(settings: RepoSettings = {}): Promise<{ ctx: MemoryContext; ref: RepoRef }> {
  const made = await repoInMemory("apt", settings);
  await publish(made.ctx, made.ref);
  return made;
}

async function carry(ctx: MemoryContext, ref: RepoRef, files: readonly CarriedFile[]): Promise<void> {
  const repo = await repoOf(ctx, ref);
  const carried = await writeCarried(ctx.objects, files);
  await commitTree(ctx, repo, { ...(await headOf(ctx, repo)), carried }, { by: "somebody", message: "carry" });
}

async function stored(ctx: MemoryContext, text: string): Promise<Pick<CarriedFile, "sha256" | "sizeBytes">> {
  return { sha256: await ctx.objects.putBlob(Buffer.from(text)), sizeBytes: Buffer.byteLength(text) };
}

function sourceEntry(name: string, suite = "stable"): Entry {
  const { files } = packageEntry("apt", name);
  const chunk = Buffer.from(`Package: ${name}\nDirectory: source/x\n\n`);
  return { key: `${suite}/main/source/${name}_1`, files, chunks: { Sources: chunk } };
}

test("a Release ends to be valid so long after its date as was asked, and without a wish never", async () => {
  const asked = await aptRepo({ valid_for: 2 * HOUR });
  const { date, validUntil } = releaseOf(asked.ctx);
  expect(Number(validUntil) - Number(date)).toBe(2 * HOUR * 1000);
  expect(releaseOf((await aptRepo()).ctx).validUntil).toBeUndefined();
});

test("a commit of the same tree makes every suite valid for longer, and without a wish writes none anew", async () => {
  const paths = (ctx: MemoryContext) => ctx.writes.filter((write) => write.includes("putPointer")).length;
  for (const [settings, written] of [
    [{ valid_for: 2 * HOUR }, 6],
    [{}, 0],
  ] as const) {
    const { ctx, ref } = await repoInMemory("apt", settings);
    await commitPackages(ctx, ref, [packageEntry("apt", "hello"), packageEntry("apt", "hello", "testing")]);
    await publish(ctx, ref);
    const before = releaseOf(ctx, "testing").validUntil;
    await commitSameTree(ctx, await repoOf(ctx, ref), "sign anew");
    await publish(ctx, ref);
    expect([settings, paths(ctx)]).toEqual([settings, written]);
    if (before) expect(Number(releaseOf(ctx, "testing").validUntil)).toBeGreaterThan(Number(before));
    await publish(ctx, ref);
    expect(ctx.writes).toEqual([]);
  }
});

test("packhouse.sources tells apt of sources as soon as there are any, or where they are an architecture", async () => {
  const { ctx, ref } = await aptRepo();
  expect(typesOf(ctx)).toBe("deb");
  await commitPackages(ctx, ref, [sourceEntry("hello")]);
  await publish(ctx, ref);
  expect(typesOf(ctx)).toBe("deb deb-src");
  const declared = await aptRepo({ architectures: ["amd64", "source"] });
  expect(typesOf(declared.ctx)).toBe("deb deb-src");
  expect(releaseOf(declared.ctx).architectures).toEqual(["amd64"]);
  expect(releaseOf(declared.ctx).files.map(({ path }) => path)).not.toContain("main/binary-source/Packages");
});

test("a suite that has sources alone is published, with an index of them", async () => {
  const { ctx, ref } = await aptRepo();
  await commitPackages(ctx, ref, [sourceEntry("hello", "testing")]);
  await publish(ctx, ref);
  const listed = releaseOf(ctx, "testing").files.filter(({ path }) => path === "main/source/Sources");
  expect(listed.map(({ sizeBytes }) => sizeBytes)).toEqual([sourceEntry("hello").chunks.Sources?.length]);
});

test("a file beside the packages is listed in the Release of its suite alone, packed and unpacked, and found by its path", async () => {
  const { ctx, ref } = await aptRepo();
  const english = await stored(ctx, "packed");
  const gz = await stored(ctx, "in another way");
  const open = { openSha256: (await stored(ctx, "unpacked")).sha256, openSizeBytes: 8 };
  const path = "main/i18n/Translation-en";
  await carry(ctx, ref, [
    { suite: "stable", path: `${path}.xz`, ...english, ...open },
    { suite: "stable", path: `${path}.gz`, ...gz, ...open },
    { suite: "testing", path: "Contents-amd64", ...english },
  ]);
  await publish(ctx, ref);
  const listed = releaseOf(ctx).files.filter((file) => file.path.startsWith(path));
  expect(listed).toEqual([
    { path, sha256: open.openSha256, sizeBytes: 8 },
    { path: `${path}.gz`, ...gz },
    { path: `${path}.xz`, ...english },
  ]);
  expect(releaseOf(ctx, "testing").files.map((file) => file.path)).toContain("Contents-amd64");
  const published = await publishedOf(ctx, await repoOf(ctx, ref));
  if (!published) throw new Error("nothing is published");
  const manifest = await readManifest(ctx, published.manifest);
  expect(fileIn(manifest, `dists/stable/${path}.xz`)).toBe(english.sha256);
  expect(fileIn(manifest, "dists/testing/Contents-amd64")).toBe(english.sha256);
  expect(fileIn(manifest, "dists/stable/Contents-amd64")).toBeUndefined();
  expect(fileIn(manifest, `dists/stable/${path}`)).toBeUndefined();

  await carry(ctx, ref, []);
  await publish(ctx, ref);
  expect(releaseOf(ctx).files.filter((file) => file.path.startsWith(path))).toEqual([]);
});

test("an index of ours is never replaced by a file of an upstream under its path", async () => {
  const { ctx, ref } = await aptRepo();
  const own = releaseOf(ctx).files;
  const theirs = await stored(ctx, "Package: other\n\n");
  await carry(ctx, ref, [
    { suite: "stable", path: "main/binary-amd64/Packages", ...theirs },
    { suite: "stable", path: "main/binary-amd64/Packages.gz", ...theirs },
    { suite: "stable", path: "main/binary-amd64/Packages.bz2", ...theirs },
  ]);
  await publish(ctx, ref);
  expect(releaseOf(ctx).files).toEqual(own);
});

test("a manifest that was written before files were carried is read", async () => {
  const { ctx } = await aptRepo();
  const sha256 = await ctx.objects.putBlob(Buffer.from(JSON.stringify({ commit: 1, date: 2, files: [], indexes: {} })));
  const manifest = await readManifest(ctx, sha256);
  expect(fileIn(manifest, "dists/stable/main/binary-amd64/Packages.xz")).toBeUndefined();
});
