import { setImmediate } from "node:timers/promises";
import { createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress, constants as zlib } from "node:zlib";
import { FormatError } from "./error.ts";
import { Output } from "./lzma2.ts";
import { unxz } from "./xz.ts";
import { zstdFrames } from "./zstd.ts";

export type Compression = "plain" | "gz" | "xz" | "zst";

export type DecompressLimits = {
  /** Output of more bytes than this is refused as soon as it is known. */
  maxBytes: number;
  /** The same, as a multiple of the input. */
  maxRatio?: number;
  /** Where `bytes` begin in their file: added to the offset in errors. */
  at?: number;
};

/** What the first bytes say; `plain` where they say nothing. */
export function compressionOf(bytes: Uint8Array): Compression {
  if (startsWith(bytes, [0x1f, 0x8b])) return "gz";
  if (startsWith(bytes, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])) return "xz";
  if (startsWith(bytes, [0x28, 0xb5, 0x2f, 0xfd])) return "zst";
  return "plain";
}

/**
 * Decompresses what is small enough for memory: every member, stream or frame of it. Output stops at the limit, so a bomb
 * costs no more than `maxBytes`.
 * @throws FormatError when the bytes are damaged, truncated, or pass the limit
 */
export async function decompress(kind: Compression, bytes: Uint8Array, limits: DecompressLimits): Promise<Uint8Array> {
  const maxBytes = Math.min(limits.maxBytes, Math.floor(bytes.length * (limits.maxRatio ?? Number.POSITIVE_INFINITY)));
  try {
    switch (kind) {
      case "plain":
        if (bytes.length > maxBytes) throw new FormatError(`more than ${maxBytes} bytes`, maxBytes);
        return bytes;
      case "gz":
        return await collect(bytes, maxBytes, [bytes], () => createGunzip({ chunkSize: CHUNK_BYTES }));
      case "zst":
        return await collect(bytes, maxBytes, zstdFrames(bytes), () =>
          createZstdDecompress({ chunkSize: CHUNK_BYTES, params: { [zlib.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } }),
        );
      case "xz": {
        const steps = unxz(bytes, maxBytes);
        for (;;) {
          const step = steps.next();
          if (step.done) return step.value;
          await setImmediate();
        }
      }
      default:
        return kind satisfies never;
    }
  } catch (error) {
    throw error instanceof FormatError && limits.at ? movedBy(limits.at, error) : error;
  }
}

// What zlib makes at once; small enough to notice a bomb early.
const CHUNK_BYTES = 64 * 1024;
// 128 MB: what `zstd --ultra -22` asks for. Only `--long=28` and more need a larger window.
const ZSTD_WINDOW_LOG = 27;

/** Runs each part through its own decoder and stops as soon as there is too much. */
async function collect(
  bytes: Uint8Array,
  maxBytes: number,
  parts: Iterable<Uint8Array>,
  makeDecoder: () => Gunzip | ZstdDecompress,
): Promise<Uint8Array> {
  const out = new Output();
  for (const part of parts) {
    const decoder = makeDecoder();
    const start = part.byteOffset - bytes.byteOffset;
    const reached = () => start + Math.min(decoder.bytesWritten, part.length);
    try {
      decoder.end(part);
      for await (const chunk of decoder as AsyncIterable<Uint8Array>) {
        if (out.length + chunk.length > maxBytes)
          throw new FormatError(`more than ${maxBytes} bytes when decompressed`, reached());
        out.append(chunk);
      }
    } catch (error) {
      if (error instanceof FormatError || !(error instanceof Error)) throw error;
      throw new FormatError(`compressed data is damaged: ${error.message}`, reached());
    } finally {
      decoder.destroy();
    }
  }
  return out.result();
}

/** The error's message without the offset that its class adds: to tell it again with another. */
export function reasonOf(error: FormatError): string {
  return error.message.replace(/ \(at byte \d+\)$/, "");
}

function movedBy(offset: number, error: FormatError): FormatError {
  return new FormatError(reasonOf(error), error.offset + offset);
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}
