import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { pMapIterable } from "p-map";
import { type Sha256, sha256Of } from "../blob.ts";
import { type Fragment, unpackVerified } from "../tree/leaf.ts";
import { type XzBlock, xzBlockOf, xzStreamOf } from "../xz-encode/stream.ts";
import type { IndexRecord, StoredFile } from "./manifest.ts";
import { type IndexStore, type Joined, membersOf } from "./members.ts";
import type { XzBlocks } from "./xz-blocks.ts";

const gzipAsync = promisify(gzip);
/** Unpacked beside each other, while what is before them is hashed. */
const UNPACKED_AHEAD = 8;
/** An index up to this is held while it is hashed; of a longer one the members are read once more to be written. */
const MOST_HELD_BYTES = 32 * 1024 * 1024;

/** What an index is made of. */
export type Contents = {
  readonly fragments: readonly Fragment[];
  /** Text before and behind them, where the format wants it (yum). */
  readonly head?: string;
  readonly foot?: string;
};

type Around = {
  readonly before?: IndexRecord | undefined;
  /** What the index before was made of, where that is known; asked for only where it spares reads. */
  readonly earlier?: () => Promise<Contents | undefined>;
  /** Has the index joined in xz too. */
  readonly xz?: XzBlocks | undefined;
};

/**
 * An index is its leaves' fragments joined: gzip members one behind the other, which apt and dnf read as one file; in xz the
 * blocks of one stream. Without change since `before` nothing is read or written.
 *
 * Costs a read for each stretch of fragments that is in the index before and that the process does not hold still, one for each other
 * fragment, and one write; in xz, a read of each block, one request for each hundred, and one write more.
 */
export async function joinIndex(store: IndexStore, contents: Contents, around: Around): Promise<IndexRecord> {
  const { fragments, head = "", foot = "" } = contents;
  const { before, earlier, xz } = around;
  const inputs = inputsOf(contents);
  if (before?.inputs === inputs) {
    if (xz === undefined) return { inputs, packed: before.packed, plain: before.plain };
    if (before.xz !== undefined) return before;
  }
  const joined = async () => {
    const known = before && (await earlier?.());
    return known && joinedOf(before, known);
  };
  const packing = new Running();
  const plain = new Running();
  const held: Uint8Array[] = [];
  const blocks: XzBlock[] = [];
  const add = (packed: Uint8Array, text: Uint8Array) => {
    packing.add(packed);
    plain.add(text);
    if (packing.sizeBytes <= MOST_HELD_BYTES) held.push(packed);
    else held.length = 0;
  };
  const addText = async (packed: Uint8Array, text: string) => {
    const bytes = Buffer.from(text);
    add(packed, bytes);
    if (xz && bytes.length > 0) blocks.push(await xzBlockOf(bytes));
  };
  await xz?.recall(fragments);
  const packedHead = await packedHeadOf(contents);
  const packedFoot = await packedFootOf(contents);
  if (packedHead) await addText(packedHead, head);
  const unpacked = pMapIterable(
    membersOf(store, fragments, joined),
    async ({ fragment, packed }) => {
      const text = await unpackVerified(packed, fragment);
      return { packed, text, block: await xz?.blockOf(fragment, text) };
    },
    { concurrency: UNPACKED_AHEAD, backpressure: UNPACKED_AHEAD },
  );
  for await (const { packed, text, block } of unpacked) {
    add(packed, text);
    if (block) blocks.push(block);
  }
  if (packedFoot) await addText(packedFoot, foot);

  const packed = packing.end();
  if (packed.sizeBytes <= MOST_HELD_BYTES) await store.putBlob(Buffer.concat(held));
  else
    await store.putBlobStream(
      packed.sha256,
      packed.sizeBytes,
      wholeOf(store, fragments, { packedHead, packedFoot, joined }),
    );
  const whole = { inputs, packed, plain: plain.end() };
  if (!xz) return whole;
  const stream = xzStreamOf(blocks);
  return { ...whole, xz: { sha256: await store.putBlob(stream), sizeBytes: stream.length } };
}

/** Counts and hashes what is added. */
class Running {
  readonly #hash = createHash("sha256");
  sizeBytes = 0;

  add(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.sizeBytes += bytes.length;
  }

  end(): StoredFile {
    return { sha256: this.#hash.digest("hex") as Sha256, sizeBytes: this.sizeBytes };
  }
}

type Framed = {
  readonly packedHead: Uint8Array | undefined;
  readonly packedFoot: Uint8Array | undefined;
  readonly joined: () => Promise<Joined | undefined>;
};

async function* wholeOf(
  store: IndexStore,
  fragments: readonly Fragment[],
  { packedHead, packedFoot, joined }: Framed,
): AsyncGenerator<Uint8Array> {
  if (packedHead) yield packedHead;
  for await (const { packed } of membersOf(store, fragments, joined)) yield packed;
  if (packedFoot) yield packedFoot;
}

/** An index without any member would be an empty file, which is no gzip. */
async function packedHeadOf({ fragments, head = "" }: Contents): Promise<Uint8Array | undefined> {
  return head !== "" || fragments.length === 0 ? gzipAsync(head) : undefined;
}

async function packedFootOf({ foot = "" }: Contents): Promise<Uint8Array | undefined> {
  return foot === "" ? undefined : gzipAsync(foot);
}

/** Where an index has its fragments, if these are what it was made of. */
async function joinedOf({ inputs, packed }: IndexRecord, contents: Contents): Promise<Joined | undefined> {
  if (inputsOf(contents) !== inputs) return undefined;
  const { fragments } = contents;
  const start = (await packedHeadOf(contents))?.length ?? 0;
  const end = fragments.reduce((sum, { sizeBytes }) => sum + sizeBytes, start);
  // Another release of zlib may have packed the head to another length.
  if (end + ((await packedFootOf(contents))?.length ?? 0) !== packed.sizeBytes) return undefined;
  return { blob: packed.sha256, start, fragments };
}

function inputsOf({ head = "", fragments, foot = "" }: Contents): Sha256 {
  return sha256Of(JSON.stringify([head, fragments.map(({ sha256 }) => sha256), foot]));
}
