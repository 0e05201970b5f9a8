import type { ReleaseFile } from "../apt/release.ts";
import { type CarriedFile, readCarried } from "../tree/carried.ts";
import type { BlobStore } from "../tree/leaf.ts";
import type { RepomdRecord } from "../yum/repomd.ts";
import type { BuildInput } from "./build.ts";
import type { StoredFile } from "./manifest.ts";

/** What is published beside the packages of a commit. One read; none where there is nothing. */
export function carriedOf(store: BlobStore, { commit }: BuildInput): Promise<readonly CarriedFile[]> {
  return readCarried(store, commit.carried);
}

/** Those of a suite, but for paths that are taken: an index of ours is the one that fits our packages. */
export function besideSuite(
  carried: readonly CarriedFile[],
  suite: string,
  taken: readonly ReleaseFile[],
): readonly CarriedFile[] {
  const ours = new Set(taken.map(({ path }) => path));
  const isOurs = (path: string) => ours.has(path) || ours.has(path.replace(PACKED, ""));
  return carried.filter((file) => file.suite === suite && !isOurs(file.path));
}

/**
 * What apt is told of them. It asks for no packed file whose unpacked one is not listed, so that is listed too, though it may
 * not be there.
 */
export function releaseFiles(beside: readonly CarriedFile[]): readonly ReleaseFile[] {
  const listed = new Map<string, ReleaseFile>();
  for (const { path, openSha256, openSizeBytes } of beside) {
    if (openSha256 === undefined || openSizeBytes === undefined || !PACKED.test(path)) continue;
    const plain = path.replace(PACKED, "");
    listed.set(plain, { path: plain, sha256: openSha256, sizeBytes: openSizeBytes });
  }
  for (const { path, sha256, sizeBytes } of beside) listed.set(path, { path, sha256, sizeBytes });
  return [...listed.values()];
}

const PACKED = /\.(?:gz|xz|zst|bz2|lzma|lz4)$/;

/** What dnf is told of them. */
export function repomdRecords(carried: readonly CarriedFile[], timestamp: number): readonly RepomdRecord[] {
  return carried.flatMap(({ record, path, sha256, sizeBytes, openSha256, openSizeBytes }) => {
    if (record === undefined) return [];
    const open = openSha256 === undefined ? {} : { openSha256 };
    const openSize = openSizeBytes === undefined ? {} : { openSizeBytes };
    return [{ type: record, sha256, sizeBytes, ...open, ...openSize, timestamp, href: `repodata/${sha256}-${path}` }];
  });
}

/** Known by their names alone too, as the indexes are. */
export function pathsOf(carried: readonly RepomdRecord[]): Record<string, StoredFile> {
  const nameOf = ({ href, sha256 }: RepomdRecord) => href.replace(`${sha256}-`, "");
  return Object.fromEntries(carried.map((one) => [nameOf(one), { sha256: one.sha256, sizeBytes: one.sizeBytes }]));
}
