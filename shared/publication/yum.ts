import { publicKeyArmored, publicKeyBinary, signDetached } from "../signing/openpgp.ts";
import { YUM_KINDS } from "../tree/layout.ts";
import type { BlobStore } from "../tree/leaf.ts";
import { indexFooter, indexHeader } from "../yum/chunks.ts";
import { renderRepoFile } from "../yum/repo-file.ts";
import { renderRepomd } from "../yum/repomd.ts";
import { type Build, type BuildInput, fileFrom } from "./build.ts";
import { joinIndex } from "./join.ts";
import type { IndexRecord } from "./manifest.ts";

/**
 * What dnf reads: key files, the ready-made .repo file, repomd.xml with its signature, and last the mirrorlist: the one
 * pointer that names where this commit's files lie for good, so that repomd.xml and its signature always fit.
 */
export async function buildYumPublication(store: BlobStore, input: BuildInput): Promise<Build> {
  const { repo, commit, tree, date, keyring, url, before } = input;
  const { privateKeys, keyIds } = keyring;
  const indexes: Record<string, IndexRecord> = {};
  for (const kind of YUM_KINDS) {
    const fragments = tree.leaves.flatMap((leaf) => leaf.fragments[kind] ?? []);
    const name = `repodata/${kind}.xml`;
    indexes[name] = await joinIndex(store, fragments, {
      head: indexHeader(kind, tree.count),
      foot: indexFooter(kind),
      before: before?.indexes[name],
    });
  }
  const seconds = Math.floor(date.getTime() / 1000);
  const repomd = renderRepomd({
    revision: seconds,
    records: YUM_KINDS.flatMap((type) => {
      const index = indexes[`repodata/${type}.xml`];
      if (!index) return [];
      return [
        {
          type,
          sha256: index.packed.sha256,
          openSha256: index.plain.sha256,
          sizeBytes: index.packed.sizeBytes,
          openSizeBytes: index.plain.sizeBytes,
          timestamp: seconds,
          href: `repodata/${index.packed.sha256}-${type}.xml.gz`,
        },
      ];
    }),
  });
  const inputs = [keyIds, Object.values(indexes).map(({ packed }) => packed.sha256)];
  const files = [
    fileFrom("key.asc", keyIds, () => publicKeyArmored(privateKeys)),
    fileFrom("key.gpg", keyIds, () => publicKeyBinary(privateKeys)),
    fileFrom("repodata/repomd.xml.key", keyIds, () => publicKeyArmored(privateKeys)),
    fileFrom("packhouse.repo", [url, repo.label], () =>
      renderRepoFile({
        id: `packhouse-${repo.name}`,
        name: repo.label,
        mirrorlistUrl: `${url}/mirrorlist`,
        keyUrl: `${url}/key.asc`,
        // Our key signs the metadata, which names every package by hash; packages are signed by whoever built them.
        gpgcheck: false,
      }),
    ),
    fileFrom("repodata/repomd.xml", inputs, () => repomd),
    fileFrom("repodata/repomd.xml.asc", inputs, () => signDetached(repomd, privateKeys, date)),
    fileFrom("mirrorlist", [url, commit.number], () => `${url}@${commit.number}/\n`),
  ];
  return { files, indexes };
}
