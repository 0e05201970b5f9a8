import { z } from "zod";
import { jsonIn, type Sha256 } from "../blob.ts";
import type { BlobStore } from "./leaf.ts";

const hex = z.custom<Sha256>((value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value));

const CarriedFile = z.object({
  /** apt: of which suite. */
  suite: z.string().optional(),
  /** apt: the path in its suite's folder, such as `main/i18n/Translation-en.xz`. yum: the file's own name, without a hash. */
  path: z.string(),
  /** yum: the type that repomd.xml gives it, such as `group`, `updateinfo` or `modules`. */
  record: z.string().optional(),
  sha256: hex,
  sizeBytes: z.number().int(),
  /** Of the unpacked file, which in apt its Release tells. */
  openSha256: hex.optional(),
  openSizeBytes: z.number().int().optional(),
});

/** A file of an upstream that is no package and no index, published beside them as it is. Its bytes are ours. */
export type CarriedFile = z.infer<typeof CarriedFile>;

const Document = z.object({ version: z.literal(1), files: z.array(CarriedFile) });

/** Equal sets make equal blobs. Undefined where there is none. */
export async function writeCarried(store: BlobStore, files: readonly CarriedFile[]): Promise<Sha256 | undefined> {
  if (files.length === 0) return undefined;
  const sorted = [...files].sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
  return store.putBlob(Buffer.from(JSON.stringify({ version: 1, files: sorted })));
}

export async function readCarried(store: BlobStore, sha256: Sha256 | undefined): Promise<readonly CarriedFile[]> {
  if (sha256 === undefined) return [];
  return Document.parse(jsonIn(await store.getBlob(sha256))).files;
}

function orderOf({ suite = "", record = "", path }: CarriedFile): string {
  return JSON.stringify([suite, record, path]);
}
