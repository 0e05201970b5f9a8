import { parseSha256 } from "../blob.ts";
import { compressionOfName, decompressStream } from "../decompress-stream.ts";
import { AppError } from "../error.ts";
import type { Entry } from "../tree/entry.ts";
import { yumKey } from "../tree/layout.ts";
import type { IndexKind } from "../yum/chunks.ts";
import { type JoinedRpm, joinIndexes } from "../yum/index-join.ts";
import { readPackagesXml } from "../yum/index-packages.ts";
import { rewriteOther, rewritePrimary } from "../yum/index-rewrite.ts";
import { readRepomd, type UpstreamRecord } from "../yum/repomd-read.ts";
import type { Found, UpstreamRead } from "./found.ts";
import { globsOf } from "./globs.ts";
import { indexBytes, MOST_INDEX_BYTES, MOST_RATIO, type Site, type State, urlOf } from "./site.ts";
import { yumBaseOf } from "./yum-base.ts";
import { carriedRecords } from "./yum-carried.ts";

const MOST_PACKED_BYTES = 512 * 1024 * 1024;

/**
 * Everything a yum upstream lists: repomd.xml verified where a key is given, each index against it. "unchanged" when repomd.xml
 * did not change since the last commit: then one request was made, or two where a mirrorlist leads to it.
 */
export async function readYum(given: Site, before: State | undefined): Promise<UpstreamRead | "unchanged"> {
  const found = await yumBaseOf(given, before);
  if (found === "unchanged") return found;
  const { pointer, base, mirrors } = found;
  const { records } = readRepomd(Buffer.from(await pointer.text()), pointer.url);
  // From here on, paths are relative to where its repomd.xml was found.
  const site: Site = { ...given, upstream: { ...given.upstream, path: base } };
  return {
    found: foundIn(site, records),
    carried: () => carriedRecords(site, records, (record) => placeOf(site, record)),
    pointers: [pointer],
    mirrors,
  };
}

async function* foundIn(site: Site, records: readonly UpstreamRecord[]): AsyncGenerator<Found> {
  const wanted = globsOf(site.upstream.include, site.upstream.exclude);
  for await (const rpm of rpmsOf(site, records)) {
    if (wanted(rpm.primary.name)) yield await rpmOf(site, rpm);
  }
}

function rpmsOf(site: Site, records: readonly UpstreamRecord[]): AsyncGenerator<JoinedRpm> {
  const named = (kind: IndexKind) => records.find(({ type }) => type === kind);
  const primary = named("primary");
  if (!primary) throw new AppError("unprocessable", "repomd.xml names no primary");
  const [filelists, other] = [named("filelists"), named("other")];
  const partsOf = (kind: IndexKind, record: UpstreamRecord) => {
    const where = placeOf(site, record);
    return readPackagesXml(kind, bytesOf(site, record, where), { where });
  };
  return joinIndexes(
    {
      primary: () => {
        const where = placeOf(site, primary);
        return readPackagesXml("primary", bytesOf(site, primary, where), { where });
      },
      filelists: filelists && (() => partsOf("filelists", filelists)),
      other: other && (() => partsOf("other", other)),
    },
    { where: site.upstream.path },
  );
}

function bytesOf(site: Site, record: UpstreamRecord, url: string): AsyncIterable<Uint8Array> {
  const { sizeBytes, checksum } = record;
  const file = { url, sizeBytes, checksum: { algorithm: checksum.type, value: checksum.value } };
  const packed = indexBytes(site, file, MOST_PACKED_BYTES);
  const maxBytes = Math.min(record.openSizeBytes ?? MOST_INDEX_BYTES, MOST_INDEX_BYTES);
  return decompressStream(compressionOfName(record.href), packed, { maxBytes, maxRatio: MOST_RATIO, where: url });
}

async function rpmOf(site: Site, { primary, filelists, other }: JoinedRpm): Promise<Found> {
  const { name, version, release, architecture, epoch, checksumType, pkgid } = primary;
  const filename = primary.href.split("/").at(-1) ?? primary.href;
  const url = placeOf(site, primary);
  const listed = { name: filename, url, sizeBytes: primary.sizeBytes };
  const unknown = { ...listed, checksum: { algorithm: checksumType, value: pkgid } };
  const known =
    checksumType === "sha256"
      ? { sha256: parseSha256(pkgid), sizeBytes: primary.sizeBytes }
      : await site.knownAs(unknown);
  if (!known) return { unknown };
  const { sha256, sizeBytes } = known;
  const ours = { pkgid: sha256, href: `pool/${sha256}/${filename}`, sizeBytes };
  const entry: Entry = {
    key: yumKey({ architecture, name, epoch, version, release }),
    files: [{ name: filename, sha256, sizeBytes }],
    chunks: {
      primary: rewritePrimary(primary.chunk, ours, primary.places),
      ...(filelists ? { filelists: rewriteOther(filelists.chunk, sha256, filelists.places) } : {}),
      ...(other ? { other: rewriteOther(other.chunk, sha256, other.places) } : {}),
    },
  };
  return { entry, urls: [url] };
}

/** Where a path of the upstream leads: relative to its root, or to a base of its own. */
function placeOf(site: Site, { href, base }: { readonly href: string; readonly base?: string | undefined }): string {
  if (base === undefined) return urlOf(site, href);
  return urlOf({ ...site, upstream: { ...site.upstream, path: base } }, href);
}
