import { type ReleaseFile, renderRelease } from "../apt/release.ts";
import { signCleartext, signDetached } from "../signing/openpgp.ts";
import type { CarriedFile } from "../tree/carried.ts";
import { segment } from "../tree/entry.ts";
import { ALL, groupOf, PACKAGES, SOURCE, SOURCES } from "../tree/layout.ts";
import type { Tree } from "../tree/root.ts";
import { type Build, type BuildInput, fileFrom } from "./build.ts";
import { besideSuite, releaseFiles } from "./carried.ts";
import { joinIndex } from "./join.ts";
import type { IndexRecord } from "./manifest.ts";
import type { IndexStore } from "./members.ts";
import type { XzBlocks } from "./xz-blocks.ts";
import { type PlacedFragment, placedFragment } from "./xz-runs.ts";

export type Suite = {
  readonly name: string;
  readonly components: readonly string[];
  readonly architectures: readonly string[];
};

/** The fragments of a tree by the suite, component and architecture that they belong to. */
export type Groups = {
  readonly packages: ReadonlyMap<string, readonly PlacedFragment[]>;
  readonly sources: ReadonlyMap<string, readonly PlacedFragment[]>;
};

/** What all suites of a publication are made from. */
export type Parts = Groups & {
  /** The same of the publication before. */
  readonly before: () => Promise<Groups | undefined>;
  readonly carried: readonly CarriedFile[];
  /** Where indexes in xz are asked for. */
  readonly xz: XzBlocks | undefined;
};

/** The indexes of a suite, then what names them: Release, Release.gpg, InRelease. */
export async function buildSuite(store: IndexStore, input: BuildInput, parts: Parts, suite: Suite): Promise<Build> {
  const { repo, commit, date, keyring } = input;
  const root = `dists/${suite.name}`;
  const { indexes, listed } = await suiteIndexes(store, input, parts, suite);
  const beside = besideSuite(parts.carried, suite.name, listed);

  const release = (at: Date) =>
    renderRelease({
      origin: repo.origin,
      label: repo.label,
      suite: suite.name,
      codename: suite.name,
      date: at,
      ...(repo.validFor ? { validUntil: new Date(at.getTime() + repo.validFor * 1000) } : {}),
      architectures: suite.architectures,
      components: suite.components,
      ...(repo.description === "" ? {} : { description: repo.description }),
      ...(repo.notAutomatic ? { notAutomatic: true } : {}),
      acquireByHash: true,
      files: [...listed, ...releaseFiles(beside)],
    });
  // What ends to be valid is signed anew by a commit of the same tree.
  const renewed = repo.validFor ? [commit.number] : [];
  const inputs = [keyring.keyIds, release(new Date(0)), ...renewed];
  const text = release(date);
  const paths = beside.map(({ path, sha256, sizeBytes }) => [`${root}/${path}`, { sha256, sizeBytes }] as const);
  return {
    indexes,
    carried: Object.fromEntries(paths),
    files: [
      fileFrom(`${root}/Release`, inputs, () => text),
      fileFrom(`${root}/Release.gpg`, inputs, () => signDetached(text, keyring.privateKeys, date)),
      fileFrom(`${root}/InRelease`, inputs, () => signCleartext(text, keyring.privateKeys, date)),
    ],
  };
}

async function suiteIndexes(
  store: IndexStore,
  { before, underway }: BuildInput,
  parts: Parts,
  suite: Suite,
): Promise<{ indexes: Record<string, IndexRecord>; listed: ReleaseFile[] }> {
  const indexes: Record<string, IndexRecord> = {};
  const listed: ReleaseFile[] = [];
  const index = async (path: string, fragmentsOf: (groups: Groups) => readonly PlacedFragment[]) => {
    const name = `dists/${suite.name}/${path}`;
    const earlier = async () => {
      const groups = await parts.before();
      return groups && { fragments: fragmentsOf(groups) };
    };
    const around = { before: before?.indexes[name], earlier, xz: parts.xz, underway };
    const record = await joinIndex(store, { fragments: fragmentsOf(parts) }, around);
    indexes[name] = record;
    listed.push({ path, ...record.plain }, { path: `${path}.gz`, ...record.packed });
    if (record.xz) listed.push({ path: `${path}.xz`, ...record.xz });
  };
  for (const component of suite.components) {
    const of = (kind: Groups["packages"], architecture: string) =>
      kind.get([suite.name, component, architecture].map(segment).join("/")) ?? [];
    for (const architecture of suite.architectures) {
      await index(`${component}/binary-${architecture}/${PACKAGES}`, ({ packages }) => [
        ...of(packages, architecture),
        ...of(packages, ALL),
      ]);
    }
    await index(`${component}/${SOURCE}/${SOURCES}`, ({ sources }) => of(sources, SOURCE));
  }
  return { indexes, listed };
}

export function groupsOf(tree: Tree): Groups {
  return { packages: fragmentsByGroup(tree, PACKAGES), sources: fragmentsByGroup(tree, SOURCES) };
}

function fragmentsByGroup(tree: Tree, kind: string): Map<string, PlacedFragment[]> {
  const groups = new Map<string, PlacedFragment[]>();
  const groupOfKey = groupOf("apt");
  for (const leaf of tree.leaves) {
    const fragment = placedFragment(leaf, kind);
    if (!fragment) continue;
    const group = groupOfKey(leaf.first);
    const list = groups.get(group);
    if (list) list.push(fragment);
    else groups.set(group, [fragment]);
  }
  return groups;
}
