import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import pMap from "p-map";
import { type Sha256, sha256Of } from "../blob.ts";
import type { BlobStore, Fragment } from "../tree/leaf.ts";
import { unpackFragment } from "../tree/leaf.ts";
import type { IndexRecord } from "./manifest.ts";

const gzipAsync = promisify(gzip);
const PARALLEL_READS = 8;

/**
 * An index is its leaves' fragments joined: gzip members one behind the other, which apt and dnf read as one file.
 * `head` and `foot` frame them where the format wants it (yum). Without change since `before` nothing is read or written.
 *
 * Costs a read of each fragment and one write.
 */
export async function joinIndex(
  store: BlobStore,
  fragments: readonly Fragment[],
  { head = "", foot = "", before }: { head?: string; foot?: string; before?: IndexRecord | undefined },
): Promise<IndexRecord> {
  const inputs = inputsOf(head, fragments, foot);
  if (before?.inputs === inputs) return before;
  const plain = createHash("sha256");
  let plainBytes = 0;
  const parts: Uint8Array[] = [];
  const add = (packed: Uint8Array, text: Uint8Array) => {
    parts.push(packed);
    plain.update(text);
    plainBytes += text.length;
  };
  const addText = async (text: string) => {
    const bytes = Buffer.from(text);
    add(await gzipAsync(bytes), bytes);
  };
  // An index without any member would be an empty file, which is no gzip.
  if (head !== "" || fragments.length === 0) await addText(head);
  for (let start = 0; start < fragments.length; start += PARALLEL_READS) {
    const batch = await pMap(fragments.slice(start, start + PARALLEL_READS), async (fragment) => {
      const packed = await store.getBlob(fragment.sha256);
      return [packed, await unpackFragment(packed, fragment)] as const;
    });
    for (const [packed, text] of batch) add(packed, text);
  }
  if (foot !== "") await addText(foot);
  const packed = Buffer.concat(parts);
  return {
    inputs,
    packed: { sha256: await store.putBlob(packed), sizeBytes: packed.length },
    plain: { sha256: plain.digest("hex") as Sha256, sizeBytes: plainBytes },
  };
}

function inputsOf(head: string, fragments: readonly Fragment[], foot: string): Sha256 {
  return sha256Of(JSON.stringify([head, fragments.map(({ sha256 }) => sha256), foot]));
}
