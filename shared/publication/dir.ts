import pMap from "p-map";
import { publicKeyArmored, publicKeyBinary, signDetached } from "../signing/openpgp.ts";
import { segmentsOf } from "../tree/entry.ts";
import { SUMS } from "../tree/layout.ts";
import { type BlobStore, readFragment, readRows } from "../tree/leaf.ts";
import { type Build, type BuildInput, fileFrom } from "./build.ts";

const PARALLEL_READS = 8;

/** What a plain directory's readers get: the sums with their signature, and the listing for programs and for people. */
export async function buildDirPublication(store: BlobStore, input: BuildInput): Promise<Build> {
  const { repo, tree, date, keyring } = input;
  const { privateKeys, keyIds } = keyring;
  const rows = await listed(store, input);
  const sums = async () =>
    Buffer.concat(
      await pMap(
        tree.leaves.flatMap((leaf) => leaf.fragments[SUMS] ?? []),
        (fragment) => readFragment(store, fragment),
        { concurrency: PARALLEL_READS },
      ),
    );
  const inputs = [keyIds, tree.root];
  const files = [
    fileFrom("key.asc", keyIds, () => publicKeyArmored(privateKeys)),
    fileFrom("key.gpg", keyIds, () => publicKeyBinary(privateKeys)),
    fileFrom("index.json", tree.root, () => `${JSON.stringify(rows, null, 1)}\n`),
    fileFrom("index.html", [repo.label, tree.root], () => page(repo.label, rows)),
    fileFrom(SUMS, inputs, sums),
    fileFrom(`${SUMS}.asc`, inputs, async () => signDetached(await sums(), privateKeys, date)),
  ];
  return { files, indexes: {}, carried: {} };
}

type Listed = { readonly path: string; readonly sha256: string; readonly size: number };

async function listed(store: BlobStore, { tree }: BuildInput): Promise<Listed[]> {
  const leaves = await pMap(tree.leaves, (leaf) => readRows(store, leaf), { concurrency: PARALLEL_READS });
  return leaves.flat().flatMap(({ key, files }) => {
    const path = segmentsOf(key).join("/");
    return files.map(({ sha256, sizeBytes }) => ({ path, sha256, size: sizeBytes }));
  });
}

function page(title: string, rows: readonly Listed[]): string {
  const lines = rows.map(
    ({ path, sha256, size }) =>
      `<tr><td><a href="${path.split("/").map(encodeURIComponent).join("/")}">${escaped(path)}</a></td><td>${size}</td><td><code>${sha256}</code></td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(title)}</title></head>
<body><h1>${escaped(title)}</h1><table><thead><tr><th>File</th><th>Bytes</th><th>SHA-256</th></tr></thead><tbody>
${lines.join("\n")}
</tbody></table></body></html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
