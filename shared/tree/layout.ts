import type { RepoType } from "../store/keys.ts";
import { type Row, segment, segmentsOf } from "./entry.ts";

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

/** What a plain directory has beside its files: keys, listings, sums. */
export const DIR_FILES: readonly string[] = ["key.asc", "key.gpg", "index.json", "index.html", SUMS, `${SUMS}.asc`];

/** Architectures of their own: packages for every one, and sources. */
export const ALL = "all";
export const SOURCE = "source";

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

/** Where in a repo a package lies: in apt a suite and component, in a plain directory a path, in yum nothing more. */
export type Place = AptPlace | string;

/** What a row's key and file say of the package. */
export type PackageRow = {
  readonly name: string;
  readonly version: string;
  readonly epoch?: number;
  readonly release?: string;
  readonly architecture: string;
  readonly filename: string;
  readonly sizeBytes: number;
  readonly place: Place | undefined;
};

/** An upstream that has one key with several bytes keeps them apart by this, behind the version. */
const SUFFIX = /#[0-9a-f]{64}$/;

/** The package of a row, told from its key alone. */
export function describeRow(type: RepoType, { key, files }: Row): PackageRow {
  const segments = segmentsOf(key);
  const [file] = files;
  const common = { filename: file?.name ?? "", sizeBytes: file?.sizeBytes ?? 0 };
  const last = (segments.at(-1) ?? "").replace(SUFFIX, "");
  switch (type) {
    case "apt": {
      const [suite = "", component = "", architecture = ""] = segments;
      const at = last.indexOf("_");
      const place = { suite, component };
      return { name: last.slice(0, at), version: last.slice(at + 1), architecture, place, ...common };
    }
    case "yum": {
      const [, name = "", epoch = "0", version = "", release = ""] = /^(.*)-(\d+):([^-]*)-([^-]*)$/.exec(last) ?? [];
      const architecture = segments[0] ?? "";
      return { name, version, epoch: Number(epoch), release, architecture, place: undefined, ...common };
    }
    case "dir":
      return { name: last, version: "", architecture: "", place: segments.join("/"), ...common };
    default:
      return type satisfies never;
  }
}

/** A whole version as its format orders it. */
export function fullVersion(row: Pick<PackageRow, "version" | "epoch" | "release">): string {
  if (row.release === undefined) return row.version;
  return `${row.epoch ? `${row.epoch}:` : ""}${row.version}-${row.release}`;
}
