import { parseSha256, type Sha256 } from "../blob.ts";
import type { Commit, Holding } from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { Spool } from "../spool.ts";
import { writeCarried } from "../tree/carried.ts";
import { editTree } from "../tree/edit.ts";
import type { Entry, FileRef } from "../tree/entry.ts";
import { everything, hashedRow, rowsByHash } from "../tree/hashes.ts";
import { groupOf } from "../tree/layout.ts";
import { readRows } from "../tree/leaf.ts";
import { readTree, type Tree } from "../tree/root.ts";
import { writeTree } from "../tree/write.ts";
import { BatchWriter } from "./batch.ts";
import type { Found, UnnamedFile, UpstreamRead } from "./found.ts";
import { ENTRIES, FILES, type Placed, type PlacedFile } from "./records.ts";
import type { Site } from "./site.ts";

/** What an upstream's indexes come to: a tree and what of it is to be copied; or first what its files are. */
export type Collected = {
  /** Undefined where files have to be read before there can be a tree. */
  readonly holding: Holding | undefined;
  /** Blobs that list what is to be copied, a batch each. */
  readonly batches: readonly Sha256[];
  readonly files: number;
  readonly bytes: number;
  /** Of all files of the tree. */
  readonly totalBytes: number;
};

/** Of one key with several bytes all but one carry their hash in it; so many leave the ordinary way of writing at a time. */
const TWINS_AT_ONCE = 2000;

/**
 * Writes the tree of all that was found, its index by hash and the lists of what is not ours yet. Memory does not grow with the
 * upstream. `head` is its last commit: what that holds without an address is ours.
 */
export async function collect(site: Site, { found, carried }: UpstreamRead, head: Commit): Promise<Collected> {
  const entries = new Spool<Placed>(ENTRIES);
  const files = new Spool<PlacedFile>(FILES);
  try {
    const unknown = await sortOut(site, found, entries);
    if (unknown.length > 0) return toLearn(site.ctx, unknown);
    const { ctx, upstream } = site;
    const twins: Entry[] = [];
    const group = groupOf(upstream.type);
    let tree = await writeTree(ctx.objects, onePerKey(site, entries, files, twins), group);
    for (let start = 0; start < twins.length; start += TWINS_AT_ONCE) {
      const put = twins.slice(start, start + TWINS_AT_ONCE).map((entry) => ({ entry, replace: true }));
      tree = (await editTree(ctx.objects, tree, { put, remove: [] }, group)).tree;
    }
    const wanted = new BatchWriter(ctx, files.count);
    const sums = { bytes: 0 };
    const hashes = await writeTree(ctx.objects, rowsOf(site, head, files, wanted, sums), everything);
    await wanted.end();
    const extra = await writeCarried(ctx.objects, await carried());
    return {
      holding: { tree: tree.root, hashes: hashes.root, count: tree.count, ...(extra ? { carried: extra } : {}) },
      batches: wanted.lists,
      files: wanted.files,
      bytes: wanted.bytes,
      totalBytes: sums.bytes,
    };
  } finally {
    await Promise.all([entries.close(), files.close()]);
  }
}

/** Spools the entries; returns the files that have to be read first. */
async function sortOut(site: Site, found: AsyncIterable<Found>, entries: Spool<Placed>): Promise<UnnamedFile[]> {
  const unknown = new Map<string, UnnamedFile>();
  for await (const one of found) {
    if ("entry" in one) {
      if (unknown.size > 0) continue;
      const full = entries.add(one);
      if (full) await full;
    } else {
      if (site.upstream.policy === "on_demand") {
        throw new AppError(
          "unprocessable",
          `${one.unknown.url} has no SHA-256 and size in its index: the policy on_demand needs them, immediate does not`,
          { url: one.unknown.url },
        );
      }
      unknown.set(one.unknown.url, one.unknown);
    }
  }
  return [...unknown.values()];
}

async function toLearn(ctx: Context, unknown: readonly UnnamedFile[]): Promise<Collected> {
  const batches = new BatchWriter(ctx, unknown.length);
  for (const file of unknown) await batches.add(file);
  await batches.end();
  const { lists, files, bytes } = batches;
  return { holding: undefined, batches: lists, files, bytes, totalBytes: 0 };
}

/** In the order of their keys, each once; `twins` gets what has a key that others have with other bytes. */
async function* onePerKey(
  site: Site,
  entries: Spool<Placed>,
  files: Spool<PlacedFile>,
  twins: Entry[],
): AsyncGenerator<Entry> {
  let key: string | undefined;
  let first: string | undefined;
  let others = new Set<string>();
  for await (const batch of entries.sorted()) {
    for (const { entry: found, urls } of batch) {
      if (found.key !== key) {
        key = found.key;
        first = undefined;
        if (others.size > 0) others = new Set();
      }
      const name = nameOf(found);
      if (name === first || others.has(name)) continue;
      const isFirst = first === undefined;
      if (isFirst) first = name;
      else others.add(name);
      const entry = {
        key: isFirst ? found.key : `${found.key}${encodeURIComponent(`#${found.files[0]?.sha256}`)}`,
        files: found.files.map((file, index) => withAddress(site, file, urls[index] ?? "")),
        chunks: found.chunks,
      };
      for (const [index, { key: hashed, files: refs }] of rowsByHash(entry).entries()) {
        const [file] = refs;
        if (!file) continue;
        const full = files.add({ key: hashed, name: file.name, sizeBytes: file.sizeBytes, url: urls[index] ?? "" });
        if (full) await full;
      }
      if (isFirst) yield entry;
      else twins.push({ ...entry, chunks: copiesOf(entry.chunks) });
    }
  }
}

/** Memory of their own: what is kept does not keep what it was read with. */
function copiesOf(chunks: Entry["chunks"]): Entry["chunks"] {
  return Object.fromEntries(Object.entries(chunks).map(([kind, chunk]) => [kind, Buffer.from(chunk)]));
}

function nameOf({ files }: Entry): string {
  return files.map(({ sha256 }) => sha256).join(" ");
}

/** On demand, a row says where its bytes can be had. */
function withAddress({ upstream }: Site, { name, sha256, sizeBytes }: FileRef, url: string): FileRef {
  if (upstream.policy !== "on_demand") return { name, sha256, sizeBytes };
  return { name, sha256, sizeBytes, url, upstream: upstream.name };
}

/** The rows of the index by hash; on the way, what is not ours is listed for copying and all is added up. */
async function* rowsOf(
  site: Site,
  head: Commit,
  files: Spool<PlacedFile>,
  wanted: BatchWriter,
  sums: { bytes: number },
): AsyncGenerator<Entry> {
  const { ctx, upstream } = site;
  const held = oursIn(ctx, await readTree(ctx.objects, head.hashes));
  let ours = await held.next();
  let lastKey: string | undefined;
  let last: string | undefined;
  for await (const batch of files.sorted()) {
    for (const { key, name, sizeBytes, url } of batch) {
      if (key === lastKey) continue;
      lastKey = key;
      const sha256 = parseSha256(key.slice(0, key.indexOf("/")));
      yield { key, files: [withAddress(site, { name, sha256, sizeBytes }, url)], chunks: {} };
      if (sha256 === last) continue;
      last = sha256;
      sums.bytes += sizeBytes;
      while (!ours.done && ours.value < sha256) ours = await held.next();
      const isOurs = !ours.done && ours.value === sha256;
      if (upstream.policy === "immediate" && !isOurs) await wanted.add({ sha256, sizeBytes, url });
    }
  }
  await held.return(undefined);
}

/** The hashes of a commit's files that are ours, in their order. */
async function* oursIn(ctx: Context, hashes: Tree): AsyncGenerator<string> {
  for (const leaf of hashes.leaves) {
    for (const row of await readRows(ctx.objects, leaf)) {
      if (row.files[0]?.url === undefined) yield hashedRow(row).sha256;
    }
  }
}
