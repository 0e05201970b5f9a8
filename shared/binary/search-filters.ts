import type { Sha256 } from "../blob.ts";
import { type Binary, hasLapsed, type StoredBinary } from "./node.ts";

/** What a binary must be to be found: all that is given here. */
export type SearchFilters = {
  /** The first segment of its path, and a part of it. */
  readonly name?: string | undefined;
  readonly nameHas?: string | undefined;
  readonly distribution?: string | undefined;
  readonly release?: string | undefined;
  readonly architecture?: string | undefined;
  readonly format?: string | undefined;
  /** As its format writes a whole version. */
  readonly version?: string | undefined;
  readonly sha256?: Sha256 | undefined;
  readonly builtBy?: string | undefined;
  readonly ref?: string | undefined;
  readonly signed?: boolean | undefined;
};

/** The segments of a path that a search leaves no choice of; undefined where it does. */
export function fixedSegments(filters: SearchFilters): readonly (string | undefined)[] {
  return [filters.name, filters.distribution, filters.release, filters.architecture];
}

/** The segments that all paths begin with. */
export function commonSegments(filters: SearchFilters): string[] {
  const fixed = fixedSegments(filters);
  const open = fixed.indexOf(undefined);
  return fixed.slice(0, open < 0 ? fixed.length : open).filter((segment) => segment !== undefined);
}

export function isSegmentWanted(filters: SearchFilters, segment: string, depth: number): boolean {
  const wanted = fixedSegments(filters)[depth];
  if (wanted !== undefined && wanted !== segment) return false;
  return depth > 0 || filters.nameHas === undefined || segment.includes(filters.nameHas);
}

/** Whether a leaf is what is looked for, as far as it tells itself: the version is told by its package. */
export function isLeafWanted(filters: SearchFilters, binary: Binary, now: string): boolean {
  if (hasLapsed(binary, now)) return false;
  const { format, sha256, builtBy, ref, signed } = filters;
  const { stored } = binary;
  const told: Told = stored ? toldOf(stored) : {};
  return (
    (format === undefined || stored?.format === format) &&
    (sha256 === undefined || told.sha256 === sha256) &&
    (builtBy === undefined || told.builtBy === builtBy) &&
    (ref === undefined || told.ref === ref) &&
    (signed === undefined || (stored?.signed ?? false) === signed)
  );
}

/** By what a stored binary is found beside its path. */
export type Told = Pick<SearchFilters, "sha256" | "builtBy" | "ref">;

export function toldOf({
  sha256,
  labels,
}: Pick<StoredBinary, "sha256"> & { readonly labels?: Labels | undefined }): Told {
  return { sha256, builtBy: labels?.builtBy, ref: labels?.ref };
}

type Labels = { readonly builtBy?: string | undefined; readonly ref?: string | undefined };
