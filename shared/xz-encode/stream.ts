import { setImmediate } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { Output } from "../lzma2.ts";
import { unxz } from "../xz.ts";
import { lzma2Chunks } from "./lzma2.ts";
import { windowBits } from "./matches.ts";
import type { Told } from "./retell.ts";
import { Script } from "./script.ts";

// The .xz file format 1.2.0. What it can do that joined files can't: a stream has any number of blocks, each compressed
// without a look at the others, and apt and dnf, which both refuse a second stream, read them all.

/** A block as it stands in a stream, and what the stream's index says of it. */
export type XzBlock = {
  readonly bytes: Uint8Array;
  /** Its length without the padding before its checksum. */
  readonly unpaddedBytes: number;
  readonly plainBytes: number;
  /** So many were looked for one by one, since the block was made from its text alone. */
  readonly patchedBytes: number;
};

const MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
const FOOTER_MAGIC = Buffer.from("YZ");
/** Every block is checked by its CRC-32: the stream says so once for all. */
const FLAGS = Buffer.from([0, 1]);
const LZMA2 = 0x21;
const HAS_BOTH_SIZES = 0xc0;
/** What is patched refers to what was there when it was looked for: a little longer than what is looked for as a whole. */
const MOST_PATCHED_SHARE = 1 / 8;
const LEAST_DICTIONARY_BITS = 12;

/** Compresses bytes into a block; others get their turn meanwhile. What is known of how to tell them is used where it is of enough. */
export async function xzBlockOf(plain: Uint8Array, known?: Script): Promise<XzBlock> {
  const script = known && known.patchedBytes <= plain.length * MOST_PATCHED_SHARE ? known : undefined;
  const chunks: Uint8Array[] = [];
  for (const chunk of lzma2Chunks(plain, script)) {
    chunks.push(chunk);
    await setImmediate();
  }
  const packed = Buffer.concat(chunks);
  const header = blockHeader(packed.length, plain.length);
  const check = uint32(crc32(plain));
  return {
    bytes: Buffer.concat([header, padded(packed), check]),
    unpaddedBytes: header.length + packed.length + check.length,
    plainBytes: plain.length,
    patchedBytes: script?.patchedBytes ?? 0,
  };
}

/** What a block holds and how it tells it; others get their turn meanwhile. */
export async function toldBy(block: XzBlock): Promise<Told> {
  const out = new Listener();
  const steps = unxz(xzStreamOf([block]), block.plainBytes, out);
  for (;;) {
    const step = steps.next();
    if (step.done) {
      out.script.patchedBytes = block.patchedBytes;
      return { text: step.value, script: out.script };
    }
    await setImmediate();
  }
}

class Listener extends Output {
  readonly script: Script = new Script();

  override copied(length: number, back: number): void {
    this.script.push(this.length, length, back);
  }
}

/** A file of one stream of these blocks. Without any it is that of no bytes. */
export function xzStreamOf(blocks: readonly XzBlock[]): Buffer {
  const sizes = blocks.flatMap(({ unpaddedBytes, plainBytes }) => [integer(unpaddedBytes), integer(plainBytes)]);
  const index = withCrc(padded(Buffer.concat([Uint8Array.of(0), integer(blocks.length), ...sizes])));
  const covered = Buffer.concat([uint32(index.length / 4 - 1), FLAGS]);
  return Buffer.concat([
    Uint8Array.from(MAGIC),
    withCrc(FLAGS),
    ...blocks.map(({ bytes }) => bytes),
    index,
    uint32(crc32(covered)),
    covered,
    FOOTER_MAGIC,
  ]);
}

/** Tells the sizes too, so that a decoder can take the blocks on in parallel. */
function blockHeader(packedBytes: number, plainBytes: number): Buffer {
  const dictionary = 2 * (windowBits(plainBytes) - LEAST_DICTIONARY_BITS);
  const filter = [LZMA2, 1, dictionary];
  const fields = Buffer.concat([
    Uint8Array.of(0, HAS_BOTH_SIZES),
    integer(packedBytes),
    integer(plainBytes),
    Uint8Array.from(filter),
  ]);
  const header = padded(fields);
  header[0] = header.length / 4;
  return withCrc(header);
}

/** Seven bits a byte, lowest first. */
function integer(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80);
  return Buffer.from([...bytes, left]);
}

/** Zeros up to a multiple of four bytes. */
function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

function withCrc(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, uint32(crc32(bytes))]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
