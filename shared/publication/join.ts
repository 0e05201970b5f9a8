import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import pMap from "p-map";
import { type Sha256, sha256Of } from "../blob.ts";
import type { BlobStore, Fragment } from "../tree/leaf.ts";
import { type XzBlock, xzBlockOf, xzStreamOf } from "../xz-encode/stream.ts";
import type { IndexRecord } from "./manifest.ts";
import { fragmentReader } from "./warm-fragments.ts";
import type { XzBlocks } from "./xz-blocks.ts";

const gzipAsync = promisify(gzip);
const PARALLEL_READS = 8;

type Frame = {
  readonly head?: string;
  readonly foot?: string;
  readonly before?: IndexRecord | undefined;
  /** Has the index joined in xz too. */
  readonly xz?: XzBlocks | undefined;
};

/**
 * An index is its leaves' fragments joined: gzip members one behind the other, which apt and dnf read as one file; in xz the
 * blocks of one stream. `head` and `foot` frame them where the format wants it (yum). Without change since `before` nothing is
 * read or written.
 *
 * Costs a read of each fragment that the process does not hold still and one write; in xz, a read of each block, one request for each hundred, and one write more.
 */
export async function joinIndex(
  store: BlobStore,
  fragments: readonly Fragment[],
  { head = "", foot = "", before, xz }: Frame,
): Promise<IndexRecord> {
  const inputs = inputsOf(head, fragments, foot);
  if (before?.inputs === inputs) {
    if (xz === undefined) return { inputs, packed: before.packed, plain: before.plain };
    if (before.xz !== undefined) return before;
  }
  const plain = createHash("sha256");
  let plainBytes = 0;
  const parts: Uint8Array[] = [];
  const blocks: XzBlock[] = [];
  const add = (packed: Uint8Array, text: Uint8Array) => {
    parts.push(packed);
    plain.update(text);
    plainBytes += text.length;
  };
  const addText = async (text: string) => {
    const bytes = Buffer.from(text);
    add(await gzipAsync(bytes), bytes);
    if (xz && bytes.length > 0) blocks.push(await xzBlockOf(bytes));
  };
  await xz?.recall(fragments);
  // An index without any member would be an empty file, which is no gzip.
  if (head !== "" || fragments.length === 0) await addText(head);
  const read = fragmentReader(store, fragments);
  for (let start = 0; start < fragments.length; start += PARALLEL_READS) {
    const batch = await pMap(fragments.slice(start, start + PARALLEL_READS), async (fragment) => {
      const { packed, text } = await read(fragment);
      return [packed, text, await xz?.blockOf(fragment, text)] as const;
    });
    for (const [packed, text, block] of batch) {
      add(packed, text);
      if (block) blocks.push(block);
    }
  }
  if (foot !== "") await addText(foot);
  const packed = Buffer.concat(parts);
  return {
    inputs,
    packed: await stored(store, packed),
    plain: { sha256: plain.digest("hex") as Sha256, sizeBytes: plainBytes },
    ...(xz ? { xz: await stored(store, xzStreamOf(blocks)) } : {}),
  };
}

async function stored(store: BlobStore, bytes: Uint8Array): Promise<{ sha256: Sha256; sizeBytes: number }> {
  return { sha256: await store.putBlob(bytes), sizeBytes: bytes.length };
}

function inputsOf(head: string, fragments: readonly Fragment[], foot: string): Sha256 {
  return sha256Of(JSON.stringify([head, fragments.map(({ sha256 }) => sha256), foot]));
}
