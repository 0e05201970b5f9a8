import { setImmediate as turn } from "node:timers/promises";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { pMapIterable } from "p-map";
import { type Sha256, sha256Of } from "../blob.ts";
import type { Fragment } from "../tree/leaf.ts";
import { type Hashing, hashAnew, hashFurther } from "./hash-marks.ts";
import type { IndexRecord, StoredFile } from "./manifest.ts";
import { type IndexStore, type Joined, type Member, membersOf } from "./members.ts";
import { roomOf } from "./room.ts";
import { Underway } from "./underway.ts";
import { type TextOf, textsOf } from "./warm-fragments.ts";
import type { XzBlocks, XzIndex } from "./xz-blocks.ts";
import type { PlacedFragment } from "./xz-runs.ts";

const gzipAsync = promisify(gzip);
/** Unpacked beside each other, while what is before them is hashed. */
const UNPACKED_AHEAD = 4;
/** Hashed in one turn of the event loop, so that what is on its way to the store meanwhile goes on. */
const HASHED_A_TURN = 1024 * 1024;
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
  /** Takes over the writing of an index that is held in memory, so that the index is told before it is stored. */
  readonly underway?: Underway | undefined;
};

/** A gzip member and its text. */
type Frame = { readonly packed: Uint8Array; readonly text: Uint8Array };

type Parts = {
  readonly textOf: TextOf;
  readonly head: Frame | undefined;
  readonly foot: Frame | undefined;
  readonly inXz: XzIndex | undefined;
  readonly hashing: Hashing;
  readonly joined: () => Promise<Joined | undefined>;
};

type Written = Omit<IndexRecord, "inputs">;

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
  const underway = around.underway ?? new Underway();
  // Of those that are joined one after the other one is in memory at a time.
  await underway.stored();
  const [head, foot] = await Promise.all([headOf(contents), footOf(contents)]);
  const joining = new Joining(store, fragments, {
    // Where there is a head (yum), all of three indexes is hashed each time: to keep their texts would take 150 MB.
    textOf: textsOf(store, fragments, { mayKeep: !head }),
    head,
    foot,
    inXz: await xz?.begin(fragments, async () => before?.xz && (await earlier?.())?.fragments),
    // The text of all is needed where it is compressed once more.
    hashing: xz ? hashAnew() : hashFurther(store, fragments, contents.head),
    joined: async () => {
      const known = before && (await earlier?.());
      return known && joinedOf(before, known);
    },
  });
  const isHeld = bytesOf(fragments) <= MOST_HELD_BYTES;
  if (!isHeld) return { inputs, ...(await joining.streamed()) };
  const written = await joining.held(underway);
  if (!around.underway) await underway.stored();
  return { inputs, ...written };
}

/** One index on its way from its fragments to the store. */
class Joining {
  readonly #store: IndexStore;
  readonly #fragments: readonly PlacedFragment[];
  readonly #parts: Parts;

  constructor(store: IndexStore, fragments: readonly PlacedFragment[], parts: Parts) {
    this.#store = store;
    this.#fragments = fragments;
    this.#parts = parts;
  }

  /** In memory: it is on its way to the store while its text is unpacked and hashed. */
  async held(underway: Underway): Promise<Written> {
    const { packing, from } = this.#parts.hashing;
    const held: Member[] = [];
    for await (const member of this.#hashed(0)) held.push(member);
    const packed = packing.end();
    const put = roomOf(this.#store).lend(packed.sizeBytes, async (whole) => {
      let place = 0;
      for await (const bytes of this.#framed(held)) {
        whole.set(bytes, place);
        place += bytes.length;
      }
      await this.#store.putBlob(whole, packed.sha256);
    });
    underway.add(put);
    return this.#written(packed, await this.#hashTexts(held.slice(from)));
  }

  /** Its members are read once to be hashed, once to be written. */
  async streamed(): Promise<Written> {
    const { packing, from } = this.#parts.hashing;
    const plain = await this.#hashTexts(this.#hashed(from));
    const packed = packing.end();
    await this.#store.putBlobStream(packed.sha256, packed.sizeBytes, this.#framed(this.#members(0)));
    return this.#written(packed, plain);
  }

  async #written(packed: StoredFile, plain: StoredFile): Promise<Written> {
    const stream = this.#parts.inXz?.end();
    if (!stream) return { packed, plain };
    return { packed, plain, xz: { sha256: await this.#store.putBlob(stream), sizeBytes: stream.length } };
  }

  #members(first: number): AsyncGenerator<Member> {
    return membersOf(this.#store, this.#fragments.slice(first), this.#parts.joined);
  }

  /** The members from `first` on; those behind the mark are hashed as they are stored. */
  async *#hashed(first: number): AsyncGenerator<Member> {
    const { head, foot, hashing } = this.#parts;
    const { packing, from } = hashing;
    if (head && from === 0) packing.add(head.packed);
    let count = first;
    for await (const member of this.#members(first)) {
      count += 1;
      if (count > from) {
        packing.add(member.packed);
        hashing.reachedPacked(count);
      }
      yield member;
    }
    if (foot) packing.add(foot.packed);
  }

  /** Hashes the text of the members behind the mark, and has it compressed once more where that is asked for. */
  async #hashTexts(members: AsyncIterable<Member> | Iterable<Member>): Promise<StoredFile> {
    const { head, foot, hashing, inXz } = this.#parts;
    const { plain, from } = hashing;
    const addFrame = async ({ text }: Frame) => {
      plain.add(text);
      await inXz?.frame(text);
    };
    if (head && from === 0) await addFrame(head);
    const texts = pMapIterable(members, this.#parts.textOf, {
      concurrency: UNPACKED_AHEAD,
      backpressure: UNPACKED_AHEAD,
    });
    let count = from;
    let hashedBytes = 0;
    for await (const text of texts) {
      plain.add(text.bytes);
      hashedBytes += text.bytes.length;
      if (hashedBytes >= HASHED_A_TURN) {
        hashedBytes = 0;
        await turn();
      }
      count += 1;
      hashing.reached(count);
      await inXz?.add(text.bytes);
      text.done();
    }
    if (foot) await addFrame(foot);
    return plain.end();
  }

  async *#framed(members: AsyncIterable<Member> | Iterable<Member>): AsyncGenerator<Uint8Array> {
    const { head, foot } = this.#parts;
    if (head) yield head.packed;
    for await (const { packed } of members) yield packed;
    if (foot) yield foot.packed;
  }
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
