import type { Sha256 } from "../blob.ts";

/** One file of an entry; a source package has several. */
export type FileRef = {
  readonly name: string;
  readonly sha256: Sha256;
  readonly sizeBytes: number;
  /** Where the bytes can be had while they are not ours. */
  readonly url?: string | undefined;
  /** The upstream of the same type that they can be had from: it alone has the credentials for `url`. */
  readonly upstream?: string | undefined;
};

/** What a row of a tree says without its index text. */
export type Row = {
  /** Percent-encoded segments, see `segment`; rows are sorted by it, byte by byte. */
  readonly key: string;
  readonly files: readonly FileRef[];
};

/** A row with its ready-made index text: one chunk for each kind of index (`Packages`; `primary`, `filelists`, `other`). */
export type Entry = Row & { readonly chunks: Readonly<Record<string, Buffer>> };

/** Without its index text, which it would keep in memory. */
export function rowOf({ key, files }: Row): Row {
  return { key, files };
}

/** Percent-encodes one segment of a key: real suites and components contain `/`. */
export function segment(text: string): string {
  return encodeURIComponent(text);
}

export function segmentsOf(key: string): string[] {
  return key.split("/").map(decodeURIComponent);
}

/** Byte order: keys are ASCII after encoding, so the order of code units is the order of bytes. */
export function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Whatever the files are called. */
export function sameBytes(a: Row, b: Row): boolean {
  return a.files.length === b.files.length && a.files.every((file, index) => file.sha256 === b.files[index]?.sha256);
}

export function sameFiles(a: Row, b: Row): boolean {
  return sameBytes(a, b) && a.files.every((file, index) => file.name === b.files[index]?.name);
}

export function sameEntry(a: Entry, b: Entry): boolean {
  const kinds = Object.keys(a.chunks);
  return (
    a.key === b.key &&
    sameFiles(a, b) &&
    a.files.every(({ url, upstream }, index) => url === b.files[index]?.url && upstream === b.files[index]?.upstream) &&
    kinds.length === Object.keys(b.chunks).length &&
    kinds.every((kind) => b.chunks[kind]?.equals(a.chunks[kind] ?? Buffer.alloc(0)))
  );
}
