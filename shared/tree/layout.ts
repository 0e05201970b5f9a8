import type { RepoType } from "../store/keys.ts";
import { segment, segmentsOf } from "./entry.ts";

/**
 * Which index an entry belongs to: a leaf never spans two, so that its fragments are whole parts of one index.
 * An apt index is one suite, component and architecture; yum and dir have a single set of indexes.
 */
export function groupOf(type: RepoType): (key: string) => string {
  switch (type) {
    case "apt":
      return (key) => key.slice(0, key.lastIndexOf("/"));
    case "yum":
    case "dir":
      return () => "";
    default:
      return type satisfies never;
  }
}

/** The kinds of index text that rows carry. */
export const PACKAGES = "Packages";
export const SOURCES = "Sources";
export const SUMS = "SHA256SUMS";
export const YUM_KINDS = ["primary", "filelists", "other"] as const;

export type AptPlace = { readonly suite: string; readonly component: string };

export type AptGroup = AptPlace & { readonly architecture: string };

/** suite/component/architecture/name_version */
export function aptKey(place: AptPlace, architecture: string, name: string, version: string): string {
  return [place.suite, place.component, architecture, `${name}_${version}`].map(segment).join("/");
}

export function aptGroupOf(group: string): AptGroup {
  const [suite = "", component = "", architecture = ""] = segmentsOf(group);
  return { suite, component, architecture };
}

/** architecture/name-epoch:version-release */
export function yumKey(rpm: {
  architecture: string;
  name: string;
  epoch: number;
  version: string;
  release: string;
}): string {
  return [rpm.architecture, `${rpm.name}-${rpm.epoch}:${rpm.version}-${rpm.release}`].map(segment).join("/");
}

/** The path, segment by segment. */
export function dirKey(path: string): string {
  return path.split("/").map(segment).join("/");
}
