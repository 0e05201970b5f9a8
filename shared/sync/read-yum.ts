import { parseSha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { compressionOfName, decompressStream } from "../decompress-stream.ts";
import { AppError } from "../error.ts";
import type { Entry } from "../tree/entry.ts";
import { yumKey } from "../tree/layout.ts";
import { download } from "../upstream/fetch-download.ts";
import type { IndexKind } from "../yum/chunks.ts";
import { type JoinedRpm, joinIndexes } from "../yum/index-join.ts";
import { readPackagesXml } from "../yum/index-packages.ts";
import { rewriteOther, rewritePrimary } from "../yum/index-rewrite.ts";
import { readRepomd, type UpstreamRecord } from "../yum/repomd-read.ts";
import { withCredentialsOf } from "./batch.ts";
import { globsOf } from "./globs.ts";
import type { UpstreamRead } from "./read.ts";
import {
  checkDetached,
  lastState,
  MOST_INDEX_BYTES,
  MOST_RATIO,
  named,
  pointerAt,
  type Site,
  saveState,
  urlOf,
} from "./site.ts";
import { addressOf, type Upstream } from "./upstream.ts";

const MOST_PACKED_BYTES = 512 * 1024 * 1024;

/**
 * Everything a yum upstream lists: repomd.xml verified where a key is given, each index against it. "unchanged" when repomd.xml
 * did not change since the last commit: then one request was made.
 */
export async function readYum(ctx: Context, upstream: Upstream): Promise<UpstreamRead | "unchanged"> {
  const site: Site = { ctx, upstream, address: await addressOf(ctx, upstream) };
  const before = await lastState(site);
  const pointer = await pointerAt(site, urlOf(site, "repodata/repomd.xml"), before, (bytes, url) =>
    named(url, async () => {
      await checkDetached(site, bytes, `${url}.asc`);
      return Buffer.from(bytes).toString("utf8");
    }),
  );
  if (before && pointer.isOld) return "unchanged";
  const { records } = readRepomd(Buffer.from(await pointer.text()), pointer.url);
  const entries = new Map<string, Entry>();
  const wanted = globsOf(upstream.include, upstream.exclude);
  for await (const rpm of rpmsOf(site, records)) {
    if (wanted(rpm.primary.name)) addEntry(site, rpm, entries);
  }
  return { entries: [...entries.values()], state: await saveState(site, [pointer]) };
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

function bytesOf({ ctx, address }: Site, record: UpstreamRecord, url: string): AsyncIterable<Uint8Array> {
  const packed = download(ctx.fetcher, withCredentialsOf(address, url), {
    maxBytes: record.sizeBytes ?? MOST_PACKED_BYTES,
    sizeBytes: record.sizeBytes,
    checksum: { algorithm: record.checksum.type, value: record.checksum.value },
  });
  const maxBytes = Math.min(record.openSizeBytes ?? MOST_INDEX_BYTES, MOST_INDEX_BYTES);
  return decompressStream(compressionOfName(record.href), packed, { maxBytes, maxRatio: MOST_RATIO, where: url });
}

function addEntry(site: Site, { primary, filelists, other }: JoinedRpm, entries: Map<string, Entry>): void {
  const { name, version, release, architecture, epoch, sizeBytes } = primary;
  if (primary.checksumType !== "sha256") {
    throw new AppError(
      "unprocessable",
      `${name}-${version}-${release}.${architecture} is listed with its ${primary.checksumType}: a SHA-256 is needed`,
    );
  }
  const sha256 = parseSha256(primary.pkgid);
  const filename = primary.href.split("/").at(-1) ?? primary.href;
  const key = yumKey({ architecture, name, epoch, version, release });
  const held = entries.get(key);
  if (held?.files[0]?.sha256 === sha256) return;
  const entry: Entry = {
    // An upstream that has both keeps both.
    key: held ? `${key}${encodeURIComponent(`#${sha256}`)}` : key,
    files: [{ name: filename, sha256, sizeBytes, url: placeOf(site, primary) }],
    chunks: {
      primary: rewritePrimary(primary.chunk, { pkgid: sha256, href: `pool/${sha256}/${filename}`, sizeBytes }),
      ...(filelists ? { filelists: rewriteOther(filelists.chunk, sha256) } : {}),
      ...(other ? { other: rewriteOther(other.chunk, sha256) } : {}),
    },
  };
  entries.set(entry.key, entry);
}

/** Where a path of the upstream leads: relative to its root, or to a base of its own. */
function placeOf(site: Site, { href, base }: { readonly href: string; readonly base?: string | undefined }): string {
  if (base === undefined) return urlOf(site, href);
  return urlOf({ ...site, upstream: { ...site.upstream, path: base } }, href);
}
