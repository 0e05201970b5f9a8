import pMap from "p-map";
import type { Dsc } from "../apt/dsc.ts";
import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { findPackages, type Package, parsedOf } from "../package.ts";
import type { Entry } from "../tree/entry.ts";
import { type AptPlace, describeRow, type Place } from "../tree/layout.ts";
import { check, checkInDirectory } from "./contradiction.ts";
import { canHold, entriesFor } from "./entries.ts";
import type { HeldRow, HeldRows } from "./held.ts";
import { checkNewPlace, placesOf, samePlace } from "./places.ts";
import type { Repo } from "./repo.ts";
import { entriesInTrees, placedEntry } from "./taken.ts";

/** What a caller says of one package that a repo is to hold. */
export type WantedPackage = {
  readonly sha256: Sha256;
  readonly name?: string | undefined;
  readonly version?: string | undefined;
  readonly filename?: string | undefined;
  /** Absent: where it lies already, or the repo's own suite and component, or its file name. */
  readonly places?: readonly Place[] | undefined;
};

/** Reads of a metadata blob each; a map of one request's size is through within its time. */
const PARALLEL = 16;
const MOST_TOLD = 100;

/**
 * What a wanted set comes to, given the rows that hold its hashes: rows that stay as they are, and rows to be put for packages
 * that we parsed or that another head of the type holds. Unknown hashes are refused, all of them at once, and so is what
 * contradicts its package.
 */
export async function resolveWanted(
  ctx: Context,
  repo: Repo,
  held: HeldRows,
  wanted: readonly WantedPackage[],
): Promise<{ readonly keep: ReadonlySet<string>; readonly put: readonly Entry[] }> {
  const keep = new Set<string>();
  const fresh: WantedPackage[] = [];
  const doubtful: { wanted: WantedPackage; row: HeldRow }[] = [];
  for (const one of wanted) {
    const places = placesOf(repo.type, one.sha256, one.places);
    const rows = held.get(one.sha256) ?? [];
    const kept = rows.filter((row) => places === undefined || places.some((place) => samePlace(place, row.place)));
    for (const { key } of kept) keep.add(key);
    const [first] = kept;
    // One package may lie there under two file names; GET tells the first.
    const fitting = kept.find(({ filename }) => filename === one.filename) ?? first;
    if (fitting && repo.type === "dir") doubtful.push({ wanted: one, row: fitting });
    else if (fitting) check(one, fitting);
    const missing = places?.filter((place) => !rows.some((row) => samePlace(place, row.place)));
    if (rows.length === 0 || (missing?.length ?? 0) > 0) fresh.push({ ...one, places: missing });
  }
  await checkInDirectory(ctx, doubtful);
  return { keep, put: await newEntries(ctx, repo, fresh) };
}

async function newEntries(ctx: Context, repo: Repo, wanted: readonly WantedPackage[]): Promise<Entry[]> {
  for (const place of wanted.flatMap(({ places = [] }) => places)) checkNewPlace(place);
  const packages = await findPackages(ctx, wanted);
  // What was uploaded under another name may lie in some repo under this one.
  const sought = wanted.filter((one) => !isNamed(repo, one, packages.get(one.sha256)));
  const taken = sought.length === 0 ? new Map<string, Entry>() : await entriesInTrees(ctx, repo.type, sought);
  const unknown = sought.map(({ sha256 }) => sha256).filter((sha256) => !packages.has(sha256) && !taken.has(sha256));
  if (unknown.length > 0) {
    throw new AppError(
      "unprocessable",
      `${unknown.length} of the packages are not known here; upload them first: ${unknown.slice(0, 3).join(", ")}${unknown.length > 3 ? ", …" : ""}`,
      { unknown: unknown.slice(0, MOST_TOLD) },
    );
  }
  const made = await pMap(
    wanted,
    async (one) => {
      const entry = taken.get(one.sha256);
      if (entry) return takenEntries(repo, one, entry);
      const pkg = packages.get(one.sha256);
      return pkg ? parsedEntries(ctx, repo, one, pkg) : [];
    },
    { concurrency: PARALLEL },
  );
  return made.flat();
}

function isNamed(repo: Repo, { filename }: WantedPackage, pkg: Package | undefined): boolean {
  return pkg !== undefined && (repo.type === "dir" || filename === undefined || filename === pkg.filename);
}

async function parsedEntries(ctx: Context, repo: Repo, wanted: WantedPackage, pkg: Package): Promise<Entry[]> {
  if (!canHold(repo.type, pkg.format)) {
    throw new AppError("unprocessable", `${pkg.sha256} is a ${pkg.format}: an ${repo.type} repo cannot hold it`);
  }
  const parsed = await parsedOf(ctx, pkg);
  if (repo.type !== "dir") {
    if (parsed.format === "dsc") await checkParts(ctx, pkg, parsed.files);
    check(wanted, pkg);
    const places = (wanted.places ?? [ownPlace(repo)]).filter((place): place is AptPlace => typeof place !== "string");
    return entriesFor(repo, { pkg, parsed, filename: pkg.filename, places });
  }
  const paths = wanted.places ?? [ownPath(wanted.filename ?? pkg.filename)];
  return paths.flatMap((path) => {
    const filename = String(path);
    check(wanted, pkg, [filename, wanted.filename ?? pkg.filename]);
    return entriesFor(repo, { pkg, parsed, filename, places: [] });
  });
}

/** A source package is listed when all of it is here. */
async function checkParts(ctx: Context, { filename }: Package, files: Dsc["files"]): Promise<void> {
  const found = await findPackages(ctx, files);
  const missing = files.filter(({ sha256, sizeBytes }) => found.get(sha256)?.sizeBytes !== sizeBytes);
  if (missing.length === 0) return;
  const names = missing.map(({ name }) => name);
  throw new AppError(
    "unprocessable",
    `${filename} names files that are not known here: ${names.slice(0, 3).join(", ")}`,
    {
      unknown: missing.slice(0, MOST_TOLD).map(({ sha256 }) => sha256),
    },
  );
}

function takenEntries(repo: Repo, wanted: WantedPackage, entry: Entry): Entry[] {
  const row = describeRow(repo.type, entry);
  switch (repo.type) {
    case "apt":
      check(wanted, row);
      return (wanted.places ?? [ownPlace(repo)]).map((place) => placedEntry(repo.type, entry, place));
    case "yum":
      check(wanted, row);
      return [placedEntry(repo.type, entry, undefined)];
    case "dir":
      return (wanted.places ?? [ownPath(wanted.filename ?? row.name)]).map((place) => {
        check(wanted, row, [String(place), row.filename, wanted.filename ?? row.filename]);
        return placedEntry(repo.type, entry, place);
      });
    default:
      return repo.type satisfies never;
  }
}

function ownPlace({ suite, component }: Repo): AptPlace {
  return { suite, component };
}

function ownPath(filename: string): string {
  checkNewPlace(filename);
  return filename;
}
