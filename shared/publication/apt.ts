import { renderDeb822Sources } from "../apt/sources.ts";
import { publicKeyArmored, publicKeyBinary } from "../signing/openpgp.ts";
import { ALL, type AptPlace, aptGroupOf, SOURCE } from "../tree/layout.ts";
import { buildSuite, type Groups, groupsOf, type Parts, type Suite } from "./apt-suite.ts";
import { type Build, type BuildContext, type BuildInput, fileFrom, type PublishedFile } from "./build.ts";
import { carriedOf } from "./carried.ts";
import type { IndexRecord, Manifest, StoredFile } from "./manifest.ts";
import { xzBlocksOf } from "./xz-blocks.ts";

/** What apt reads: key files and the ready-made source entry, then of each suite Release, Release.gpg, InRelease. */
export async function buildAptPublication(ctx: BuildContext, input: BuildInput): Promise<Build> {
  const { repo, tree, treeBefore, keyring, url } = input;
  const { privateKeys, keyIds } = keyring;
  let before: Promise<Groups | undefined> | undefined;
  const parts: Parts = {
    ...groupsOf(tree),
    before: () => (before ??= treeBefore().then((whole) => whole && groupsOf(whole))),
    carried: await carriedOf(ctx.objects, input),
    xz: xzBlocksOf(ctx, repo),
  };
  const hasSources = repo.architectures.includes(SOURCE) || parts.sources.size > 0;
  const types = hasSources ? (["deb", "deb-src"] as const) : (["deb"] as const);
  const files: PublishedFile[] = [
    fileFrom("key.asc", keyIds, () => publicKeyArmored(privateKeys)),
    fileFrom("key.gpg", keyIds, () => publicKeyBinary(privateKeys)),
    fileFrom("packhouse.sources", [keyIds, url, repo.suite, repo.components, types], async () =>
      renderDeb822Sources({
        types,
        uri: url,
        suites: [repo.suite],
        components: repo.components,
        armoredKey: await publicKeyArmored(privateKeys),
      }),
    ),
  ];
  const indexes: Record<string, IndexRecord> = {};
  const carried: Record<string, StoredFile> = {};
  for (const suite of suitesOf(input, parts)) {
    const built = await buildSuite(ctx.objects, input, parts, suite);
    Object.assign(indexes, built.indexes);
    Object.assign(carried, built.carried);
    files.push(...built.files);
  }
  return { files, indexes, carried };
}

/**
 * Declared or filled, or published before: each declared component and architecture has an index from the start, even an empty one,
 * and a suite that is emptied is published empty, since its clients would go on reading what it held.
 */
function suitesOf({ repo, before }: BuildInput, { packages, sources, carried }: Parts): Suite[] {
  const suites = new Map<string, { components: Set<string>; architectures: Set<string> }>();
  const suite = (name: string) => {
    const known = suites.get(name) ?? {
      components: new Set(name === repo.suite ? repo.components : []),
      architectures: new Set(repo.architectures.filter(isOfOne)),
    };
    suites.set(name, known);
    return known;
  };
  suite(repo.suite);
  for (const group of [...packages.keys(), ...sources.keys()]) {
    const place = aptGroupOf(group);
    const found = suite(place.suite);
    found.components.add(place.component);
    if (isOfOne(place.architecture)) found.architectures.add(place.architecture);
  }
  const filled = new Set(suites.keys());
  for (const file of carried) if (file.suite !== undefined) suite(file.suite);
  for (const place of publishedPlaces(before)) {
    const found = suite(place.suite);
    if (!filled.has(place.suite)) found.components.add(place.component);
  }
  return [...suites].map(([name, { components, architectures }]) => ({
    name,
    components: [...components].sort(),
    architectures: [...architectures].sort(),
  }));
}

/** The components of each suite as they were published; both may have slashes in their names. */
function publishedPlaces(before: Manifest | undefined): AptPlace[] {
  const suites = (before?.files ?? []).flatMap(({ path }) => /^dists\/(.+)\/InRelease$/.exec(path)?.[1] ?? []);
  return Object.keys(before?.indexes ?? {}).flatMap((path) => {
    const [, place = ""] = /^dists\/(.+)\/(?:binary-[^/]+|source)\/[^/]+$/.exec(path) ?? [];
    const within = suites.filter((name) => place.startsWith(`${name}/`)).sort((a, b) => b.length - a.length);
    return within.slice(0, 1).map((suite) => ({ suite, component: place.slice(suite.length + 1) }));
  });
}

/** Packages for all stand in every other's index, and sources in one of their own. */
function isOfOne(architecture: string): boolean {
  return architecture !== ALL && architecture !== SOURCE;
}
