/** What is kept of a record outside of memory. */
export type Written = {
  /** By which records are sorted, in the order of code units. */
  readonly key: string;
  readonly texts: readonly string[];
  readonly chunks: readonly Buffer[];
};

// Its length without this one, how many texts and chunks, the length of the key and of all texts in bytes; then of each text (in code
// units) and of each chunk the length, the key, all texts, all chunks. Texts are UTF-8.
const HEAD_BYTES = 5 * 4;
const LENGTH_BYTES = 4;
/** A code unit in UTF-8. */
const UNIT_BYTES = 3;

/** What `writeRecord` may need. */
export function mostBytesOf({ key, texts, chunks }: Written): number {
  let bytes = HEAD_BYTES + key.length * UNIT_BYTES + (texts.length + chunks.length) * LENGTH_BYTES;
  for (const text of texts) bytes += text.length * UNIT_BYTES;
  for (const chunk of chunks) bytes += chunk.length;
  return bytes;
}

/** Answers where it ends. */
export function writeRecord({ key, texts, chunks }: Written, into: Buffer, start: number): number {
  let at = start + HEAD_BYTES;
  for (const text of texts) at = into.writeUInt32LE(text.length, at);
  for (const chunk of chunks) at = into.writeUInt32LE(chunk.length, at);
  const keyBytes = into.write(key, at);
  const textBytes = into.write(texts.join(""), at + keyBytes);
  at += keyBytes + textBytes;
  for (const chunk of chunks) at += chunk.copy(into, at);
  let head = start;
  for (const number of [at - start - LENGTH_BYTES, texts.length, chunks.length, keyBytes, textBytes]) {
    head = into.writeUInt32LE(number, head);
  }
  return at;
}

/** Where the record that begins at `start` ends, as far as its beginning tells. */
export function endOfRecord(bytes: Buffer, start: number): number {
  return start + LENGTH_BYTES + (bytes.length - start < LENGTH_BYTES ? 0 : bytes.readUInt32LE(start));
}

/** The key alone, as a string that holds on to nothing else. */
export function readKey(bytes: Buffer, start: number): string {
  const { keyStart, textStart } = placesIn(bytes, start);
  return bytes.toString("utf8", keyStart, textStart);
}

/** Chunks are views of `bytes`. */
export function readRecord(bytes: Buffer, start: number): Written {
  const { textCount, chunkCount, keyStart, textStart, chunkStart } = placesIn(bytes, start);
  const joined = bytes.toString("utf8", textStart, chunkStart);
  let length = start + HEAD_BYTES;
  const texts: string[] = [];
  for (let unit = 0; texts.length < textCount; length += LENGTH_BYTES) {
    const end = unit + bytes.readUInt32LE(length);
    texts.push(joined.slice(unit, end));
    unit = end;
  }
  const chunks: Buffer[] = [];
  for (let at = chunkStart; chunks.length < chunkCount; length += LENGTH_BYTES) {
    const end = at + bytes.readUInt32LE(length);
    chunks.push(bytes.subarray(at, end));
    at = end;
  }
  return { key: bytes.toString("utf8", keyStart, textStart), texts, chunks };
}

function placesIn(bytes: Buffer, start: number) {
  const textCount = bytes.readUInt32LE(start + 4);
  const chunkCount = bytes.readUInt32LE(start + 8);
  const keyStart = start + HEAD_BYTES + (textCount + chunkCount) * LENGTH_BYTES;
  const textStart = keyStart + bytes.readUInt32LE(start + 12);
  return { textCount, chunkCount, keyStart, textStart, chunkStart: textStart + bytes.readUInt32LE(start + 16) };
}
