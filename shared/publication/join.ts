import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { pMapIterable } from "p-map";
import { type Sha256, sha256Of } from "../blob.ts";
import { type Fragment, unpackVerified } from "../tree/leaf.ts";
import { hashAnew, hashFurther } from "./hash-marks.ts";
import type { IndexRecord } from "./manifest.ts";
import { type IndexStore, type Joined, membersOf } from "./members.ts";
import type { XzBlocks } from "./xz-blocks.ts";
import type { PlacedFragment } from "./xz-runs.ts";

const gzipAsync = promisify(gzip);
/** Unpacked beside each other, while what is before them is hashed. */
const UNPACKED_AHEAD = 8;
/** An index up to this is held while it is hashed; of a longer one the members are read once more to be written. */
const MOST_HELD_BYTES = 24 * 1024 * 1024;

/** What an index is made of. */
export type Contents = {
  readonly fragments: readonly PlacedFragment[];
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

/** A gzip member and its text. */
type Frame = { readonly packed: Uint8Array; readonly text: Uint8Array };

/**
 * An index is its leaves' fragments joined: gzip members one behind the other, which apt and dnf read as one file; in xz
 * `xz-blocks.ts` makes one stream of their texts. Without change since `before` nothing is read or written.
 *
 * Costs a read for each stretch of fragments that is in the index before and that the process does not hold still, one for each other
 * fragment, and one write; in xz, what `xz-blocks.ts` says, and one write more. An index of over 24 MB is
 * read twice.
 */
export async function joinIndex(store: IndexStore, contents: Contents, around: Around): Promise<IndexRecord> {
  const { fragments } = contents;
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
  const [head, foot] = await Promise.all([headOf(contents), footOf(contents)]);
  const isHeld = bytesOf(fragments) <= MOST_HELD_BYTES;
  const held: Uint8Array[] = [];
  const inXz = await xz?.begin(fragments, async () => before?.xz && (await earlier?.())?.fragments);
  // The text of all is needed where it is compressed once more.
  const hashing = xz ? hashAnew() : hashFurther(store, fragments, contents.head);
  const { packing, plain } = hashing;
  const add = ({ packed, text }: Frame) => {
    packing.add(packed);
    plain.add(text);
  };
  const addFrame = async (frame: Frame) => {
    add(frame);
    await inXz?.frame(frame.text);
  };

  if (head && hashing.from === 0) await addFrame(head);
  const first = isHeld ? 0 : hashing.from;
  const members = pMapIterable(
    membersOf(store, fragments.slice(first), joined),
    async ({ fragment, packed }, index) => {
      if (first + index < hashing.from) return { packed };
      return { packed, text: await unpackVerified(packed, fragment) };
    },
    { concurrency: UNPACKED_AHEAD, backpressure: UNPACKED_AHEAD },
  );
  let count = hashing.from;
  for await (const { packed, text } of members) {
    if (isHeld) held.push(packed);
    if (text === undefined) continue;
    add({ packed, text });
    count += 1;
    hashing.reached(count);
    await inXz?.add(text);
  }
  if (foot) await addFrame(foot);

  const packed = packing.end();
  if (isHeld) await store.putBlob(Buffer.concat([...packedOf(head), ...held, ...packedOf(foot)]), packed.sha256);
  else {
    const whole = async function* () {
      yield* packedOf(head);
      for await (const member of membersOf(store, fragments, joined)) yield member.packed;
      yield* packedOf(foot);
    };
    await store.putBlobStream(packed.sha256, packed.sizeBytes, whole());
  }
  const record = { inputs, packed, plain: plain.end() };
  if (!inXz) return record;
  const stream = inXz.end();
  return { ...record, xz: { sha256: await store.putBlob(stream), sizeBytes: stream.length } };
}

/** An index without any member would be an empty file, which is no gzip. */
async function headOf({ fragments, head = "" }: Contents): Promise<Frame | undefined> {
  return head === "" && fragments.length > 0 ? undefined : frameOf(head);
}

async function footOf({ foot = "" }: Contents): Promise<Frame | undefined> {
  return foot === "" ? undefined : frameOf(foot);
}

async function frameOf(text: string): Promise<Frame> {
  return { packed: await gzipAsync(text), text: Buffer.from(text) };
}

function packedOf(frame: Frame | undefined): Uint8Array[] {
  return frame ? [frame.packed] : [];
}

/** Where an index has its fragments, if these are what it was made of. */
async function joinedOf({ inputs, packed }: IndexRecord, contents: Contents): Promise<Joined | undefined> {
  if (inputsOf(contents) !== inputs) return undefined;
  const { fragments } = contents;
  const [head, foot] = await Promise.all([headOf(contents), footOf(contents)]);
  const start = head?.packed.length ?? 0;
  // Another release of zlib may have packed the head to another length.
  if (start + bytesOf(fragments) + (foot?.packed.length ?? 0) !== packed.sizeBytes) return undefined;
  return { blob: packed.sha256, start, fragments };
}

/** As they are stored. */
function bytesOf(fragments: readonly Fragment[]): number {
  return fragments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function inputsOf({ head = "", fragments, foot = "" }: Contents): Sha256 {
  return sha256Of(JSON.stringify([head, fragments.map(({ sha256 }) => sha256), foot]));
}
