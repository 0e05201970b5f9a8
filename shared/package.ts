import pMap from "p-map";
import { z } from "zod";
import { Changes, readChanges } from "./apt/changes.ts";
import { type Deb, readDeb } from "./apt/deb.ts";
import { Dsc, readDsc } from "./apt/dsc.ts";
import { jsonIn, type RangeSource, type Sha256 } from "./blob.ts";
import type { Context } from "./context.ts";
import { PAGE_ITEMS } from "./store/dynamo.ts";
import { keys, partitions } from "./store/keys.ts";
import { SOURCE } from "./tree/layout.ts";
import { Rpm, readRpm } from "./yum/rpm.ts";

/** What a file says of itself; a `file` says nothing. */
export type Parsed = Deb | Dsc | Changes | Rpm | { readonly format: "file" };

/** What a package may be; `changes` is a set of files that belong together. */
export const FORMATS = ["deb", "dsc", "changes", "rpm", "file"] as const;

const DebDocument = z.object({
  format: z.literal("deb"),
  name: z.string(),
  version: z.string(),
  architecture: z.string(),
  control: z.array(z.tuple([z.string(), z.string()])),
  signed: z.boolean(),
});

const hex = z.custom<Sha256>((value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value));

const PackageItem = z.object({
  sha256: hex,
  format: z.enum(FORMATS),
  name: z.string(),
  version: z.string(),
  architecture: z.string(),
  /** As it was called when it came. */
  filename: z.string(),
  sizeBytes: z.number().int(),
  signed: z.boolean(),
  /** The blob of all that was parsed: a file list can exceed any item. Absent for a plain file. */
  metadata: hex.optional(),
  /** In hex, where all the bytes were read. */
  digests: z.object({ sha512: z.string(), sha1: z.string(), md5: z.string() }).optional(),
  /** A binary that named it when it was taken in: who may read that one may read this. */
  heldBy: z.string(),
  createdAt: z.string(),
});

/** A blob that was parsed, in short. */
export type Package = z.infer<typeof PackageItem>;

const AR = "!<arch>\n";
const RPM = "\xed\xab\xee\xdb";

/** Reads the head of a file. What looks like a package, by its first bytes or by its name, must be a sound one. */
export async function parsePackage(source: RangeSource, filename: string): Promise<Parsed> {
  const magic = Buffer.from(await source.read(0, AR.length)).toString("latin1");
  if (magic.startsWith(RPM) || filename.endsWith(".rpm")) return readRpm(source);
  if (filename.endsWith(".deb") || filename.endsWith(".udeb")) return readDeb(source);
  if (filename.endsWith(".dsc")) return readDsc(source);
  if (filename.endsWith(".changes")) return readChanges(source);
  return { format: "file" };
}

export async function findPackage(ctx: Context, sha256: Sha256): Promise<Package | undefined> {
  const item = await ctx.table.get(keys.package(sha256));
  return item && packageOf(item);
}

const BATCH = 100;
const PARALLEL_BATCHES = 8;

/** Those of these that we parsed, by hash: a read for each 100. */
export async function findPackages(
  ctx: Context,
  wanted: readonly { readonly sha256: Sha256 }[],
): Promise<Map<Sha256, Package>> {
  const batches = Array.from({ length: Math.ceil(wanted.length / BATCH) }, (_, index) =>
    wanted.slice(index * BATCH, (index + 1) * BATCH).map(({ sha256 }) => keys.package(sha256)),
  );
  const found = await pMap(batches, (batch) => ctx.table.getMany(batch), { concurrency: PARALLEL_BATCHES });
  const packages = found.flat().flatMap((item) => (item ? [packageOf(item)] : []));
  return new Map(packages.map((pkg) => [pkg.sha256, pkg]));
}

const PREFIXES = 256;
const PARALLEL_PREFIXES = 16;

/** One page of all packages in the order of their hashes, behind `after`. They lie under 256 prefixes, which are read in turn. */
export async function listPackages(
  ctx: Context,
  after?: Sha256,
): Promise<{ packages: readonly Sha256[]; next: Sha256 | undefined }> {
  const found: Sha256[] = [];
  let prefix = after === undefined ? 0 : Number.parseInt(after.slice(0, 2), 16);
  for (let first = true; prefix < PREFIXES && found.length < PAGE_ITEMS; first = false) {
    const count = first && after !== undefined ? 1 : PARALLEL_PREFIXES;
    const prefixes = Array.from({ length: Math.min(count, PREFIXES - prefix) }, (_, index) => prefix + index);
    const pages = await Promise.all(
      prefixes.map((one) =>
        ctx.table.query(partitions.packages(one.toString(16).padStart(2, "0")), {
          limit: PAGE_ITEMS,
          ...(first && after !== undefined ? { after } : {}),
        }),
      ),
    );
    found.push(...pages.flatMap(({ items }) => items.map(({ sk }) => hex.parse(sk))));
    // A prefix of more than a page ends the page where it stopped.
    const cut = pages.findIndex(({ next }) => next !== undefined);
    if (cut >= 0) {
      const end = hex.parse(pages[cut]?.next);
      const packages = found.filter((sha256) => sha256 <= end).slice(0, PAGE_ITEMS);
      return { packages, next: packages.at(-1) };
    }
    prefix += prefixes.length;
  }
  const packages = found.slice(0, PAGE_ITEMS);
  const more = found.length > PAGE_ITEMS || prefix < PREFIXES;
  return { packages, next: more ? packages.at(-1) : undefined };
}

export function packageOf(item: Record<string, unknown>): Package {
  return PackageItem.parse(item);
}

/** Remembers a parsed blob; the same bytes always give the same package. */
export async function putPackage(
  ctx: Context,
  parsed: Parsed,
  file: Pick<Package, "sha256" | "sizeBytes" | "filename" | "heldBy" | "digests">,
): Promise<Package> {
  const plain = parsed.format === "file";
  const pkg: Package = {
    sha256: file.sha256,
    format: parsed.format,
    name: plain ? file.filename : parsed.name,
    version: plain ? "" : versionOf(parsed),
    architecture: plain ? "" : parsed.format === "dsc" ? SOURCE : parsed.architecture,
    filename: file.filename,
    sizeBytes: file.sizeBytes,
    signed: plain ? false : parsed.signed,
    ...(plain ? {} : { metadata: await ctx.objects.putBlob(Buffer.from(JSON.stringify(parsed))) }),
    digests: file.digests,
    heldBy: file.heldBy,
    createdAt: ctx.now().toISOString(),
  };
  await ctx.table.put({ ...keys.package(file.sha256), ...pkg });
  return pkg;
}

const DOCUMENTS = {
  deb: DebDocument,
  dsc: Dsc,
  changes: Changes,
  rpm: Rpm,
  file: z.object({ format: z.literal("file") }),
} as const;

/** All that was parsed of a package: one read of a blob. */
export async function parsedOf(ctx: Context, pkg: Package): Promise<Parsed> {
  if (pkg.metadata === undefined) return { format: "file" };
  const parsed: unknown = jsonIn(await ctx.objects.getBlob(pkg.metadata));
  return DOCUMENTS[pkg.format].parse(parsed);
}

/** As its format writes a whole version: `1:2.10-3` of a deb, `1:2.10-3.el9` of an rpm. */
function versionOf(parsed: Deb | Dsc | Changes | Rpm): string {
  if (parsed.format !== "rpm") return parsed.version;
  const { epoch, version, release } = parsed;
  return `${epoch > 0 ? `${epoch}:` : ""}${version}-${release}`;
}
