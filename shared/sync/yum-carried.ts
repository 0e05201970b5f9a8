import { createHash } from "node:crypto";
import { parseSha256, type Sha256 } from "../blob.ts";
import { compressionOfName, decompressStream } from "../decompress-stream.ts";
import type { CarriedFile } from "../tree/carried.ts";
import type { UpstreamRecord } from "../yum/repomd-read.ts";
import { MOST_INDEX_BYTES, MOST_RATIO, type Site } from "./site.ts";
import { takeFile } from "./take.ts";

const MOST_CARRIED_BYTES = 256 * 1024 * 1024;
/** What an address of ours takes as the name behind the hash. */
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/;

/** Comps, updateinfo, modules and what else names no package by its checksum: taken into our store as they are. */
export async function carriedRecords(
  site: Site,
  records: readonly UpstreamRecord[],
  urlOfRecord: (record: UpstreamRecord) => string,
): Promise<CarriedFile[]> {
  const carried: CarriedFile[] = [];
  for (const record of records) {
    if (record.use !== "carry") continue;
    const url = urlOfRecord(record);
    const checksum = { algorithm: record.checksum.type, value: record.checksum.value };
    const file = { url, sizeBytes: record.sizeBytes, checksum };
    const taken = await takeFile(site.ctx, site.address, file, MOST_CARRIED_BYTES);
    carried.push({
      path: nameOf(record),
      record: record.type,
      ...taken,
      ...(await openOf(site, record, taken.sha256, url)),
    });
  }
  return carried;
}

function nameOf({ href, type }: UpstreamRecord): string {
  const name = (href.split("/").at(-1) ?? "").replace(/^[0-9a-f]{32,128}-/, "");
  if (FILE_NAME.test(name)) return name;
  const ending = /\.(?:gz|xz|zst|bz2)$/.exec(name)?.[0] ?? "";
  return `${type}${ending}`;
}

/** Hash and length of the unpacked file: read, since an upstream's own word may be in another checksum, or missing. */
async function openOf(
  { ctx }: Site,
  { href }: UpstreamRecord,
  sha256: Sha256,
  url: string,
): Promise<{ openSha256: Sha256; openSizeBytes: number }> {
  const limits = { maxBytes: Math.min(MOST_CARRIED_BYTES * 4, MOST_INDEX_BYTES), maxRatio: MOST_RATIO, where: url };
  const hash = createHash("sha256");
  let openSizeBytes = 0;
  for await (const chunk of decompressStream(compressionOfName(href), await ctx.objects.openBlob(sha256), limits)) {
    hash.update(chunk);
    openSizeBytes += chunk.length;
  }
  return { openSha256: parseSha256(hash.digest("hex")), openSizeBytes };
}
