import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { crc64Xz } from "./crc64.ts";
import { FormatError } from "./error.ts";
import { Lzma, LzmaDamage, Output } from "./lzma2.ts";

// The .xz file format 1.2.0. A decoder of our own since xz-decompress spins for ever on a truncated file, drops all
// streams after the first, refuses SHA-256 checks, keeps what memory a hostile dictionary size made it take, holds a
// process-wide lock until its reader has read on to the end, and does not load in an ESM bundle.

const MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
const LZMA2 = 0x21;
const CHECK_SIZES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const CHECK_SHA256 = 10;
const CHECK_CRC64 = 4;
const CHECK_CRC32 = 1;

type Block = { unpaddedSize: number; size: number };

/**
 * Decompresses a whole .xz file: any number of streams and blocks, every check verified. It yields now and then, so that
 * the caller can let others work, and returns the bytes, which are those of `out`. No more than `maxBytes` are ever made.
 * @throws FormatError with an offset in `bytes`
 */
export function* unxz(bytes: Uint8Array, maxBytes: number, out: Output = new Output()): Generator<void, Uint8Array> {
  const reader = new Reader(bytes);
  do {
    yield* stream(reader, out, maxBytes);
    reader.skipStreamPadding();
  } while (!reader.atEnd);
  return out.result();
}

function* stream(reader: Reader, out: Output, maxBytes: number): Generator<void, void> {
  const start = reader.at;
  for (const byte of MAGIC) if (reader.byte() !== byte) throw new FormatError("no xz stream begins here", start);
  const flags = reader.take(2);
  if (reader.uint32() !== crc32(flags)) throw new FormatError("the xz stream header is damaged", start);
  const check = flags[1] ?? 0;
  if (flags[0] !== 0 || check > 15)
    throw new FormatError("the xz stream header has flags that no version knows", start);

  const blocks: Block[] = [];
  while (reader.peek() !== 0) blocks.push(yield* block(reader, out, check, maxBytes));
  const indexSize = index(reader, blocks);

  const footer = reader.at;
  const footerCrc = reader.uint32();
  const covered = reader.take(6);
  const backwardSize = (new DataView(covered.buffer, covered.byteOffset).getUint32(0, true) + 1) * 4;
  const matches = covered[4] === flags[0] && covered[5] === flags[1] && backwardSize === indexSize;
  if (footerCrc !== crc32(covered) || !matches || reader.byte() !== 0x59 || reader.byte() !== 0x5a)
    throw new FormatError("the xz stream footer is damaged", footer);
}

function* block(reader: Reader, out: Output, check: number, maxBytes: number): Generator<void, Block> {
  const start = reader.at;
  const header = readBlockHeader(reader);
  const dataStart = reader.at;
  const outStart = out.length;
  yield* lzma2(reader, out, header.dictSize, maxBytes);
  const packed = reader.at - dataStart;
  const size = out.length - outStart;
  if ((header.packed ?? packed) !== packed || (header.size ?? size) !== size)
    throw new FormatError("an xz block is not as long as its header says", start);
  reader.skipPadding(dataStart);
  const checkStart = reader.at;
  const expected = Buffer.from(reader.take(CHECK_SIZES[check] ?? 0));
  const actual = checkOf(check, out.bytes.subarray(outStart, out.length));
  if (actual !== undefined && !actual.equals(expected))
    throw new FormatError("an xz block's content does not match its checksum", checkStart);
  return { unpaddedSize: dataStart - start + packed + expected.length, size };
}

function readBlockHeader(reader: Reader): { dictSize: number; packed?: number; size?: number } {
  const start = reader.at;
  const length = (reader.peek() + 1) * 4;
  const bytes = reader.take(length - 4);
  if (reader.uint32() !== crc32(bytes)) throw new FormatError("an xz block header is damaged", start);
  const header = new Reader(bytes.subarray(1), start + 1);
  const flags = header.byte();
  const packed = flags & 0x40 ? header.integer() : undefined;
  const size = flags & 0x80 ? header.integer() : undefined;
  const filter = header.integer();
  if ((flags & 3) !== 0 || filter !== LZMA2)
    throw new FormatError(`an xz block uses filter ${filter}; only plain LZMA2 is read here`, start);
  const propertiesSize = header.integer();
  const dict = header.byte();
  if ((flags & 0x3c) !== 0 || propertiesSize !== 1 || dict > 40)
    throw new FormatError("an xz block header has values that no version knows", start);
  while (!header.atEnd) if (header.byte() !== 0) throw new FormatError("an xz block header is damaged", start);
  const dictSize = dict === 40 ? 0xffffffff : (2 | (dict & 1)) * 2 ** (11 + (dict >> 1));
  return { dictSize, ...(packed === undefined ? {} : { packed }), ...(size === undefined ? {} : { size }) };
}

/** The index repeats each block's two sizes. Returns its own size in bytes. */
function index(reader: Reader, blocks: readonly Block[]): number {
  const start = reader.at;
  reader.byte();
  let matches = reader.integer() === blocks.length;
  for (const { unpaddedSize, size } of blocks)
    matches = matches && reader.integer() === unpaddedSize && reader.integer() === size;
  if (!matches) throw new FormatError("the xz index does not match the blocks before it", start);
  reader.skipPadding(start);
  const covered = reader.since(start);
  if (reader.uint32() !== crc32(covered)) throw new FormatError("the xz index is damaged", start);
  return reader.at - start;
}

/** LZMA2: chunks of at most 2 MiB, each told its size before its bytes, so a limit is held before anything is made. */
function* lzma2(reader: Reader, out: Output, dictSize: number, maxBytes: number): Generator<void, void> {
  const decoder = new Lzma(out, dictSize);
  let needsDictionary = true;
  let needsProperties = true;
  for (let sinceYield = 0; ; ) {
    const start = reader.at;
    const control = reader.byte();
    if (control === 0) return;
    if (control === 1 || control >= 0xe0) {
      decoder.dictStart = out.length;
      needsDictionary = false;
      needsProperties = true;
    }
    if (needsDictionary || (control > 2 && control < 0x80))
      throw new FormatError(`an LZMA2 chunk of kind ${control} can not stand here`, start);
    const size = ((control & 0x80 ? control & 0x1f : 0) << 16) + reader.uint16() + 1;
    if (out.length + size > maxBytes) throw new FormatError(`more than ${maxBytes} bytes when decompressed`, start);
    if (control < 0x80) {
      out.append(reader.take(size));
    } else {
      const packed = reader.uint16() + 1;
      const reset = (control >> 5) & 3;
      try {
        if (reset >= 2) {
          decoder.setProperties(reader.byte());
          needsProperties = false;
        }
        if (reset >= 1) decoder.resetState();
        if (needsProperties) throw new LzmaDamage("an LZMA2 chunk lacks the properties it needs");
        const dataStart = reader.at;
        reader.take(packed);
        out.reserve(size);
        decoder.decode(reader.bytes, dataStart, dataStart + packed, size);
      } catch (error) {
        if (error instanceof LzmaDamage) throw new FormatError(error.message, start);
        throw error;
      }
    }
    sinceYield += size;
    if (sinceYield > 1 << 20) {
      sinceYield = 0;
      yield;
    }
  }
}

function checkOf(check: number, bytes: Uint8Array): Buffer | undefined {
  switch (check) {
    case 0:
      return Buffer.alloc(0);
    case CHECK_CRC32: {
      const sum = Buffer.alloc(4);
      sum.writeUInt32LE(crc32(bytes));
      return sum;
    }
    case CHECK_CRC64:
      return crc64Xz(bytes);
    case CHECK_SHA256:
      return createHash("sha256").update(bytes).digest();
    default:
      // Reserved kinds: the format says that a decoder may leave them unchecked.
      return undefined;
  }
}

class Reader {
  at = 0;
  readonly bytes: Uint8Array;
  readonly #base: number;

  constructor(bytes: Uint8Array, base = 0) {
    this.bytes = bytes;
    this.#base = base;
  }

  get atEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  peek(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw this.#truncated();
    return byte;
  }

  byte(): number {
    const byte = this.peek();
    this.at++;
    return byte;
  }

  take(count: number): Uint8Array {
    if (this.at + count > this.bytes.length) throw this.#truncated();
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  since(start: number): Uint8Array {
    return this.bytes.subarray(start, this.at);
  }

  uint16(): number {
    return this.byte() * 256 + this.byte();
  }

  uint32(): number {
    const four = this.take(4);
    return new DataView(four.buffer, four.byteOffset).getUint32(0, true);
  }

  /** Seven bits a byte, lowest first; nothing here needs more than 53 bits. */
  integer(): number {
    const start = this.at;
    let value = 0;
    for (let shift = 0; shift < 49; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new FormatError("an xz integer is too large", this.#base + start);
  }

  /** Zeros up to a multiple of four bytes since `start`. */
  skipPadding(start: number): void {
    while ((this.at - start) % 4 !== 0)
      if (this.byte() !== 0) throw new FormatError("xz padding is not zero", this.#base + this.at - 1);
  }

  skipStreamPadding(): void {
    const start = this.at;
    while (this.bytes[this.at] === 0) this.at++;
    if ((this.at - start) % 4 !== 0) throw new FormatError("xz stream padding is no multiple of 4 bytes", start);
  }

  #truncated(): FormatError {
    return new FormatError("xz data ends too early", this.#base + this.bytes.length);
  }
}
