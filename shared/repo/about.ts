import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { findPackage, type Package, type Parsed, parsedOf } from "../package.ts";
import type { FileRef } from "../tree/entry.ts";
import { describeRow, type PackageRow, SOURCE } from "../tree/layout.ts";
import type { HeadChain } from "./heads.ts";
import { entryHeld, type Holder, holdersOf } from "./holders.ts";
import { standsForRow } from "./listing.ts";
import { type Relations, relationsOfEntry, relationsOfParsed } from "./relations.ts";

/** What is known of a package, whether we parsed it or somebody's tree alone has it. */
export type About = Omit<PackageRow, "place"> &
  Relations & {
    readonly sha256: Sha256;
    readonly format: Package["format"];
    /** Of a .dsc or .changes: the files that it names. */
    readonly files?: readonly Pick<FileRef, "name" | "sha256" | "sizeBytes">[];
    /** Its bytes are in our store; else whoever of `holders` is first has them, under that path. */
    readonly isOurs: boolean;
    readonly path: string;
    readonly holders: readonly HeadChain[];
  };

/**
 * Everything about a package. @throws AppError `not_found` where neither we parsed it nor any head has it
 *
 * Costs what `holdersOf` does, and a few reads more.
 */
export async function aboutPackage(ctx: Context, sha256: Sha256): Promise<About> {
  const [pkg, holders] = await Promise.all([findPackage(ctx, sha256), holdersOf(ctx, sha256)]);
  const chains = holders.map(({ chain }) => chain);
  if (pkg) return { ...aboutParsed(pkg, await parsedOf(ctx, pkg)), holders: chains };
  // A plain directory knows least of what it holds.
  const [best] = [...holders].sort((a, b) => Number(a.chain.type === "dir") - Number(b.chain.type === "dir"));
  if (!best) throw new AppError("not_found", `no package ${sha256}`);
  const [about, size] = await Promise.all([aboutHeld(ctx, best), ctx.objects.blobSize(sha256)]);
  return { ...about, sha256, isOurs: size !== undefined, holders: chains };
}

type Told = Omit<About, "holders">;

function aboutParsed(pkg: Package, parsed: Parsed): Told {
  const { sha256, name, architecture, filename, sizeBytes, format } = pkg;
  return {
    ...{ sha256, name, architecture, filename, sizeBytes, format },
    ...relationsOfParsed(parsed),
    ...("files" in parsed && parsed.format !== "rpm" ? { files: parsed.files } : {}),
    ...(parsed.format === "rpm"
      ? { version: parsed.version, epoch: parsed.epoch, release: parsed.release }
      : { version: pkg.version }),
    isOurs: true,
    path: "",
  };
}

async function aboutHeld(ctx: Context, holder: Holder): Promise<Omit<Told, "sha256" | "isOurs">> {
  const { type, name } = holder.chain;
  const { place, ...described } = describeRow(type, holder.row);
  const [file] = holder.row.files;
  const path = typeof place === "string" ? place : `pool/${file?.sha256}/${described.filename}`;
  const entry = await entryHeld(ctx, holder);
  const format = formatOf(type, described);
  return {
    ...described,
    ...relationsOfEntry(entry),
    format,
    ...(format === "dsc" ? { files: entry.files.filter(({ sha256 }) => sha256 !== file?.sha256) } : {}),
    path: [type, name, ...path.split("/").map(encodeURIComponent)].join("/"),
  };
}

/** The tarballs of a source package are files that belong to its .dsc. */
function formatOf(type: HeadChain["type"], row: Pick<PackageRow, "architecture" | "filename">): About["format"] {
  switch (type) {
    case "apt":
      return row.architecture !== SOURCE ? "deb" : standsForRow(row) ? "dsc" : "file";
    case "yum":
      return "rpm";
    case "dir":
      return "file";
    default:
      return type satisfies never;
  }
}
