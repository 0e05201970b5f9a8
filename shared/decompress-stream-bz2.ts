import { BitReader, BZIP2_CRC, readBlock } from "./decompress-stream-bz2-block.ts";
import type { ByteSource } from "./decompress-stream-input.ts";
import { FormatError } from "./error.ts";

// bzip2 has no written specification but its source (bzip2 1.0.8, decompress.c). A decoder of our own since the one in use
// everywhere takes a truncated file for a whole one and cannot wait for its reader.

const BLOCK_MAGIC = [0x314159, 0x265359] as const;
const END_MAGIC = [0x177245, 0x385090] as const;
// The longest that 900,001 codes of 20 bits, 18,002 selectors and six tables can be, with room to spare.
const MAX_PACKED_BLOCK_BYTES = 2_500_000;
const PIECE_BYTES = 64 * 1024;

/** Any number of streams; a block's bytes are given before its checksum is known. One block is in memory at a time, about 10 MB. */
export async function* bunzip2(input: ByteSource): AsyncGenerator<Buffer, void> {
  let links: Uint32Array | undefined;
  do {
    const start = input.offset;
    await input.need(4, "bzip2 data");
    const level = (input.bytes[3] ?? 0) - 0x30;
    if (input.bytes.toString("latin1", 0, 3) !== "BZh" || level < 1 || level > 9)
      throw new FormatError("no bzip2 stream begins here", start);
    input.skip(4);
    links ??= new Uint32Array(900_000);
    yield* stream(input, links.subarray(0, level * 100_000));
  } while ((await input.fill(1)) > 0);
}

async function* stream(input: ByteSource, links: Uint32Array): AsyncGenerator<Buffer, void> {
  // Blocks begin at any bit of a byte.
  let bit = 0;
  let combined = 0;
  for (;;) {
    await input.fill(MAX_PACKED_BLOCK_BYTES);
    const start = input.offset;
    const bits = new BitReader(input.bytes, bit, start);
    const magic = [bits.read(24), bits.read(24)];
    const crc = ((bits.read(16) << 16) | bits.read(16)) >>> 0;
    bits.checkEnd();
    if (magic[0] === END_MAGIC[0] && magic[1] === END_MAGIC[1]) {
      if (crc !== combined >>> 0) throw new FormatError("the bzip2 stream does not match its checksum", start);
      input.skip(Math.ceil(bits.position / 8));
      return;
    }
    if (magic[0] !== BLOCK_MAGIC[0] || magic[1] !== BLOCK_MAGIC[1])
      throw new FormatError("no bzip2 block begins here", start);
    const block = readBlock(bits, links);
    input.skip(bits.position >> 3);
    bit = bits.position & 7;
    let actual = -1;
    for (const piece of runs(links, block)) {
      actual = crcOf(piece, actual);
      yield piece;
    }
    if (~actual >>> 0 !== crc) throw new FormatError("a bzip2 block does not match its checksum", start);
    combined = (((combined << 1) | (combined >>> 31)) ^ crc) >>> 0;
  }
}

/** Follows the links of the block's permutation and undoes the first run-length code: four equal bytes, then how often they go on. */
function* runs(links: Uint32Array, { count, first }: { count: number; first: number }): Generator<Buffer, void> {
  let piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  let length = 0;
  let at = (links[first] as number) >>> 8;
  let last = -1;
  let equal = 0;
  for (let i = 0; i < count; i++) {
    const link = links[at] as number;
    const byte = link & 0xff;
    at = link >>> 8;
    if (length + 256 > PIECE_BYTES) {
      yield piece.subarray(0, length);
      piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
      length = 0;
    }
    if (equal === 4) {
      piece.fill(last, length, length + byte);
      length += byte;
      equal = 0;
    } else {
      equal = byte === last ? equal + 1 : 1;
      last = byte;
      piece[length++] = byte;
    }
  }
  yield piece.subarray(0, length);
}

function crcOf(bytes: Buffer, from: number): number {
  let crc = from;
  for (let i = 0; i < bytes.length; i++)
    crc = (crc << 8) ^ (BZIP2_CRC[((crc >>> 24) ^ (bytes[i] as number)) & 0xff] as number);
  return crc;
}
