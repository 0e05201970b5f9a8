import { FormatError } from "../error.ts";

// A reader of our own since the archive is in memory already: it needs no streams, that could stall, and it tells the
// offset of what it refuses. It reads what control archives are made with: v7, ustar, GNU (long names) and pax.

const BLOCK = 512;

export type TarEntry = {
  /** Without `.`, empty and leading-slash segments: `./control` is `control`. */
  name: string;
  isFile: boolean;
  content: Uint8Array;
  /** Where the entry's header begins in the archive. */
  offset: number;
};

/** @throws FormatError with an offset in the archive */
export function* tarEntries(tar: Uint8Array): Generator<TarEntry, void> {
  let longName: string | undefined;
  let paxSize: number | undefined;
  for (let at = 0; at < tar.length; ) {
    const offset = at;
    const header = tar.subarray(at, at + BLOCK);
    if (header.length < BLOCK) throw new FormatError("the tar archive ends inside a header", offset);
    if (header.every((byte) => byte === 0)) return;
    checkSum(header, offset);
    const type = String.fromCharCode(header[156] ?? 0);
    const isExtension = type === "L" || type === "K" || type === "x" || type === "g";
    const size = (isExtension ? undefined : paxSize) ?? number(header, 124, 12, offset);
    const content = tar.subarray(at + BLOCK, at + BLOCK + size);
    if (content.length < size) throw new FormatError("a tar entry is longer than its archive", offset);
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    switch (type) {
      case "L":
        longName = text(content, 0, content.length);
        continue;
      case "x": {
        const records = paxRecords(content, offset);
        longName = records.get("path") ?? longName;
        paxSize = records.has("size") ? Number(records.get("size")) : undefined;
        if (paxSize !== undefined && !Number.isSafeInteger(paxSize))
          throw new FormatError("a pax header gives no size", offset);
        continue;
      }
      case "K":
      case "g":
        continue;
    }
    const prefix = text(header, 257, 6) === "ustar" && header[262] === 0 ? text(header, 345, 155) : "";
    const shortName = text(header, 0, 100);
    const name = longName ?? (prefix === "" ? shortName : `${prefix}/${shortName}`);
    longName = paxSize = undefined;
    const segments = name.split("/").filter((segment) => segment !== "" && segment !== ".");
    yield { name: segments.join("/"), isFile: type === "0" || type === "\0" || type === "7", content, offset };
  }
}

/** The sum of the header's bytes, its own field taken as spaces. */
function checkSum(header: Uint8Array, offset: number): void {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : (header[i] as number);
  if (sum !== number(header, 148, 8, offset)) throw new FormatError("a tar header's checksum is wrong", offset);
}

/** Octal digits, or (GNU) big-endian bytes after a first one of 0x80. */
function number(header: Uint8Array, start: number, length: number, offset: number): number {
  if (header[start] === 0x80) {
    let value = 0;
    for (let i = start + 1; i < start + length; i++) value = value * 256 + (header[i] as number);
    if (Number.isSafeInteger(value)) return value;
  }
  const digits = text(header, start, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw new FormatError("a tar header has a number that is not octal", offset);
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

function text(bytes: Uint8Array, start: number, length: number): string {
  const field = Buffer.from(bytes.buffer, bytes.byteOffset + start, Math.min(length, bytes.length - start));
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end === -1 ? field.length : end);
}

/** `LENGTH KEY=VALUE\n`, LENGTH counting the whole record (POSIX.1-2001 pax). */
function paxRecords(content: Uint8Array, offset: number): Map<string, string> {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  const records = new Map<string, string>();
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const length = space === -1 ? Number.NaN : Number(bytes.toString("latin1", at, space));
    const record = bytes.toString("utf8", space + 1, at + length - 1);
    const equals = record.indexOf("=");
    if (!(length > space - at + 1) || at + length > bytes.length || equals < 1)
      throw new FormatError("a pax header is damaged", offset);
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}
