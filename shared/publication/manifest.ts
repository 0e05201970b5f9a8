import pMap from "p-map";
import { z } from "zod";
import { jsonIn, type Sha256, sha256Of } from "../blob.ts";
import type { Context } from "../context.ts";
import { keptBeside } from "../kept.ts";
import { keys } from "../store/keys.ts";
import type { Underway } from "./underway.ts";

const PARALLEL_BLOBS = 8;

/** Of manifests as they are stored. */
const MOST_KEPT_BYTES = 1024 * 1024;

const keptOf = keptBeside<Sha256, Manifest>(MOST_KEPT_BYTES);

const hex = z.custom<Sha256>((value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value));
const Stored = z.object({ sha256: hex, sizeBytes: z.number().int() });

const IndexRecord = z.object({
  /** Names the fragments it was joined from: equal inputs make equal indexes. */
  inputs: hex,
  packed: Stored,
  plain: Stored,
  /** The same in xz, where the repo asks for it. */
  xz: Stored.optional(),
});

const ManifestDocument = z.object({
  commit: z.number().int(),
  /** Seconds since 1970; grows with each publication of a repo. */
  date: z.number().int(),
  /** What is read under the repo's address without a hash in its path; the last is written last. */
  files: z.array(z.object({ path: z.string(), sha256: hex, inputs: hex })),
  /** By the name that clients know an index by, such as `dists/stable/main/binary-amd64/Packages`. */
  indexes: z.record(z.string(), IndexRecord),
  /** What is published beside the packages, by path. */
  carried: z.record(z.string(), Stored).default({}),
});

export type StoredFile = z.infer<typeof Stored>;
export type IndexRecord = z.infer<typeof IndexRecord>;
/** All that one publication consists of; a blob. */
export type Manifest = z.infer<typeof ManifestDocument>;

/** The blob that a path without a hash in it leads to; an index is known by its name and how it is packed. */
export function fileIn({ files, indexes, carried }: Manifest, path: string): Sha256 | undefined {
  const written = files.find((file) => file.path === path)?.sha256;
  const [, name = "", packing] = /^(.*)\.(gz|xz)$/s.exec(path) ?? [];
  const index = indexes[name];
  return written ?? (packing === "xz" ? index?.xz : index?.packed)?.sha256 ?? carried[path]?.sha256;
}

/** One read; none of one that the process knows still. */
export async function readManifest({ objects }: Context, sha256: Sha256): Promise<Manifest> {
  const known = keptOf(objects).find(sha256);
  if (known) return known;
  const bytes = await objects.getBlob(sha256);
  const sizeBytes = bytes.length;
  const manifest = ManifestDocument.parse(jsonIn(bytes));
  keptOf(objects).keep(sha256, manifest, sizeBytes);
  return manifest;
}

/**
 * Remembers what a commit was published as, once its new files (`bytes`) and all that is under way are stored. The first one stays:
 * `@NUMBER` never changes; it is returned.
 */
export async function recordPublication(
  ctx: Context,
  repoId: string,
  manifest: Manifest,
  { bytes, underway }: { bytes: ReadonlyMap<Sha256, Uint8Array>; underway: Underway },
): Promise<{ manifest: Manifest; sha256: Sha256 }> {
  const document = Buffer.from(JSON.stringify(manifest));
  const sha256 = sha256Of(document);
  // Nothing refers to either yet.
  const blobs = [...bytes, [sha256, document] as const];
  await pMap(blobs, ([name, blob]) => ctx.objects.putBlob(blob, name), { concurrency: PARALLEL_BLOBS });
  await underway.stored();
  keptOf(ctx.objects).keep(sha256, manifest, document.length);
  const key = keys.publication(repoId, manifest.commit);
  if (await ctx.table.put({ ...key, manifest: sha256 }, { absent: true })) return { manifest, sha256 };
  const first = (await publicationOf(ctx, repoId, manifest.commit)) ?? sha256;
  return { manifest: await readManifest(ctx, first), sha256: first };
}

export async function publicationOf(ctx: Context, repoId: string, commit: number): Promise<Sha256 | undefined> {
  const item = await ctx.table.get(keys.publication(repoId, commit));
  return item && hex.parse(item.manifest);
}
