import fc from "fast-check";
import { expect, test } from "vitest";
import { headOf } from "../../shared/commit.ts";
import { setPackages } from "../../shared/repo/change.ts";
import type { Repo } from "../../shared/repo/repo.ts";
import type { Entry } from "../../shared/tree/entry.ts";
import { memoryContext } from "../support/memory-context.ts";
import {
  BY,
  debEntry,
  entriesOfHead,
  fileEntry,
  hashesAnew,
  hold,
  mapOf,
  newRepo,
  newUpstream,
  rpmEntry,
  sourceEntry,
} from "../support/memory-sets.ts";

const suite = fc.constantFrom("stable", "stable%2Fupdates");
const name = fc.nat(60).map((number) => `p${number}`);
const arbitrary: Record<Repo["type"], fc.Arbitrary<Entry>> = {
  apt: fc.oneof(
    fc.tuple(name, suite).map(([one, at]) => debEntry(one, { suite: at })),
    // An upstream that has one key with other bytes keeps both.
    name.map((one) => ({
      ...debEntry(one, { holds: `other ${one}` }),
      key: `${debEntry(one).key}%23${"0".repeat(64)}`,
    })),
    fc.tuple(name, suite).map(([one, at]) => sourceEntry(one, at)),
  ),
  yum: name.map((one) => rpmEntry(one)),
  // Several paths of one file, and names that need quoting.
  dir: fc
    .tuple(fc.constantFrom("a/", "", "é +~/"), name, fc.nat(20))
    .map(([at, one, held]) => fileEntry(`${at}${one}`, `bytes ${held}`)),
};

test.each(["apt", "yum", "dir"] as const)(
  "what GET tells of an %s repo changes nothing when it is PUT",
  async (type) => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(arbitrary[type], { selector: ({ key }) => key, maxLength: 60 }),
        async (entries) => {
          const ctx = memoryContext();
          const repo = await newRepo(ctx, type, "tools");
          const before = await hold(ctx, repo, entries);
          const map = await mapOf(ctx, repo);
          expect(await setPackages(ctx, repo, map, BY)).toEqual(before);
          // Without places too: what lies there stays where it lies.
          const bare = map.map(({ places: _, ...one }) => one);
          expect(await setPackages(ctx, repo, bare, BY)).toEqual(before);
        },
      ),
      { numRuns: 25 },
    );
  },
);

test.each(["apt", "yum", "dir"] as const)(
  "what GET tells of an %s upstream, PUT to a repo, gives the repo the same entries, texts and all",
  async (type) => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(arbitrary[type], { selector: ({ key }) => key, maxLength: 60 }), async (all) => {
        const ctx = memoryContext();
        // A repo holds one of a key.
        const entries = all.filter(({ key }) => !key.includes("%23"));
        const onDemand = entries.map((entry) => ({
          ...entry,
          files: entry.files.map((file) => ({ ...file, url: `http://x.test/${file.sha256}`, upstream: "theirs" })),
        }));
        const upstream = await newUpstream(ctx, type, "theirs");
        await hold(ctx, upstream, onDemand);
        const repo = await newRepo(ctx, type, "tools");
        const commit = await setPackages(ctx, repo, await mapOf(ctx, upstream), BY);
        const theirs = await headOf(ctx, upstream);
        expect([commit.tree, commit.hashes]).toEqual([theirs.tree, theirs.hashes]);
        expect(commit.hashes).toBe(await hashesAnew(ctx, repo));
      }),
      { numRuns: 25 },
    );
  },
);

test("a package that only a tree knows goes where the map says, or to the repo's own suite, with its stanza as it is", async () => {
  const ctx = memoryContext();
  await hold(ctx, await newUpstream(ctx, "apt", "theirs"), [debEntry("alpha"), sourceEntry("beta")]);
  const repo = await newRepo(ctx, "apt", "tools", { suite: "bookworm", component: "extra" });
  const [alpha, beta] = [debEntry("alpha"), sourceEntry("beta")];
  const hashOf = (entry: Entry) => entry.files[0]?.sha256 ?? expect.fail();
  const places = ["one", "two"].map((to) => ({ suite: to, component: "main" }));
  await setPackages(ctx, repo, [{ sha256: hashOf(alpha) }, { sha256: hashOf(beta), places }], BY);
  expect(await entriesOfHead(ctx, repo)).toEqual([
    { ...alpha, key: "bookworm/extra/amd64/alpha_1" },
    { ...beta, key: "one/main/source/beta_1" },
    { ...beta, key: "two/main/source/beta_1" },
  ]);
  // A tarball is no package, though a tree has it.
  const tarball = beta.files[1]?.sha256 ?? expect.fail();
  await expect(setPackages(ctx, repo, [{ sha256: tarball }], BY)).rejects.toMatchObject({
    kind: "unprocessable",
    details: { unknown: [tarball] },
  });
});

test("places that no client could read are refused", async () => {
  const ctx = memoryContext();
  const repos = {
    apt: await newRepo(ctx, "apt", "debs"),
    dir: await newRepo(ctx, "dir", "files"),
    yum: await newRepo(ctx, "yum", "rpms"),
  };
  await hold(ctx, await newUpstream(ctx, "apt", "a"), [debEntry("alpha")]);
  await hold(ctx, await newUpstream(ctx, "dir", "d"), [fileEntry("x", "alpha")]);
  await hold(ctx, await newUpstream(ctx, "yum", "y"), [rpmEntry("alpha")]);
  const put = (type: Repo["type"], place: string | { suite: string; component: string }) =>
    setPackages(
      ctx,
      repos[type],
      [{ sha256: debEntry("alpha").files[0]?.sha256 ?? expect.fail(), places: [place] }],
      BY,
    );
  for (const path of ["../x", "/x", "a//b", "a/./b", "x/", "a\nb", "a\\b", "SHA256SUMS", ""]) {
    await expect(put("dir", path), path).rejects.toMatchObject({ kind: "unprocessable" });
  }
  for (const named of ["", "a b", "../x", "a\nb"]) {
    await expect(put("apt", { suite: named, component: "main" }), named).rejects.toMatchObject({
      kind: "unprocessable",
    });
    await expect(put("apt", { suite: "x", component: named }), named).rejects.toMatchObject({ kind: "unprocessable" });
  }
  const misplaced = [
    ["apt", "x"],
    ["yum", "x"],
    ["dir", { suite: "x", component: "y" }],
  ] as const;
  for (const [type, place] of misplaced) await expect(put(type, place), type).rejects.toThrow("places of");
  expect((await put("dir", "a/é +~.bin")).count).toBe(1);
});
