import pMap from "p-map";
import type { Sha256 } from "../blob.ts";
import type { Commit } from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { type Package, packageOf, parsedOf } from "../package.ts";
import { keys } from "../store/keys.ts";
import type { Entry } from "../tree/entry.ts";
import { hashedRow, rowsHolding } from "../tree/hashes.ts";
import { describeRow, fullVersion, type PackageRow, type Place } from "../tree/layout.ts";
import { readRows } from "../tree/leaf.ts";
import { readTree } from "../tree/root.ts";
import { canHold, entriesFor } from "./entries.ts";
import type { Repo } from "./repo.ts";

/** What a caller says of one package that a repo is to hold. */
export type WantedPackage = {
  readonly sha256: Sha256;
  readonly name?: string | undefined;
  readonly version?: string | undefined;
  readonly filename?: string | undefined;
  /** Absent: where it lies already, or the repo's own suite and component, or its file name. */
  readonly places?: readonly Place[] | undefined;
};

const PARALLEL = 8;
const BATCH = 100;
const MOST_TOLD = 100;

/** A row of a repo, by what it holds. */
export type HeldRow = PackageRow & { readonly key: string };
export type HeldRows = ReadonlyMap<string, readonly HeldRow[]>;

/**
 * What a wanted set comes to, given the rows that hold its hashes: rows that stay as they are, and rows to be put for packages
 * that we know. Unknown hashes are refused, all of them at once, and so is what contradicts its package.
 */
export async function resolveWanted(
  ctx: Context,
  repo: Repo,
  held: HeldRows,
  wanted: readonly WantedPackage[],
): Promise<{ readonly keep: ReadonlySet<string>; readonly put: readonly Entry[] }> {
  const keep = new Set<string>();
  const fresh: WantedPackage[] = [];
  for (const one of wanted) {
    const rows = held.get(one.sha256) ?? [];
    for (const row of rows) {
      if (one.places !== undefined && !one.places.some((place) => samePlace(place, row.place))) continue;
      check(repo, one, row);
      keep.add(row.key);
    }
    const missing = one.places?.filter((place) => !rows.some((row) => samePlace(place, row.place)));
    if (rows.length === 0 || (missing?.length ?? 0) > 0) fresh.push({ ...one, places: missing });
  }
  return { keep, put: await newEntries(ctx, repo, fresh) };
}

/** The rows of a commit, by what they hold. Reads the whole index by hash. */
export async function rowsByHash(ctx: Context, repo: Repo, head: Commit): Promise<Map<string, HeldRow[]>> {
  const hashes = await readTree(ctx.objects, head.hashes);
  const found = new Map<string, HeldRow[]>();
  for (const leaf of hashes.leaves) {
    for (const one of await readRows(ctx.objects, leaf)) {
      const { sha256, row } = hashedRow(one);
      const list = found.get(sha256) ?? [];
      found.set(sha256, list);
      list.push({ ...describeRow(repo.type, row), key: row.key });
    }
  }
  return found;
}

/** The rows of a commit that hold some files: a read or two for each. */
export async function rowsOf(
  ctx: Context,
  repo: Repo,
  head: Commit,
  sha256s: readonly Sha256[],
): Promise<Map<string, HeldRow[]>> {
  const hashes = await readTree(ctx.objects, head.hashes);
  const rows = await pMap(
    sha256s,
    async (sha256): Promise<[string, HeldRow[]]> => {
      const holding = await rowsHolding(ctx.objects, hashes, sha256);
      return [sha256, holding.map((row) => ({ ...describeRow(repo.type, row), key: row.key }))];
    },
    { concurrency: PARALLEL },
  );
  return new Map(rows);
}

async function newEntries(ctx: Context, repo: Repo, wanted: readonly WantedPackage[]): Promise<Entry[]> {
  const packages = await findPackages(ctx, wanted);
  const unknown = wanted.filter(({ sha256 }) => !packages.has(sha256)).map(({ sha256 }) => sha256);
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
      const pkg = packages.get(one.sha256);
      return pkg ? entriesOf(ctx, repo, one, pkg) : [];
    },
    { concurrency: PARALLEL },
  );
  return made.flat();
}

async function findPackages(ctx: Context, wanted: readonly WantedPackage[]): Promise<Map<string, Package>> {
  const found = new Map<string, Package>();
  for (let start = 0; start < wanted.length; start += BATCH) {
    const batch = wanted.slice(start, start + BATCH);
    for (const item of await ctx.table.getMany(batch.map(({ sha256 }) => keys.package(sha256)))) {
      if (!item) continue;
      const pkg = packageOf(item);
      found.set(pkg.sha256, pkg);
    }
  }
  return found;
}

async function entriesOf(ctx: Context, repo: Repo, wanted: WantedPackage, pkg: Package): Promise<Entry[]> {
  if (!canHold(repo.type, pkg.format)) {
    throw new AppError("unprocessable", `${pkg.sha256} is a ${pkg.format}: an ${repo.type} repo cannot hold it`);
  }
  const filename = wanted.filename ?? pkg.filename;
  const row = {
    name: pkg.name,
    version: pkg.version,
    filename: pkg.filename,
  };
  check(repo, wanted, row);
  const own = repo.type === "dir" ? [filename] : [{ suite: repo.suite, component: repo.component }];
  const parsed = await parsedOf(ctx, pkg);
  return (wanted.places ?? own).flatMap((place) =>
    entriesFor(repo, {
      pkg,
      parsed,
      filename: repo.type === "dir" && typeof place === "string" ? place : filename,
      places: typeof place === "string" ? [] : [place],
    }),
  );
}

/** What a caller says of a package must be what it is; in a plain directory a file may be called anything. */
function check(
  repo: Repo,
  wanted: WantedPackage,
  is: { name: string; version: string; filename: string; epoch?: number; release?: string },
): void {
  const versions = [is.version, fullVersion(is), is.version.replace(/-[^-]*$/, "").replace(/^\d+:/, "")];
  const wrong =
    repo.type === "dir"
      ? undefined
      : wanted.name !== undefined && wanted.name !== is.name
        ? `name ${JSON.stringify(wanted.name)}: it is ${is.name}`
        : wanted.version !== undefined && !versions.includes(wanted.version)
          ? `version ${JSON.stringify(wanted.version)}: it is ${is.version}`
          : wanted.filename !== undefined && wanted.filename !== is.filename
            ? `filename ${JSON.stringify(wanted.filename)}: it is ${is.filename}`
            : undefined;
  if (wrong !== undefined) throw new AppError("unprocessable", `${wanted.sha256} contradicts its package: ${wrong}`);
}

function samePlace(a: Place, b: Place | undefined): boolean {
  return b === undefined || JSON.stringify(a) === JSON.stringify(b);
}
