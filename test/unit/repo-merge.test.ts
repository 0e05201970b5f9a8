import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { commitTree, headOf } from "../../shared/commit.ts";
import { takeOver } from "../../shared/repo/change.ts";
import { mergeInto, type OnConflict } from "../../shared/repo/merge.ts";
import { type CarriedFile, readCarried, writeCarried } from "../../shared/tree/carried.ts";
import type { Entry } from "../../shared/tree/entry.ts";
import { type MemoryContext, memoryContext } from "../support/memory-context.ts";
import {
  BY,
  debEntry,
  entriesOfHead,
  hashesAnew,
  hold,
  newRepo,
  newUpstream,
  rpmEntry,
  sourceEntry,
} from "../support/memory-sets.ts";

const of = (entry: Entry) => `${decodeURIComponent(entry.key)} ${entry.files[0]?.sha256.slice(0, 6)}`;
const held = async (ctx: MemoryContext, chain: Parameters<typeof entriesOfHead>[1]) =>
  (await entriesOfHead(ctx, chain)).map(of);

const entries = fc.uniqueArray(
  fc
    .tuple(fc.nat(80), fc.constantFrom("a", "b"), fc.constantFrom("stable", "next"))
    .map(([number, holds, suite]) =>
      number < 10
        ? sourceEntry(`p${number}`, suite, holds)
        : debEntry(`p${number}`, { holds: `${number} ${holds}`, suite }),
    ),
  { selector: ({ key }) => key, maxLength: 40 },
);

test("a merge holds what any source holds, of a key that several have the first one's; its index by hash says the same", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(entries, { minLength: 1, maxLength: 4 }), async (sets) => {
      const ctx = memoryContext();
      const sources = await Promise.all(
        sets.map(async (set, index) => {
          const upstream = await newUpstream(ctx, "apt", `u${index}`);
          await hold(ctx, upstream, set);
          return upstream;
        }),
      );
      const repo = await newRepo(ctx, "apt", "tools");
      await hold(ctx, repo, [debEntry("of-before")]);
      const commit = await mergeInto(ctx, repo, sources, "first", BY);
      const union = new Map(sets.toReversed().flatMap((set) => set.map((entry) => [entry.key, entry])));
      expect(await entriesOfHead(ctx, repo)).toEqual([...union.values()].sort((a, b) => (a.key < b.key ? -1 : 1)));
      expect([commit.hashes, commit.count]).toEqual([await hashesAnew(ctx, repo), union.size]);
    }),
    { numRuns: 40 },
  );
});

/** Two upstreams that disagree on one package; the first was committed last. */
async function disagreeing() {
  const ctx = memoryContext();
  const [late, early] = [await newUpstream(ctx, "apt", "late"), await newUpstream(ctx, "apt", "early")];
  await hold(ctx, early, [debEntry("alpha", { holds: "early" }), debEntry("beta")]);
  ctx.clock.ms += 60_000;
  await hold(ctx, late, [debEntry("alpha", { holds: "late" }), debEntry("beta"), debEntry("gamma")]);
  const repo = await newRepo(ctx, "apt", "tools");
  return { ctx, repo, late, early };
}

test.each<[OnConflict, "late" | "early"]>([
  ["first", "early"],
  ["newest", "late"],
])("on_conflict %s takes the bytes of the %s one", async (onConflict, winner) => {
  const { ctx, repo, late, early } = await disagreeing();
  await mergeInto(ctx, repo, [early, late], onConflict, BY);
  const wanted = [debEntry("alpha", { holds: winner }), debEntry("beta"), debEntry("gamma")];
  expect(await held(ctx, repo)).toEqual(wanted.map(of));
  expect((await headOf(ctx, repo)).message).toBe("merge early@1, late@1");
});

test("refuse makes no commit, and tells up to 100 keys; equal bytes under one key are no conflict", async () => {
  const { ctx, repo, late, early } = await disagreeing();
  await expect(mergeInto(ctx, repo, [early, late], "refuse", BY)).rejects.toMatchObject({
    kind: "conflict",
    details: { conflicts: ["stable/main/amd64/alpha_1"] },
  });
  const many = (holds: string) =>
    Array.from({ length: 150 }, (_, index) => debEntry(`p${index}`, { holds: `${holds}${index}` }));
  await hold(ctx, early, many("x"));
  await hold(ctx, late, many("y"));
  const refused = await mergeInto(ctx, repo, [early, late], "refuse", BY).catch((error) => error);
  expect(refused.details.conflicts).toHaveLength(100);
  expect((await headOf(ctx, repo)).number).toBe(0);
  await hold(
    ctx,
    late,
    [debEntry("alpha", { holds: "early" })],
    many("y").map(({ key }) => key),
  );
  expect((await mergeInto(ctx, repo, [early, late], "refuse", BY)).number).toBe(1);
});

test("a repo that is merged into itself loses nothing that others add meanwhile", async () => {
  const { ctx, repo, early } = await disagreeing();
  await hold(ctx, repo, [debEntry("own")]);
  let added = false;
  ctx.before = async (_, name) => {
    if (added || name !== "objects.putBlob") return;
    added = true;
    await hold(ctx, repo, [debEntry("meanwhile")]);
  };
  await mergeInto(ctx, repo, [repo, early], "refuse", BY);
  expect(added).toBe(true);
  expect((await held(ctx, repo)).map((key) => key.split("/")[3]?.split("_")[0])).toEqual([
    "alpha",
    "beta",
    "meanwhile",
    "own",
  ]);
});

test("If-Match guards a merge too", async () => {
  const { ctx, repo, early } = await disagreeing();
  await expect(mergeInto(ctx, repo, [early], "first", { ...BY, onlyOn: 7 })).rejects.toMatchObject({
    kind: "precondition",
  });
});

async function carry(
  ctx: MemoryContext,
  chain: Awaited<ReturnType<typeof newUpstream>>,
  files: readonly (Omit<CarriedFile, "sha256" | "sizeBytes"> & { text: string })[],
) {
  const stored = await Promise.all(
    files.map(async ({ text, ...file }) => ({
      ...file,
      sha256: await ctx.objects.putBlob(Buffer.from(text)),
      sizeBytes: Buffer.byteLength(text),
    })),
  );
  const head = await headOf(ctx, chain);
  await commitTree(
    ctx,
    chain,
    { ...head, carried: await writeCarried(ctx.objects, stored) },
    { ...BY, message: "carry" },
  );
}

async function carriedBy(ctx: MemoryContext, chain: Parameters<typeof headOf>[1]): Promise<Record<string, string>> {
  const files = await readCarried(ctx.objects, (await headOf(ctx, chain)).carried);
  const texts = files.map(async ({ suite, record, path, sha256 }): Promise<[string, string]> => {
    const bytes = await ctx.objects.getBlob(sha256);
    return [
      [suite ?? record, path].join(" "),
      String(path.endsWith(".gz") && bytes[0] === 0x1f ? gunzipSync(bytes) : Buffer.from(bytes)),
    ];
  });
  return Object.fromEntries(await Promise.all(texts));
}

test("what is carried beside packages goes along: of one path the first, whatever on_conflict says", async () => {
  const { ctx, repo, late, early } = await disagreeing();
  const path = "main/i18n/Translation-en";
  await carry(ctx, early, [{ suite: "stable", path, text: "early" }]);
  await carry(ctx, late, [
    { suite: "stable", path, text: "late" },
    { suite: "next", path, text: "next" },
  ]);
  await mergeInto(ctx, repo, [early, late], "first", BY);
  expect(await carriedBy(ctx, repo)).toEqual({ [`stable ${path}`]: "early", [`next ${path}`]: "next" });
  await takeOver(ctx, repo, late, BY);
  expect(await carriedBy(ctx, repo)).toEqual({ [`stable ${path}`]: "late", [`next ${path}`]: "next" });
});

test("groups, advisories and modules of several yum sources become one record each", async () => {
  const ctx = memoryContext();
  const [one, two] = [await newUpstream(ctx, "yum", "one"), await newUpstream(ctx, "yum", "two")];
  await hold(ctx, one, [rpmEntry("alpha")]);
  await hold(ctx, two, [rpmEntry("beta")]);
  await carry(ctx, one, [
    { record: "group", path: "comps.xml", text: "<comps><group><id>core</id><name>One</name></group></comps>" },
    { record: "group_gz", path: "comps.xml.gz", text: "never read" },
    { record: "productid", path: "productid", text: "one" },
  ]);
  await carry(ctx, two, [
    { record: "group", path: "c.xml", text: "<comps><group><id>core</id></group><group><id>web</id></group></comps>" },
    { record: "productid", path: "productid", text: "two" },
    { record: "modules", path: "modules.yaml", text: "---\ndocument: modulemd\n...\n" },
  ]);
  const repo = await newRepo(ctx, "yum", "rpms");
  await mergeInto(ctx, repo, [one, two], "refuse", BY);
  const carried = await carriedBy(ctx, repo);
  expect(Object.keys(carried).sort()).toEqual(["group comps.xml.gz", "modules modules.yaml", "productid productid"]);
  expect(carried["group comps.xml.gz"]?.match(/<id>\w+|One/g)).toEqual(["<id>core", "One", "<id>web"]);
  expect(carried["productid productid"]).toBe("one");
});
