import { parseSha256 } from "../blob.ts";
import type { Spooling } from "../spool.ts";
import type { Entry, FileRef } from "../tree/entry.ts";

/** An entry, and where each of its files lies with the upstream. */
export type Placed = { readonly entry: Entry; readonly urls: readonly string[] };

/** A row of the index by hash (its key begins with the file's SHA-256), and where its file lies. */
export type PlacedFile = {
  readonly key: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly url: string;
};

/**
 * By key, then by what they hold: of two entries with one key the order says which keeps it. Files are written without address:
 * `urls` has theirs.
 */
export const ENTRIES: Spooling<Placed> = {
  encode({ entry: { key, files, chunks }, urls }) {
    const texts = [`${files.length}`];
    for (const { name, sha256, sizeBytes } of files) texts.push(name, sha256, `${sizeBytes}`);
    texts.push(...Object.keys(chunks), ...urls);
    return { key: `${key}\n${files[0]?.sha256}`, texts, chunks: Object.values(chunks) };
  },
  decode({ key, texts, chunks: bytes }) {
    const files: FileRef[] = [];
    let at = 1;
    while (files.length < Number(texts[0])) {
      const [name = "", sha256 = "", sizeBytes] = [texts[at], texts[at + 1], texts[at + 2]];
      files.push({ name, sha256: parseSha256(sha256), sizeBytes: Number(sizeBytes) });
      at += 3;
    }
    const chunks: Record<string, Buffer> = {};
    for (const chunk of bytes) chunks[texts[at++] ?? ""] = chunk;
    return { entry: { key: key.slice(0, key.lastIndexOf("\n")), files, chunks }, urls: texts.slice(at) };
  },
};

export const FILES: Spooling<PlacedFile> = {
  encode: ({ key, name, sizeBytes, url }) => ({ key, texts: [name, `${sizeBytes}`, url], chunks: [] }),
  decode({ key, texts: [name = "", sizeBytes, url = ""] }) {
    return { key, name, sizeBytes: Number(sizeBytes), url };
  },
};
