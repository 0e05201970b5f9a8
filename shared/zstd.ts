import { FormatError } from "./error.ts";

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;

/**
 * The frames of a .zst file (RFC 8878, 3.1), without the skippable ones. Node's decoder stops in silence after the first
 * frame, and takes what follows it for granted, so each is found here and decoded on its own.
 * @throws FormatError when a frame is cut short or something else stands between frames
 */
export function* zstdFrames(bytes: Uint8Array): Generator<Uint8Array, void> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const need = (end: number) => {
    if (end > bytes.length) throw new FormatError("zstd data ends too early", bytes.length);
    return end;
  };
  let at = 0;
  do {
    const start = at;
    need(at + 5);
    const magic = view.getUint32(at, true);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) {
      at = need(need(at + 8) + view.getUint32(at + 4, true));
      continue;
    }
    if (magic !== MAGIC) throw new FormatError("no zstd frame begins here", at);
    const descriptor = view.getUint8(at + 4);
    const singleSegment = (descriptor >> 5) & 1;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
    const contentSizeBytes = [singleSegment, 2, 4, 8][descriptor >> 6] ?? 0;
    at = need(at + 5 + (1 - singleSegment) + dictionaryBytes + contentSizeBytes);
    for (let last = false; !last; ) {
      need(at + 3);
      const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
      last = (header & 1) === 1;
      const type = (header >> 1) & 3;
      if (type === 3) throw new FormatError("a zstd block has the reserved type", at);
      at = need(at + 3 + (type === 1 ? 1 : header >> 3));
    }
    if (descriptor & 4) at = need(at + 4);
    yield bytes.subarray(start, at);
  } while (at < bytes.length);
}
