import { setImmediate } from "node:timers/promises";
import { createGunzip, createZstdDecompress, constants as zlib } from "node:zlib";
import { type Compression, reasonOf } from "./compression.ts";
import { bunzip2 } from "./decompress-stream-bz2.ts";
import { ByteSource } from "./decompress-stream-input.ts";
import { NativeDecoder } from "./decompress-stream-native.ts";
import { unxzStream } from "./decompress-stream-xz.ts";
import { FormatError } from "./error.ts";

export type StreamCompression = Compression | "bz2";

export type StreamLimits = {
  /** Output of more bytes than this is refused. */
  maxBytes: number;
  /** The same, as a multiple of the input read so far; the first MiB is free, since the best packed part may come first. */
  maxRatio?: number;
  /** What is decompressed, for errors. */
  where?: string;
};

/** What a file's name says of how it is packed; `plain` where it says nothing. */
export function compressionOfName(name: string): StreamCompression {
  const ending = /\.(gz|xz|zst|bz2)$/.exec(name)?.[1];
  switch (ending) {
    case "gz":
    case "xz":
    case "zst":
    case "bz2":
      return ending;
    default:
      return "plain";
  }
}

/**
 * Decompresses a stream: every member, stream or frame of it, its checksums verified. It holds no more than a window (64 MiB
 * at most for xz, 128 for zstd) and what was read ahead, reads on only when asked for more, and closes the source when it ends or is left.
 * @throws FormatError naming `where` and the byte, when the input is damaged, ends too early or goes on after its end, or passes a limit
 */
export async function* decompressStream(
  kind: StreamCompression,
  source: AsyncIterable<Uint8Array>,
  { maxBytes, maxRatio = Number.POSITIVE_INFINITY, where }: StreamLimits,
): AsyncGenerator<Buffer, void> {
  const input = new ByteSource(source);
  let made = 0;
  let sincePause = 0;
  try {
    for await (const chunk of decoded(kind, input)) {
      made += chunk.length;
      if (made > maxBytes) throw new FormatError(`more than ${maxBytes} bytes when decompressed`, input.offset);
      if (made > RATIO_FREE_BYTES && made > maxRatio * input.receivedBytes)
        throw new FormatError(`more than ${maxRatio} times as much when decompressed`, input.offset);
      if (chunk.length > 0) yield chunk;
      sincePause += chunk.length;
      if (sincePause > PAUSE_BYTES) {
        sincePause = 0;
        await setImmediate();
      }
    }
  } catch (error) {
    if (!(error instanceof FormatError) || where === undefined) throw error;
    throw new FormatError(`${where}: ${reasonOf(error)}`, error.offset);
  } finally {
    await input.close();
  }
}

const RATIO_FREE_BYTES = 1 << 20;
// Let others work after so much.
const PAUSE_BYTES = 1 << 20;
// What zlib makes at once; small enough to notice a bomb early.
const CHUNK_BYTES = 64 * 1024;
// 128 MB: what `zstd --ultra -22` asks for.
const ZSTD_WINDOW_LOG = 27;
// A decoder is made for each frame: many frames of nothing must not keep us for hours.
const MAX_FRAMES = 100_000;

function decoded(kind: StreamCompression, input: ByteSource): AsyncGenerator<Buffer, void> {
  switch (kind) {
    case "plain":
      return plain(input);
    case "gz":
      return gunzip(input);
    case "zst":
      return unzstd(input);
    case "xz":
      return unxzStream(input);
    case "bz2":
      return bunzip2(input);
    default:
      return kind satisfies never;
  }
}

async function* plain(input: ByteSource): AsyncGenerator<Buffer, void> {
  for (let chunk = await input.chunk(); chunk; chunk = await input.chunk()) yield chunk;
}

/** Node's decoder reads on through members, but takes zeros for the end and drops what follows them. */
async function* gunzip(input: ByteSource): AsyncGenerator<Buffer, void> {
  const decoder = new NativeDecoder(createGunzip({ chunkSize: CHUNK_BYTES }), () => 0);
  try {
    let lastNonZero = -1;
    let over = false;
    for (let chunk = await input.chunk(); chunk; chunk = await input.chunk()) {
      let last = chunk.length - 1;
      while (last >= 0 && chunk[last] === 0) last--;
      if (last >= 0) lastNonZero = input.offset - chunk.length + last;
      if (!over) yield* decoder.write(chunk);
      // Data that is not at its end makes use of all it is given.
      over = decoder.consumedBytes < input.offset;
      if (over && lastNonZero >= decoder.consumedBytes)
        throw new FormatError("something follows the end of the gzip data", decoder.consumedBytes);
    }
    if (!over) yield* decoder.end();
  } finally {
    decoder.close();
  }
}

/** RFC 8878, 3.1. Node's decoder stops in silence after the first frame, so each is found here and decoded on its own. */
async function* unzstd(input: ByteSource): AsyncGenerator<Buffer, void> {
  let frames = 0;
  do {
    await input.need(4, "zstd data");
    const magic = input.bytes.readUInt32LE(0);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) {
      await input.need(8, "zstd data");
      let left = input.bytes.readUInt32LE(4) + 8;
      while (left > 0) {
        await input.need(1, "zstd data");
        left -= input.skip(Math.min(left, input.bytes.length));
      }
    } else {
      if (magic !== ZSTD_MAGIC) throw new FormatError("no zstd frame begins here", input.offset);
      if (++frames > MAX_FRAMES) throw new FormatError(`more than ${MAX_FRAMES} zstd frames`, input.offset);
      yield* zstdFrame(input);
    }
  } while ((await input.fill(1)) > 0);
}

const ZSTD_MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;

async function* zstdFrame(input: ByteSource): AsyncGenerator<Buffer, void> {
  const start = input.offset;
  const options = { chunkSize: CHUNK_BYTES, params: { [zlib.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } };
  const decoder = new NativeDecoder(createZstdDecompress(options), () => start);
  try {
    await input.need(5, "zstd data");
    const descriptor = input.bytes.readUInt8(4);
    const singleSegment = (descriptor >> 5) & 1;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
    const contentSizeBytes = [singleSegment, 2, 4, 8][descriptor >> 6] ?? 0;
    // Where the next block begins, among the bytes that are not yet given to the decoder.
    let at = 5 + (1 - singleSegment) + dictionaryBytes + contentSizeBytes;
    for (let last = false; !last; ) {
      await input.need(at + 3, "zstd data");
      const header = input.bytes.readUIntLE(at, 3);
      last = (header & 1) === 1;
      const type = (header >> 1) & 3;
      const size = header >> 3;
      if (type === 3 || (type !== 1 && size > ZSTD_BLOCK_BYTES))
        throw new FormatError("a zstd block has a type or size that no version knows", input.offset + at);
      at += 3 + (type === 1 ? 1 : size);
      if (last && descriptor & 4) at += 4;
      if (at < CHUNK_BYTES && !last) continue;
      await input.need(at, "zstd data");
      yield* decoder.write(Buffer.from(input.bytes.subarray(0, at)));
      input.skip(at);
      at = 0;
    }
    yield* decoder.end();
  } finally {
    decoder.close();
  }
}

const ZSTD_BLOCK_BYTES = 128 * 1024;
