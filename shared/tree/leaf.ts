import { hash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { isSha256, jsonIn, type Sha256, sha256Of } from "../blob.ts";
import { keptBeside } from "../kept.ts";
import { letGo } from "../let-go.ts";
import type { Entry, Row } from "./entry.ts";

const gzipAsync = promisify(gzip);
const gunzipAsync = promisify(gunzip);

/** Where trees keep their blobs. */
export type BlobStore = {
  /** `sha256` where the caller knows it. */
  putBlob(bytes: Uint8Array, sha256?: Sha256): Promise<Sha256>;
  /** The bytes are the caller's own. */
  getBlob(sha256: Sha256): Promise<Uint8Array>;
};

/** The chunks of one leaf for one kind of index, joined and compressed once: a gzip member of that index. */
export type Fragment = { readonly sha256: Sha256; readonly sizeBytes: number; readonly plainBytes: number };

/** A leaf as its root names it. */
export type LeafRef = {
  readonly first: string;
  readonly count: number;
  readonly sha256: Sha256;
  readonly fragments: Readonly<Record<string, Fragment>>;
};

const MEAN_ENTRIES = 512;
/** Keys that were chosen so as never to be cut still end in a leaf of this many. */
const MOST_ENTRIES = 4096;
/** No leaf's text may outgrow the memory of a function, whatever its entries weigh. */
const MOST_BYTES = 16 * 1024 * 1024;

/** What zlib takes as a chunk at least. */
const MIN_CHUNK_BYTES = 64;

/** A leaf as it is stored. */
type LeafDocument = {
  readonly rows: readonly (Row & { readonly lengths: Readonly<Record<string, number>> })[];
};

/** Of leaves as they are stored; one of an index by hash is 40 KB. */
const MOST_KEPT_BYTES = 1024 * 1024;

const keptOf = keptBeside<Sha256, LeafDocument>(MOST_KEPT_BYTES);

/** Where leaves end depends on nothing but the keys and sizes since the last end: equal sets have equal leaves. */
export class LeafCutter {
  private entries: Entry[] = [];
  private group: string | undefined;
  private bytes = 0;
  private readonly groupOf: (key: string) => string;

  constructor(groupOf: (key: string) => string) {
    this.groupOf = groupOf;
  }

  /** Takes the next entry in order; returns the leaves that it ended. `isInner`: its key is known to end none. */
  push(entry: Entry, isInner = false): Entry[][] {
    const ended: Entry[][] = [];
    const group = this.groupOf(entry.key);
    if (this.entries.length > 0 && this.group !== group) ended.push(this.flush());
    this.group = group;
    this.entries.push(entry);
    for (const kind in entry.chunks) this.bytes += entry.chunks[kind]?.length ?? 0;
    if ((!isInner && endsLeaf(entry.key)) || this.entries.length >= MOST_ENTRIES || this.bytes >= MOST_BYTES) {
      ended.push(this.flush());
    }
    return ended;
  }

  /** The group of what is pending; undefined when nothing is. */
  pendingGroup(): string | undefined {
    return this.entries.length > 0 ? this.group : undefined;
  }

  flush(): Entry[] {
    const taken = this.entries;
    this.entries = [];
    this.bytes = 0;
    return taken;
  }
}

function endsLeaf(key: string): boolean {
  return Number.parseInt(hash("sha256", key, "hex").slice(0, 8), 16) % MEAN_ENTRIES === 0;
}

/** A leaf that is known while it is on its way to the store; `stored` is to be awaited. */
export type StoredLeaf = { readonly leaf: LeafRef; readonly stored: Promise<unknown> };

export async function writeLeaf(store: BlobStore, entries: readonly Entry[]): Promise<LeafRef> {
  const { leaf, stored } = await storeLeaf(store, entries);
  await stored;
  return leaf;
}

/**
 * Stores a leaf and its fragments; one write for each and one for the leaf, all at a time: nothing refers to the leaf yet. Its rows
 * are told while its fragments are compressed. The entries' index text is looked at before this returns, never later.
 */
export async function storeLeaf(store: BlobStore, entries: readonly Entry[]): Promise<StoredLeaf> {
  const first = entries[0];
  if (!first) throw new Error("a leaf has at least one entry");
  const kinds = kindsOf(entries);
  const packing = Promise.all(kinds.map((kind) => packFragment(entries, kind)));
  const rows = rowsText(entries, kinds);
  const packed = await packing;
  const fragments = Object.fromEntries(packed.map(({ kind, fragment }) => [kind, fragment]));
  const names = JSON.stringify(namesOf(fragments));
  const document = Buffer.from(`{"fragments":${names},"rows":${rows}}`);
  const sha256 = sha256Of(document);
  const stored = Promise.all([
    store.putBlob(document, sha256),
    ...packed.map(({ bytes, fragment }) => store.putBlob(bytes, fragment.sha256)),
  ]);
  // What fails is told to who awaits it.
  stored.catch(() => {});
  return { leaf: { first: first.key, count: entries.length, sha256, fragments }, stored };
}

async function packFragment(
  entries: readonly Entry[],
  kind: string,
): Promise<{ readonly kind: string; readonly fragment: Fragment; readonly bytes: Buffer }> {
  const plain = Buffer.concat(entries.flatMap((entry) => entry.chunks[kind] ?? []));
  // In one piece, as a rule: many small ones would be joined again.
  const bytes = await gzipAsync(plain, { chunkSize: Math.max(MIN_CHUNK_BYTES, plain.length >> 2) });
  const fragment = { sha256: sha256Of(bytes), sizeBytes: bytes.length, plainBytes: plain.length };
  letGo(plain);
  return { kind, fragment, bytes };
}

/** JSON leaves out what is undefined. */
function rowsText(entries: readonly Entry[], kinds: readonly string[]): string {
  const rows = entries.map(({ key, files, chunks }) => ({
    key,
    files: files.map(({ name, sha256, sizeBytes, url, upstream }) => {
      return { name, sha256, sizeBytes, url: url || undefined, upstream: upstream || undefined };
    }),
    lengths: lengthsOf(kinds, chunks),
  }));
  return JSON.stringify(rows);
}

function kindsOf(entries: readonly Entry[]): string[] {
  const kinds = new Set<string>();
  for (const { chunks } of entries) for (const kind in chunks) kinds.add(kind);
  return [...kinds].sort();
}

function lengthsOf(kinds: readonly string[], chunks: Entry["chunks"]): Record<string, number> {
  const lengths: Record<string, number> = {};
  for (const kind of kinds) {
    const chunk = chunks[kind];
    if (chunk) lengths[kind] = chunk.length;
  }
  return lengths;
}

function namesOf(fragments: Record<string, Fragment>): Record<string, Sha256> {
  return Object.fromEntries(Object.entries(fragments).map(([kind, fragment]) => [kind, fragment.sha256]));
}

/** The rows of a leaf, without index text: one read. Where the leaf `isAskedAgain` soon, the process knows it for a while. */
export async function readRows(
  store: BlobStore,
  leaf: LeafRef,
  { isAskedAgain = false } = {},
): Promise<readonly Row[]> {
  return (await readDocument(store, leaf, isAskedAgain)).rows.map(({ key, files }) => ({ key, files }));
}

/** The entries of a leaf with their index text: one read and one for each fragment. */
export async function readLeaf(store: BlobStore, leaf: LeafRef): Promise<Entry[]> {
  return (await lendLeaf(store, leaf)).entries;
}

/** What is read for a while. */
export type LentLeaf = {
  readonly entries: Entry[];
  /** Gives the memory of all their index text back: of no entry may anyone look at its chunks then. */
  readonly done: () => void;
};

/** The same, for who tells when the index text is needed no more. */
export async function lendLeaf(store: BlobStore, leaf: LeafRef): Promise<LentLeaf> {
  const [document, plains] = await Promise.all([
    readDocument(store, leaf),
    Promise.all(
      Object.entries(leaf.fragments).map(
        async ([kind, fragment]) => [kind, await readFragment(store, fragment)] as const,
      ),
    ),
  ]);
  const texts = new Map(plains);
  const offsets = new Map<string, number>();
  const entries = document.rows.map(({ key, files, lengths }) => {
    const chunks: Record<string, Buffer> = {};
    for (const [kind, length] of Object.entries(lengths)) {
      const text = texts.get(kind);
      const start = offsets.get(kind) ?? 0;
      if (!text || start + length > text.length) throw new Error(`leaf ${leaf.sha256} disagrees with its ${kind}`);
      chunks[kind] = text.subarray(start, start + length);
      offsets.set(kind, start + length);
    }
    return { key, files, chunks };
  });
  const done = () => {
    for (const text of texts.values()) letGo(text);
  };
  return { entries, done };
}

/** The plain text of a fragment. */
export async function readFragment(store: BlobStore, fragment: Fragment): Promise<Buffer> {
  const packed = verifiedFragment(await store.getBlob(fragment.sha256), fragment);
  const plain = await unpackVerified(packed, fragment);
  letGo(packed);
  return plain;
}

/** gzip would not notice what stands behind its end, nor a change of its header: the hash does. */
export function verifiedFragment(packed: Uint8Array, fragment: Fragment): Uint8Array {
  if (sha256Of(packed) !== fragment.sha256) throw new Error(`fragment ${fragment.sha256} is damaged`);
  return packed;
}

/** The plain text of a fragment whose bytes are known to be its own. */
export async function unpackVerified(packed: Uint8Array, fragment: Fragment): Promise<Buffer> {
  // All of it in one piece: its length is known, and many small ones would be joined again.
  const chunkSize = Math.max(MIN_CHUNK_BYTES, fragment.plainBytes + 1);
  const plain = await gunzipAsync(packed, { maxOutputLength: Math.max(1, fragment.plainBytes), chunkSize });
  if (plain.length !== fragment.plainBytes) throw new Error(`fragment ${fragment.sha256} has another length`);
  return plain;
}

async function readDocument(store: BlobStore, leaf: LeafRef, isKept = false): Promise<LeafDocument> {
  const documents = keptOf(store);
  const known = documents.find(leaf.sha256);
  if (known) return known;
  const bytes = await store.getBlob(leaf.sha256);
  const sizeBytes = bytes.length;
  if (sha256Of(bytes) !== leaf.sha256) throw new Error(`leaf ${leaf.sha256} is damaged`);
  const document = jsonIn(bytes);
  if (!isLeaf(document)) throw new Error(`blob ${leaf.sha256} is no leaf`);
  if (isKept) documents.keep(leaf.sha256, document, sizeBytes);
  return document;
}

/** Looked at where it is, since there are many and their hash was right: a parser would make all of it anew. */
function isLeaf(document: unknown): document is LeafDocument {
  return isObject(document) && Array.isArray(document.rows) && document.rows.every(isRow);
}

function isRow(row: unknown): boolean {
  if (!isObject(row) || typeof row.key !== "string" || !isObject(row.lengths)) return false;
  for (const kind in row.lengths) if (typeof row.lengths[kind] !== "number") return false;
  return Array.isArray(row.files) && row.files.every(isFile);
}

function isFile(file: unknown): boolean {
  if (!isObject(file)) return false;
  const { name, sha256, sizeBytes, url = "", upstream = "" } = file;
  return [name, url, upstream].every(isText) && isText(sha256) && isSha256(sha256) && typeof sizeBytes === "number";
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
