import { z } from "zod";
import { FormatError } from "../error.ts";
import type { Header } from "./header.ts";
import { hasOrigin } from "./origin.ts";
import { isPrimaryFile } from "./primary-file.ts";
import { TAG } from "./tags.ts";
import { textOf } from "./text.ts";
import { compareVersions } from "./version.ts";

const Comparison = z.enum(["EQ", "LT", "GT", "LE", "GE"]);
type Comparison = z.infer<typeof Comparison>;

/** As the repository metadata has it. A rich dependency is all in its name: `(a or b)`. */
export const Dependency = z.object({
  name: z.string(),
  /** How to compare with the version that follows. */
  flags: Comparison.optional(),
  epoch: z.string().optional(),
  version: z.string().optional(),
  release: z.string().optional(),
  /** Needed by a scriptlet before the package is installed. */
  pre: z.literal(true).optional(),
});
export type Dependency = z.infer<typeof Dependency>;

export const DEPENDENCY_KINDS = [
  "provides",
  "requires",
  "conflicts",
  "obsoletes",
  "suggests",
  "enhances",
  "recommends",
  "supplements",
] as const;

export type DependencyKind = (typeof DEPENDENCY_KINDS)[number];

export type Dependencies = Record<DependencyKind, Dependency[]>;

const list = z.array(Dependency);
/** For a schema that has a list of each kind. */
export const dependencyLists = {
  provides: list,
  requires: list,
  conflicts: list,
  obsoletes: list,
  suggests: list,
  enhances: list,
  recommends: list,
  supplements: list,
} satisfies Record<DependencyKind, typeof list>;

/** A dependency as the header has it: its strings are bytes. */
type Raw = { name: string; sense: number; version: string };

// rpm's rpmds.h, `rpmsenseFlags_e`
const SENSE_PREREQ = 1 << 6;
const SENSE_SCRIPT_PRE = 1 << 9;
const SENSE_SCRIPT_POST = 1 << 10;
const SENSE_MISSINGOK = 1 << 19;
const SENSE_STRONG = 1 << 27;
const SENSE_EQUAL = 8;
const COMPARISONS: Record<number, Comparison> = { 2: "LT", 4: "GT", 8: "EQ", 10: "LE", 12: "GE" };

/** More than any package has: bounds what a hostile header can make of its bytes. */
const MAX_DEPENDENCIES = 200_000;

/** The dependencies of every kind, by createrepo_c's rules (src/parsehdr.c). `paths` are the package's own files, as bytes. */
export function readDependencies(header: Header, paths: ReadonlySet<string>): Dependencies {
  const provided = rawProvides(header);
  const required = raw(header, TAG.REQUIRE_NAME, TAG.REQUIRE_FLAGS, TAG.REQUIRE_VERSION);
  const oldSuggested = raw(header, TAG.OLD_SUGGEST_NAME, TAG.OLD_SUGGEST_FLAGS, TAG.OLD_SUGGEST_VERSION);
  const oldEnhanced = raw(header, TAG.OLD_ENHANCE_NAME, TAG.OLD_ENHANCE_FLAGS, TAG.OLD_ENHANCE_VERSION);
  const { needed, weak } = requirements(ownUnmet(required, new Set(provided.map(keyOf)), paths));
  const isStrong = ({ sense }: Raw) => (sense & SENSE_STRONG) !== 0;
  const isNotStrong = ({ sense }: Raw) => (sense & SENSE_STRONG) === 0;
  return {
    provides: parsed(provided),
    requires: needed,
    conflicts: parsed(raw(header, TAG.CONFLICT_NAME, TAG.CONFLICT_FLAGS, TAG.CONFLICT_VERSION)),
    obsoletes: parsed(raw(header, TAG.OBSOLETE_NAME, TAG.OBSOLETE_FLAGS, TAG.OBSOLETE_VERSION)),
    suggests: parsed([
      ...raw(header, TAG.SUGGEST_NAME, TAG.SUGGEST_FLAGS, TAG.SUGGEST_VERSION),
      ...oldSuggested.filter(isNotStrong),
    ]),
    enhances: parsed([
      ...raw(header, TAG.ENHANCE_NAME, TAG.ENHANCE_FLAGS, TAG.ENHANCE_VERSION),
      ...oldEnhanced.filter(isNotStrong),
    ]),
    recommends: [
      ...weak,
      ...parsed(raw(header, TAG.RECOMMEND_NAME, TAG.RECOMMEND_FLAGS, TAG.RECOMMEND_VERSION)),
      ...parsed(oldSuggested.filter(isStrong)),
    ],
    supplements: parsed([
      ...raw(header, TAG.SUPPLEMENT_NAME, TAG.SUPPLEMENT_FLAGS, TAG.SUPPLEMENT_VERSION),
      ...oldEnhanced.filter(isStrong),
    ]),
  };
}

type Columns = { names: string[]; senses: number[]; versions: string[] };

/** Names, flags and versions stand in three arrays; where one ends, all end. */
function raw(header: Header, nameTag: number, flagsTag: number, versionTag: number): Raw[] {
  return rows(columns(header, nameTag, flagsTag, versionTag));
}

function columns(header: Header, nameTag: number, flagsTag: number, versionTag: number): Columns {
  if (header.count(nameTag) > MAX_DEPENDENCIES)
    throw new FormatError(`more than ${MAX_DEPENDENCIES} dependencies of one kind`, header.offsetOf(nameTag));
  return {
    names: header.strings(nameTag),
    senses: header.numbers(flagsTag, MAX_DEPENDENCIES),
    versions: header.strings(versionTag, MAX_DEPENDENCIES),
  };
}

function rows({ names, senses, versions }: Columns): Raw[] {
  return names.flatMap((name, i) => {
    const sense = senses[i];
    const version = versions[i];
    return sense === undefined || version === undefined ? [] : [{ name, sense, version }];
  });
}

/** Packages of before rpm 4, known by their header without a region, provide themselves without saying so: rpm's `providePackageNVR`. */
function rawProvides(header: Header): Raw[] {
  const provided = columns(header, TAG.PROVIDE_NAME, TAG.PROVIDE_FLAGS, TAG.PROVIDE_VERSION);
  if (header.has(TAG.HEADER_IMMUTABLE) || !hasOrigin(header)) return rows(provided);
  const unversioned = header.has(TAG.PROVIDE_VERSION) ? [] : provided.names;
  const epoch = header.number(TAG.EPOCH);
  const version = `${header.string(TAG.VERSION)}-${header.string(TAG.RELEASE)}`;
  return rows({
    names: [...provided.names, header.string(TAG.NAME) ?? ""],
    senses: [...provided.senses, ...unversioned.map(() => 0), SENSE_EQUAL],
    versions: [
      ...provided.versions,
      ...unversioned.map(() => ""),
      epoch === undefined ? version : `${epoch}:${version}`,
    ],
  });
}

/** Requirements but those that rpm itself or the package meets. */
function ownUnmet(required: Raw[], provided: ReadonlySet<string>, paths: ReadonlySet<string>): Raw[] {
  return required.filter(
    (one) =>
      !one.name.startsWith("rpmlib(") &&
      !(one.name.startsWith("/") && paths.has(one.name) && isPrimaryFile(one.name)) &&
      !provided.has(keyOf(one)),
  );
}

/** Each once, in the header's order, those that may be missing apart; of libc's symbol versions only the highest, last. */
function requirements(wanted: Raw[]): { needed: Dependency[]; weak: Dependency[] } {
  // createrepo_c compares with the last of the same name only.
  const last = new Map<string, string>();
  const needed: Dependency[] = [];
  const weak: Dependency[] = [];
  let libc: { name: string; dependency: Dependency } | undefined;
  for (const one of wanted) {
    const pre = (one.sense & (SENSE_PREREQ | SENSE_SCRIPT_PRE | SENSE_SCRIPT_POST)) !== 0;
    const state = JSON.stringify([comparisonOf(one), one.version, pre]);
    if (last.get(one.name) === state) continue;
    const dependency = dependencyOf(one);
    if (dependency === undefined) continue;
    if ((one.sense & SENSE_MISSINGOK) !== 0) {
      weak.push(dependency);
      continue;
    }
    if (pre) dependency.pre = true;
    if (one.name.startsWith("libc.so.6")) {
      if (libc === undefined || isHigherLibc(one.name, libc.name)) libc = { name: one.name, dependency };
      continue;
    }
    needed.push(dependency);
    last.set(one.name, state);
  }
  return { needed: libc === undefined ? needed : [...needed, libc.dependency], weak };
}

/** Is the symbol version in `libc.so.6(GLIBC_2.14)(64bit)` higher? Names without one come before those with one. */
function isHigherLibc(name: string, than: string): boolean {
  const a = symbolVersion(name);
  const b = symbolVersion(than);
  return a.rank - b.rank > 0 || (a.rank === b.rank && compareVersions(a.version, b.version) > 0);
}

function symbolVersion(name: string): { rank: number; version: string } {
  const [, symbol] = /\(([^)]*)\)/.exec(name) ?? [];
  if (symbol === undefined) return { rank: name.includes("(") ? 1 : 0, version: "" };
  const digit = symbol.search(/[0-9]/);
  return { rank: symbol === "" ? 2 : digit < 0 ? 3 : 4, version: digit < 0 ? "" : symbol.slice(digit) };
}

function parsed(all: Raw[]): Dependency[] {
  return all.flatMap((one) => dependencyOf(one) ?? []);
}

/** `undefined` where the epoch is no number: createrepo_c leaves such a dependency out. */
function dependencyOf({ name, sense, version }: Raw): Dependency | undefined {
  const colon = version.indexOf(":");
  const epoch = version.slice(0, Math.max(colon, 0));
  if (epoch !== "" && !/^[ \t-\r]*[+-]?[0-9]+$/.test(epoch)) return undefined;
  const dependency: Dependency = { name: textOf(name) };
  const flags = comparisonOf({ sense });
  if (flags === undefined) return dependency;
  dependency.flags = flags;
  if (version === "") return dependency;
  const rest = version.slice(colon + 1);
  const dash = rest.indexOf("-");
  const bare = dash < 0 ? rest : rest.slice(0, dash);
  const release = dash < 0 ? "" : rest.slice(dash + 1);
  dependency.epoch = epoch === "" ? "0" : epoch;
  if (bare !== "") dependency.version = textOf(bare);
  if (release !== "") dependency.release = textOf(release);
  return dependency;
}

function comparisonOf({ sense }: Pick<Raw, "sense">): Comparison | undefined {
  return COMPARISONS[sense & 0xf];
}

function keyOf({ name, sense, version }: Raw): string {
  return `${name}${comparisonOf({ sense }) ?? ""}${version}`;
}
