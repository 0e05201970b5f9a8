import { z } from "zod";
import type { Sha256 } from "../blob.ts";
import type { Spooling } from "../spool.ts";
import type { Entry, FileRef } from "../tree/entry.ts";

/** An entry, and where each of its files lies with the upstream. */
export type Placed = { readonly entry: Entry; readonly urls: readonly string[] };

/** A row of the index by hash, and where its file lies. */
export type PlacedFile = { readonly key: string; readonly file: FileRef; readonly url: string };

const File = z.object({
  name: z.string(),
  sha256: z.custom<Sha256>((value) => typeof value === "string"),
  sizeBytes: z.number(),
  url: z.string().optional(),
  upstream: z.string().optional(),
});
const EntryHead = z.object({
  key: z.string(),
  files: z.array(File),
  urls: z.array(z.string()),
  lengths: z.record(z.string(), z.number()),
});
const FileRecord = z.object({ key: z.string(), file: File, url: z.string() });

const HEAD_BYTES = 4;
/** What an entry costs in memory beside its text. */
const ENTRY_BYTES = 600;

/** By key, then by what they hold: of two entries with one key the order says which keeps it. */
export const ENTRIES: Spooling<Placed> = {
  keyOf: ({ entry }) => `${entry.key}\n${entry.files[0]?.sha256}`,
  weightOf: ({ entry }) =>
    Object.values(entry.chunks).reduce(
      (sum, chunk) => sum + chunk.length,
      ENTRY_BYTES * Math.max(1, entry.files.length),
    ),
  encode({ entry: { key, files, chunks }, urls }) {
    const kinds = Object.entries(chunks);
    const lengths = Object.fromEntries(kinds.map(([kind, chunk]) => [kind, chunk.length]));
    const text = Buffer.from(JSON.stringify({ key, files, urls, lengths }));
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt32LE(text.length);
    return Buffer.concat([head, text, ...kinds.map(([, chunk]) => chunk)]);
  },
  decode(bytes) {
    let at = HEAD_BYTES + bytes.readUInt32LE(0);
    const head = EntryHead.parse(JSON.parse(bytes.toString("utf8", HEAD_BYTES, at)));
    const chunks: Record<string, Buffer> = {};
    for (const [kind, length] of Object.entries(head.lengths)) {
      chunks[kind] = bytes.subarray(at, at + length);
      at += length;
    }
    const { key, files, urls } = head;
    return { entry: { key, files, chunks }, urls };
  },
};

export const FILES: Spooling<PlacedFile> = {
  keyOf: ({ key }) => key,
  weightOf: () => ENTRY_BYTES,
  encode: (record) => Buffer.from(JSON.stringify(record)),
  decode: (bytes) => FileRecord.parse(JSON.parse(bytes.toString("utf8"))),
};
