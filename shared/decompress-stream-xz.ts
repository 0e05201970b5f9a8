import { createHash, type Hash } from "node:crypto";
import { crc32 } from "node:zlib";
import { Crc64 } from "./crc64.ts";
import type { ByteSource } from "./decompress-stream-input.ts";
import { lzma2Stream, Window } from "./decompress-stream-lzma2.ts";
import { FormatError } from "./error.ts";

// The .xz file format 1.2.0, as a stream: what `xz.ts` is for a whole file in memory.

const MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const FOOTER_MAGIC = 0x5a59;
const LZMA2 = 0x21;
const CHECK_SIZES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
// `xz -9` and what Debian's own archive uses.
const MAX_DICT_BYTES = 64 * 1024 * 1024;
const WHAT = "xz data";

/** Any number of streams and blocks, every check verified; a block's bytes are given before its check is reached. */
export async function* unxzStream(input: ByteSource): AsyncGenerator<Buffer, void> {
  const window = new Window();
  do {
    yield* stream(input, window);
    await skipStreamPadding(input);
  } while ((await input.fill(1)) > 0);
}

async function* stream(input: ByteSource, window: Window): AsyncGenerator<Buffer, void> {
  const start = input.offset;
  const header = Buffer.from(await take(input, 12));
  if (!header.subarray(0, 6).equals(MAGIC)) throw new FormatError("no xz stream begins here", start);
  const flags = header.subarray(6, 8);
  if (header.readUInt32LE(8) !== crc32(flags)) throw new FormatError("the xz stream header is damaged", start);
  const check = flags[1] ?? 0;
  if (flags[0] !== 0 || check > 15)
    throw new FormatError("the xz stream header has flags that no version knows", start);

  const blocks = new Sizes();
  for (;;) {
    await input.need(1, WHAT);
    if (input.bytes[0] === 0) break;
    yield* block(input, { check, blocks, window });
  }
  const indexSize = await index(input, blocks);

  const at = input.offset;
  const footer = await take(input, 12);
  const backwardSize = (footer.readUInt32LE(4) + 1) * 4;
  const matches = footer.subarray(8, 10).equals(flags) && backwardSize === indexSize;
  if (footer.readUInt32LE(0) !== crc32(footer.subarray(4, 10)) || !matches || footer.readUInt16LE(10) !== FOOTER_MAGIC)
    throw new FormatError("the xz stream footer is damaged", at);
}

async function* block(
  input: ByteSource,
  { check, blocks, window }: { check: number; blocks: Sizes; window: Window },
): AsyncGenerator<Buffer, void> {
  const start = input.offset;
  const header = await blockHeader(input);
  const dataStart = input.offset;
  const sum = checkOf(check);
  let size = 0;
  for await (const chunk of lzma2Stream(input, header.dictSize, window)) {
    size += chunk.length;
    sum.update(chunk);
    yield chunk;
  }
  const packed = input.offset - dataStart;
  if ((header.packed ?? packed) !== packed || (header.size ?? size) !== size)
    throw new FormatError("an xz block is not as long as its header says", start);
  await skipPadding(input, packed);
  const checkStart = input.offset;
  const expected = Buffer.from(await take(input, CHECK_SIZES[check] ?? 0));
  const actual = sum.digest();
  if (actual !== undefined && !actual.equals(expected))
    throw new FormatError("an xz block's content does not match its checksum", checkStart);
  blocks.add(dataStart - start + packed + expected.length, size);
}

async function blockHeader(input: ByteSource): Promise<{ dictSize: number; packed?: number; size?: number }> {
  const start = input.offset;
  const length = ((input.bytes[0] ?? 0) + 1) * 4;
  const bytes = Buffer.from(await take(input, length));
  const damaged = () => new FormatError("an xz block header is damaged", start);
  if (bytes.readUInt32LE(length - 4) !== crc32(bytes.subarray(0, length - 4))) throw damaged();
  const flags = bytes[1] ?? 0;
  let at = 2;
  const next = () => {
    if (at >= length - 4) throw damaged();
    return bytes[at++] ?? 0;
  };
  const integer = () => {
    const value = integerFrom(next);
    if (value === undefined) throw damaged();
    return value;
  };
  const packed = flags & 0x40 ? integer() : undefined;
  const size = flags & 0x80 ? integer() : undefined;
  const filter = integer();
  if ((flags & 3) !== 0 || filter !== LZMA2)
    throw new FormatError(`an xz block uses filter ${filter}; only plain LZMA2 is read here`, start);
  const propertiesSize = integer();
  const dict = next();
  if ((flags & 0x3c) !== 0 || propertiesSize !== 1 || dict > 40)
    throw new FormatError("an xz block header has values that no version knows", start);
  while (at < length - 4) if (next() !== 0) throw damaged();
  const dictSize = dict === 40 ? 0xffffffff : (2 | (dict & 1)) * 2 ** (11 + (dict >> 1));
  if (dictSize > MAX_DICT_BYTES)
    throw new FormatError(`an xz block needs a dictionary of ${dictSize} bytes; at most ${MAX_DICT_BYTES}`, start);
  return { dictSize, ...(packed === undefined ? {} : { packed }), ...(size === undefined ? {} : { size }) };
}

/** The index repeats each block's two sizes. Answers its own size in bytes. */
async function index(input: ByteSource, blocks: Sizes): Promise<number> {
  const start = input.offset;
  let crc = 0;
  const byte = async () => {
    await input.need(1, WHAT);
    const one = input.bytes[0] ?? 0;
    crc = crc32(input.bytes.subarray(0, 1), crc);
    input.skip(1);
    return one;
  };
  const integer = async () => {
    const bytes: number[] = [];
    do bytes.push(await byte());
    while ((bytes.at(-1) ?? 0) >= 0x80 && bytes.length < 9);
    const value = integerFrom(() => bytes.shift() ?? 0);
    if (value === undefined) throw new FormatError("an xz integer is too large", input.offset);
    return value;
  };
  const wrong = () => new FormatError("the xz index does not match the blocks before it", start);
  await byte();
  if ((await integer()) !== blocks.count) throw wrong();
  const listed = new Sizes();
  while (listed.count < blocks.count) listed.add(await integer(), await integer());
  if (!listed.equals(blocks)) throw wrong();
  while ((input.offset - start) % 4 !== 0)
    if ((await byte()) !== 0) throw new FormatError("xz padding is not zero", input.offset - 1);
  const expected = crc;
  if ((await take(input, 4)).readUInt32LE(0) !== expected) throw new FormatError("the xz index is damaged", start);
  return input.offset - start;
}

/** The sizes of any number of blocks in constant memory. */
class Sizes {
  count = 0;
  readonly #hash: Hash = createHash("sha256");

  add(unpaddedSize: number, size: number): void {
    this.count++;
    this.#hash.update(`${unpaddedSize} ${size}\n`);
  }

  equals(other: Sizes): boolean {
    return this.#hash.copy().digest().equals(other.#hash.copy().digest());
  }
}

function checkOf(check: number): { update(bytes: Uint8Array): void; digest(): Buffer | undefined } {
  switch (check) {
    case 1: {
      let crc = 0;
      return {
        update: (bytes) => {
          crc = crc32(bytes, crc);
        },
        digest: () => {
          const sum = Buffer.alloc(4);
          sum.writeUInt32LE(crc);
          return sum;
        },
      };
    }
    case 4:
      return new Crc64();
    case 10: {
      const hash = createHash("sha256");
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
    }
    default:
      // None, and reserved kinds: the format says that a decoder may leave them unchecked.
      return { update: () => undefined, digest: () => undefined };
  }
}

/** Seven bits a byte, lowest first; nothing here needs more than 53 bits. Undefined where it is longer. */
function integerFrom(next: () => number): number | undefined {
  let value = 0;
  for (let shift = 0; shift < 49; shift += 7) {
    const byte = next();
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return value;
  }
  return undefined;
}

/** A view that holds until the input is asked for more. */
async function take(input: ByteSource, count: number): Promise<Buffer> {
  await input.need(count, WHAT);
  const bytes = input.bytes.subarray(0, count);
  input.skip(count);
  return bytes;
}

async function skipPadding(input: ByteSource, length: number): Promise<void> {
  const padding = await take(input, (4 - (length % 4)) % 4);
  if (padding.some((byte) => byte !== 0)) throw new FormatError("xz padding is not zero", input.offset - 1);
}

async function skipStreamPadding(input: ByteSource): Promise<void> {
  const start = input.offset;
  while ((await input.fill(1)) > 0) {
    const other = input.bytes.findIndex((byte) => byte !== 0);
    input.skip(other === -1 ? input.bytes.length : other);
    if (other !== -1) break;
  }
  if ((input.offset - start) % 4 !== 0) throw new FormatError("xz stream padding is no multiple of 4 bytes", start);
}
