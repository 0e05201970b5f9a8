import { publicKeyArmored, publicKeyBinary, signDetached } from "../signing/openpgp.ts";
import { YUM_KINDS } from "../tree/layout.ts";
import type { Tree } from "../tree/root.ts";
import { type IndexKind, indexFooter, indexHeader } from "../yum/chunks.ts";
import { renderRepoFile } from "../yum/repo-file.ts";
import { type RepomdRecord, renderRepomd } from "../yum/repomd.ts";
import { type Build, type BuildContext, type BuildInput, fileFrom } from "./build.ts";
import { carriedOf, pathsOf, repomdRecords } from "./carried.ts";
import { type Contents, joinIndex } from "./join.ts";
import type { IndexRecord } from "./manifest.ts";
import { xzBlocksOf } from "./xz-blocks.ts";
import { placedFragment } from "./xz-runs.ts";

/**
 * What dnf reads: key files, the ready-made .repo file, repomd.xml with its signature, and last the mirrorlist: the one
 * pointer that names where this commit's files lie for good, so that repomd.xml and its signature always fit.
 */
export async function buildYumPublication(ctx: BuildContext, input: BuildInput): Promise<Build> {
  const { repo, commit, tree, date, keyring, url, before, treeBefore, underway } = input;
  const { privateKeys, keyIds } = keyring;
  const xz = xzBlocksOf(ctx, repo);
  const joined = await Promise.all(
    YUM_KINDS.map(async (kind) => {
      const name = `repodata/${kind}.xml`;
      const earlier = async () => {
        const whole = await treeBefore();
        return whole && contentsOf(kind, whole);
      };
      const around = { before: before?.indexes[name], earlier, xz, underway };
      return [name, await joinIndex(ctx.objects, contentsOf(kind, tree), around)] as const;
    }),
  );
  const indexes = Object.fromEntries(joined);
  const seconds = Math.floor(date.getTime() / 1000);
  const carried = repomdRecords(await carriedOf(ctx.objects, input), seconds);
  const records = [...YUM_KINDS.flatMap((kind) => indexRecord(kind, indexes, seconds)), ...carried];
  const repomd = renderRepomd({ revision: seconds, records });
  const inputs = [keyIds, records.map(({ type, href }) => [type, href])];
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
  return { files, indexes, carried: pathsOf(carried) };
}

function contentsOf(kind: IndexKind, tree: Tree): Contents {
  const fragments = tree.leaves.flatMap((leaf) => placedFragment(leaf, kind) ?? []);
  return { head: indexHeader(kind, tree.count), fragments, foot: indexFooter(kind) };
}

/** One file of each kind is named: the one in xz where there is one. */
function indexRecord(
  type: string,
  indexes: Readonly<Record<string, IndexRecord>>,
  timestamp: number,
): readonly RepomdRecord[] {
  const index = indexes[`repodata/${type}.xml`];
  if (!index) return [];
  const { sha256, sizeBytes } = index.xz ?? index.packed;
  const open = { openSha256: index.plain.sha256, openSizeBytes: index.plain.sizeBytes };
  const href = `repodata/${sha256}-${type}.xml.${index.xz ? "xz" : "gz"}`;
  return [{ type, sha256, sizeBytes, ...open, timestamp, href }];
}
