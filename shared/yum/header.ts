import type { RangeSource } from "../blob.ts";
import { FormatError } from "../error.ts";

/** Types of header data: rpm's rpmtag.h, `rpmTagType_e`. */
export const TYPE = {
  NULL: 0,
  CHAR: 1,
  INT8: 2,
  INT16: 3,
  INT32: 4,
  INT64: 5,
  STRING: 6,
  BIN: 7,
  STRING_ARRAY: 8,
  I18NSTRING: 9,
} as const;

/** Bytes of one element; 0 where elements are strings that end in a zero byte. NULL has no data at all, which rpm refuses. */
const ELEMENT_BYTES = [Number.NaN, 1, 1, 2, 4, 8, 0, 1, 0, 0];

const MAGIC = Buffer.from([0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0]);
const INTRO_BYTES = 16;
const ENTRY_BYTES = 16;
/** rpm's own limit is the same. */
const MAX_ENTRIES = 0xffff;
/** rpm takes 256 MB; a kernel's 100,000 files need about 20. */
const MAX_STORE_BYTES = 64 * 1024 * 1024;
const MAX_STRING_BYTES = 1024 * 1024;
/** A region tag (61, 62, 63) comes first and its data last: rpm's lib/header.c. */
const REGION_TAGS = new Set([61, 62, 63]);
const FIRST_TAG = 100;
const FIRST_READ_BYTES = 64 * 1024;

type Entry = { tag: number; type: number; offset: number; count: number };

/** The bytes of a file's head, read with few requests: one for the first 64 KB, then only what is asked beyond them. */
export type Head = { sizeBytes: number; bytes(offset: number, length: number, what: string): Promise<Buffer> };

export async function openHead(source: RangeSource): Promise<Head> {
  const first = Buffer.from(await source.read(0, Math.min(FIRST_READ_BYTES, source.sizeBytes)));
  return {
    sizeBytes: source.sizeBytes,
    async bytes(offset, length, what) {
      const end = offset + length;
      const cut = () =>
        new FormatError(
          `the file ends before the ${what} does, which needs ${end} bytes`,
          Math.min(offset, source.sizeBytes),
        );
      if (end > source.sizeBytes) throw cut();
      if (end <= first.length) return first.subarray(offset, end);
      const from = Math.max(offset, first.length);
      const rest = Buffer.from(await source.read(from, end - from));
      if (rest.length < end - from) throw cut();
      return from === offset ? rest : Buffer.concat([first.subarray(offset), rest]);
    },
  };
}

/**
 * One header of an rpm: an index of tags over a store of data, every entry checked as rpm's own `hdrblobVerifyInfo` does.
 * Strings are given as bytes in a string (one code unit a byte): text.ts makes text of them.
 */
export class Header {
  /** Bytes of the file. */
  readonly start: number;
  readonly end: number;
  readonly #entries: Map<number, Entry>;
  readonly #store: Buffer;

  constructor(start: number, end: number, entries: Map<number, Entry>, store: Buffer) {
    this.start = start;
    this.end = end;
    this.#entries = entries;
    this.#store = store;
  }

  has(tag: number): boolean {
    return this.#entries.has(tag);
  }

  /** Elements of the tag, 0 where it is not there. */
  count(tag: number): number {
    return this.#entries.get(tag)?.count ?? 0;
  }

  /** Byte of the file at which the tag's data begins, or the header itself. */
  offsetOf(tag: number): number {
    const entry = this.#entries.get(tag);
    return entry === undefined ? this.start : this.#storeStart + entry.offset;
  }

  /** The one string of a tag; the first, which is the untranslated one, of an I18NSTRING; `undefined` for anything else. */
  string(tag: number): string | undefined {
    const entry = this.#entries.get(tag);
    if (entry === undefined || (entry.count !== 1 && entry.type !== TYPE.I18NSTRING)) return undefined;
    return this.strings(tag, 1)[0];
  }

  /** At most `limit` strings of a tag; none where it is of another type or not there. */
  strings(tag: number, limit = Number.POSITIVE_INFINITY): string[] {
    const entry = this.#entries.get(tag);
    if (entry === undefined || ELEMENT_BYTES[entry.type] !== 0) return [];
    const strings: string[] = [];
    const count = Math.min(entry.type === TYPE.I18NSTRING ? 1 : entry.count, limit);
    for (let from = entry.offset; strings.length < count; ) {
      const end = this.#store.indexOf(0, from);
      if (end - from > MAX_STRING_BYTES)
        throw new FormatError(`a text of ${end - from} bytes, more than ${MAX_STRING_BYTES}`, this.#storeStart + from);
      strings.push(this.#store.toString("latin1", from, end));
      from = end + 1;
    }
    return strings;
  }

  /** The first number of a tag; `undefined` where it is of another type or not there. */
  number(tag: number): number | undefined {
    return this.numbers(tag, 1)[0];
  }

  /** At most `limit` unsigned numbers of a tag; none where it is of another type or not there. */
  numbers(tag: number, limit = Number.POSITIVE_INFINITY): number[] {
    const entry = this.#entries.get(tag);
    if (entry === undefined || entry.type < TYPE.CHAR || entry.type > TYPE.INT64) return [];
    const width = ELEMENT_BYTES[entry.type] ?? 1;
    return Array.from({ length: Math.min(entry.count, limit) }, (_, i) => {
      const at = entry.offset + i * width;
      return width === 8 ? this.#long(at) : this.#store.readUIntBE(at, width);
    });
  }

  #long(at: number): number {
    const value = this.#store.readBigUInt64BE(at);
    if (value > Number.MAX_SAFE_INTEGER)
      throw new FormatError(`${value} is more than any size can be`, this.#storeStart + at);
    return Number(value);
  }

  get #storeStart(): number {
    return this.end - this.#store.length;
  }
}

/** Reads the header that begins at byte `start`; `what` names it in errors. */
export async function readHeader(head: Head, start: number, what: string): Promise<Header> {
  const intro = await head.bytes(start, INTRO_BYTES, what);
  if (!intro.subarray(0, MAGIC.length).equals(MAGIC)) throw new FormatError(`no ${what} begins here`, start);
  const entryCount = intro.readUInt32BE(8);
  const storeBytes = intro.readUInt32BE(12);
  if (entryCount === 0 || entryCount > MAX_ENTRIES)
    throw new FormatError(`the ${what} has ${entryCount} tags, but 1 to ${MAX_ENTRIES} are possible`, start + 8);
  if (storeBytes > MAX_STORE_BYTES)
    throw new FormatError(`the ${what} has ${storeBytes} bytes of data, more than ${MAX_STORE_BYTES}`, start + 12);

  const indexStart = start + INTRO_BYTES;
  const indexBytes = entryCount * ENTRY_BYTES;
  const bytes = await head.bytes(indexStart, indexBytes + storeBytes, what);
  const store = bytes.subarray(indexBytes);
  const entries = new Map<number, Entry>();
  let dataEnd = 0;
  for (let i = 0; i < entryCount; i++) {
    const at = i * ENTRY_BYTES;
    const entry = {
      tag: bytes.readUInt32BE(at),
      type: bytes.readUInt32BE(at + 4),
      offset: bytes.readUInt32BE(at + 8),
      count: bytes.readUInt32BE(at + 12),
    };
    const refuse = (why: string) => new FormatError(`tag ${entry.tag} of the ${what} ${why}`, indexStart + at);
    const region = i === 0 && REGION_TAGS.has(entry.tag);
    if (entry.tag < FIRST_TAG && !region) throw refuse("is out of place");
    if (entry.type < TYPE.CHAR || entry.type > TYPE.I18NSTRING) throw refuse(`has the impossible type ${entry.type}`);
    const width = ELEMENT_BYTES[entry.type] ?? 0;
    if (width > 1 && entry.offset % width !== 0) throw refuse(`lies at ${entry.offset}, which is not aligned`);
    // rpm's data never overlap; so all strings together are never longer than the store.
    if (entry.offset < dataEnd) throw refuse(`lies at ${entry.offset}, inside the data of the tag before it`);
    if (entry.count === 0) throw refuse("has no elements");
    if (entry.type === TYPE.STRING && entry.count !== 1) throw refuse(`is one string, but counts ${entry.count}`);
    const end = width > 0 ? entry.offset + entry.count * width : stringsEnd(store, entry);
    if (end > store.length) throw refuse(`ends beyond the ${what}: ${entry.count} elements from ${entry.offset}`);
    if (!region) dataEnd = end;
    // A later entry replaces one of the region: rpm's `headerLoad` ("dribbles").
    entries.set(entry.tag, entry);
  }
  return new Header(start, indexStart + bytes.length, entries, store);
}

/** Where the entry's last string ends, its zero byte included; beyond the store where strings are missing. */
function stringsEnd(store: Buffer, entry: Entry): number {
  let left = entry.count;
  for (let at = entry.offset; at < store.length; at++) if (store[at] === 0 && --left === 0) return at + 1;
  return Number.POSITIVE_INFINITY;
}
