import { renderDeb822Sources } from "../apt/sources.ts";
import { publicKeyArmored, publicKeyBinary } from "../signing/openpgp.ts";
import { ALL, aptGroupOf, PACKAGES, SOURCE, SOURCES } from "../tree/layout.ts";
import { buildSuite, fragmentsByGroup, type Parts, type Suite } from "./apt-suite.ts";
import { type Build, type BuildContext, type BuildInput, fileFrom, type PublishedFile } from "./build.ts";
import { carriedOf } from "./carried.ts";
import type { IndexRecord, StoredFile } from "./manifest.ts";
import { xzBlocksOf } from "./xz-blocks.ts";

/** What apt reads: key files and the ready-made source entry, then of each suite Release, Release.gpg, InRelease. */
export async function buildAptPublication(ctx: BuildContext, input: BuildInput): Promise<Build> {
  const { repo, tree, keyring, url } = input;
  const { privateKeys, keyIds } = keyring;
  const parts: Parts = {
    packages: fragmentsByGroup(tree, PACKAGES),
    sources: fragmentsByGroup(tree, SOURCES),
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

/** Declared or filled: each declared component and architecture has an index from the start, even an empty one. */
function suitesOf({ repo }: BuildInput, { packages, sources, carried }: Parts): Suite[] {
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
  for (const file of carried) if (file.suite !== undefined) suite(file.suite);
  return [...suites].map(([name, { components, architectures }]) => ({
    name,
    components: [...components].sort(),
    architectures: [...architectures].sort(),
  }));
}

/** Packages for all stand in every other's index, and sources in one of their own. */
function isOfOne(architecture: string): boolean {
  return architecture !== ALL && architecture !== SOURCE;
}
