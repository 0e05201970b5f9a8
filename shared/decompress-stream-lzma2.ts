import type { ByteSource } from "./decompress-stream-input.ts";
import { FormatError } from "./error.ts";
import { Lzma, LzmaDamage, Output } from "./lzma2.ts";

// An LZMA2 chunk gives at most so much.
const MAX_CHUNK_BYTES = 2 << 20;
const WHAT = "xz data";

/** Output that keeps as much of itself as a match may reach back to, and forgets what is older. One serves all blocks of a file. */
export class Window extends Output {
  #dictSize = 0;

  override bytes: Uint8Array = new Uint8Array(0);

  begin(dictSize: number): void {
    this.length = 0;
    this.#dictSize = dictSize;
    // A quarter more than is looked back to, so that moving costs little. The system gives memory only where it is written to.
    const wanted = dictSize + Math.max(dictSize >> 2, 2 * MAX_CHUNK_BYTES);
    if (this.bytes.length < wanted) this.bytes = new Uint8Array(wanted);
  }

  /** Makes room. Answers by how much everything moved towards the beginning. */
  slide(count: number): number {
    if (this.length + count <= this.bytes.length) return 0;
    const by = Math.max(0, this.length - this.#dictSize);
    this.bytes.copyWithin(0, by, this.length);
    this.length -= by;
    return by;
  }
}

/** Chunks of at most 2 MiB from at most 64 KiB, each told its size before its bytes: one is in memory at a time, and the window. */
export async function* lzma2Stream(input: ByteSource, dictSize: number, out: Window): AsyncGenerator<Buffer, void> {
  out.begin(dictSize);
  const decoder = new Lzma(out, dictSize);
  let needsDictionary = true;
  let needsProperties = true;
  for (;;) {
    const start = input.offset;
    await input.need(1, WHAT);
    const control = input.bytes[0] ?? 0;
    if (control === 0) {
      input.skip(1);
      return;
    }
    if (control === 1 || control >= 0xe0) {
      decoder.dictStart = out.length;
      needsDictionary = false;
      needsProperties = true;
    }
    if (needsDictionary || (control > 2 && control < 0x80))
      throw new FormatError(`an LZMA2 chunk of kind ${control} can not stand here`, start);
    const packedKind = control >= 0x80;
    const reset = packedKind ? (control >> 5) & 3 : 0;
    const headerSize = packedKind ? (reset >= 2 ? 6 : 5) : 3;
    await input.need(headerSize, WHAT);
    const header = Buffer.from(input.bytes.subarray(0, headerSize));
    input.skip(headerSize);
    const size = ((packedKind ? control & 0x1f : 0) << 16) + header.readUInt16BE(1) + 1;
    decoder.dictStart -= out.slide(size);
    const from = out.length;
    const packed = packedKind ? header.readUInt16BE(3) + 1 : size;
    await input.need(packed, WHAT);
    if (packedKind) {
      try {
        if (reset >= 2) {
          decoder.setProperties(header[5] ?? 0);
          needsProperties = false;
        }
        if (reset >= 1) decoder.resetState();
        if (needsProperties) throw new LzmaDamage("an LZMA2 chunk lacks the properties it needs");
        decoder.decode(input.bytes, 0, packed, size);
      } catch (error) {
        if (error instanceof LzmaDamage) throw new FormatError(error.message, start);
        throw error;
      }
    } else {
      out.append(input.bytes.subarray(0, packed));
    }
    input.skip(packed);
    yield Buffer.from(out.bytes.subarray(from, out.length));
  }
}
