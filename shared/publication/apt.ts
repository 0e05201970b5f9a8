import { type ReleaseFile, renderRelease } from "../apt/release.ts";
import { renderDeb822Sources } from "../apt/sources.ts";
import { publicKeyArmored, publicKeyBinary, signCleartext, signDetached } from "../signing/openpgp.ts";
import { segment } from "../tree/entry.ts";
import { ALL, aptGroupOf, groupOf, PACKAGES, SOURCE, SOURCES } from "../tree/layout.ts";
import type { BlobStore, Fragment } from "../tree/leaf.ts";
import type { Tree } from "../tree/root.ts";
import { type Build, type BuildInput, fileFrom, type PublishedFile } from "./build.ts";
import { joinIndex } from "./join.ts";
import type { IndexRecord } from "./manifest.ts";

/** What apt reads: key files and the ready-made source entry, then of each suite Release, Release.gpg, InRelease. */
export async function buildAptPublication(store: BlobStore, input: BuildInput): Promise<Build> {
  const { repo, keyring, url } = input;
  const { privateKeys, keyIds } = keyring;
  const files: PublishedFile[] = [
    fileFrom("key.asc", keyIds, () => publicKeyArmored(privateKeys)),
    fileFrom("key.gpg", keyIds, () => publicKeyBinary(privateKeys)),
    fileFrom("packhouse.sources", [keyIds, url, repo.suite, repo.components], async () =>
      renderDeb822Sources({
        types: ["deb"],
        uri: url,
        suites: [repo.suite],
        components: repo.components,
        armoredKey: await publicKeyArmored(privateKeys),
      }),
    ),
  ];
  const indexes: Record<string, IndexRecord> = {};
  for (const suite of suitesOf(input)) {
    const built = await buildSuite(store, input, suite);
    Object.assign(indexes, built.indexes);
    files.push(...built.files);
  }
  return { files, indexes };
}

type Suite = {
  readonly name: string;
  readonly components: readonly string[];
  readonly architectures: readonly string[];
};

/** Declared or filled: each declared component and architecture has an index from the start, even an empty one. */
function suitesOf({ repo, tree }: BuildInput): Suite[] {
  const suites = new Map<string, { components: Set<string>; architectures: Set<string> }>();
  const suite = (name: string) => {
    const known = suites.get(name) ?? {
      components: new Set(name === repo.suite ? repo.components : []),
      architectures: new Set(repo.architectures),
    };
    suites.set(name, known);
    return known;
  };
  suite(repo.suite);
  for (const group of fragmentsByGroup(tree, PACKAGES).keys()) {
    const place = aptGroupOf(group);
    const found = suite(place.suite);
    found.components.add(place.component);
    if (place.architecture !== ALL && place.architecture !== SOURCE) found.architectures.add(place.architecture);
  }
  return [...suites].map(([name, { components, architectures }]) => ({
    name,
    components: [...components].sort(),
    architectures: [...architectures].sort(),
  }));
}

async function buildSuite(store: BlobStore, input: BuildInput, suite: Suite): Promise<Build> {
  const { repo, date, keyring, before } = input;
  const packages = fragmentsByGroup(input.tree, PACKAGES);
  const sources = fragmentsByGroup(input.tree, SOURCES);
  const root = `dists/${suite.name}`;
  const indexes: Record<string, IndexRecord> = {};
  const listed: ReleaseFile[] = [];
  const index = async (path: string, fragments: readonly Fragment[]) => {
    const name = `${root}/${path}`;
    const record = await joinIndex(store, fragments, { before: before?.indexes[name] });
    indexes[name] = record;
    listed.push({ path, ...record.plain }, { path: `${path}.gz`, ...record.packed });
  };
  for (const component of suite.components) {
    const of = (kind: ReadonlyMap<string, Fragment[]>, architecture: string) =>
      kind.get([suite.name, component, architecture].map(segment).join("/")) ?? [];
    for (const architecture of suite.architectures) {
      const fragments = [...of(packages, architecture), ...of(packages, ALL)];
      await index(`${component}/binary-${architecture}/${PACKAGES}`, fragments);
    }
    await index(`${component}/${SOURCE}/${SOURCES}`, of(sources, SOURCE));
  }

  const release = (at: Date) =>
    renderRelease({
      origin: repo.origin,
      label: repo.label,
      suite: suite.name,
      codename: suite.name,
      date: at,
      architectures: suite.architectures,
      components: suite.components,
      ...(repo.description === "" ? {} : { description: repo.description }),
      ...(repo.validFor === null ? {} : { validUntil: new Date(at.getTime() + repo.validFor * 1000) }),
      ...(repo.notAutomatic ? { notAutomatic: true } : {}),
      acquireByHash: true,
      files: listed,
    });
  // What expires is signed anew with each publication, also where nothing else changed.
  const inputs = [keyring.keyIds, release(repo.validFor === null ? new Date(0) : date)];
  const text = release(date);
  return {
    indexes,
    files: [
      fileFrom(`${root}/Release`, inputs, () => text),
      fileFrom(`${root}/Release.gpg`, inputs, () => signDetached(text, keyring.privateKeys, date)),
      fileFrom(`${root}/InRelease`, inputs, () => signCleartext(text, keyring.privateKeys, date)),
    ],
  };
}

function fragmentsByGroup(tree: Tree, kind: string): Map<string, Fragment[]> {
  const groups = new Map<string, Fragment[]>();
  const groupOfKey = groupOf("apt");
  for (const leaf of tree.leaves) {
    const fragment = leaf.fragments[kind];
    if (!fragment) continue;
    const group = groupOfKey(leaf.first);
    const list = groups.get(group);
    if (list) list.push(fragment);
    else groups.set(group, [fragment]);
  }
  return groups;
}
