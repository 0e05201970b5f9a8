import type { RangeSource } from "../blob.ts";
import { FormatError } from "../error.ts";

export const AR_MAGIC = "!<arch>\n";
const HEADER_BYTES = 60;

export type ArMember = {
  name: string;
  /** Where its header begins. */
  offset: number;
  start: number;
  sizeBytes: number;
  /** Where the next header begins. */
  next: number;
};

/** The few ranged reads that parsing needs: each asks for a window, and what lies in it costs nothing more. */
export class Window {
  readonly sizeBytes: number;
  readonly #source: RangeSource;
  #start = 0;
  #bytes: Uint8Array = new Uint8Array(0);

  constructor(source: RangeSource) {
    this.#source = source;
    this.sizeBytes = source.sizeBytes;
  }

  /** The bytes there, reading on to `ahead` bytes at least when a read is needed. */
  async bytes(offset: number, length: number, ahead = length): Promise<Uint8Array> {
    if (offset + length > this.sizeBytes) throw new FormatError("the file ends too early", this.sizeBytes);
    const end = this.#start + this.#bytes.length;
    if (offset < this.#start || offset + length > end) {
      const kept =
        offset >= this.#start && offset < end ? this.#bytes.subarray(offset - this.#start) : new Uint8Array(0);
      const from = offset + kept.length;
      const wanted = Math.min(Math.max(offset + length, offset + ahead), this.sizeBytes) - from;
      const read = await this.#source.read(from, wanted);
      if (read.length < wanted) throw new FormatError("the file ends too early", from + read.length);
      this.#bytes = kept.length === 0 ? read : Buffer.concat([kept, read]);
      this.#start = offset;
    }
    return this.#bytes.subarray(offset - this.#start, offset - this.#start + length);
  }
}

/** Reads the member header at `offset` (deb(5): the plain ar format, no long names). */
export async function readMember(window: Window, offset: number, ahead = HEADER_BYTES): Promise<ArMember> {
  if (offset + HEADER_BYTES > window.sizeBytes)
    throw new FormatError("the file ends inside an ar member header", offset);
  const header = Buffer.from(await window.bytes(offset, HEADER_BYTES, ahead)).toString("latin1");
  if (header.slice(58) !== "`\n") throw new FormatError("no ar member header stands here", offset);
  const rawName = header.slice(0, 16).trimEnd();
  if (rawName.startsWith("#1/") || rawName.startsWith("/"))
    throw new FormatError(
      `the ar member name ${JSON.stringify(rawName)} is of a kind that a .deb may not have`,
      offset,
    );
  const name = rawName.replace(/\/$/, "");
  const size = header.slice(48, 58).trimEnd();
  if (!/^\d+$/.test(size))
    throw new FormatError(`ar member ${JSON.stringify(name)} has the size ${JSON.stringify(size)}`, offset);
  const sizeBytes = Number(size);
  const start = offset + HEADER_BYTES;
  const end = start + sizeBytes;
  if (end > window.sizeBytes) {
    const missing = end - window.sizeBytes;
    throw new FormatError(`the file is cut short: ar member ${JSON.stringify(name)} lacks ${missing} bytes`, offset);
  }
  return { name, offset, start, sizeBytes, next: end + (sizeBytes % 2) };
}
