import { FormatError } from "./error.ts";

// CRC-32 of polynomial 0x04c11db7, highest bit first: not zlib's.
export const BZIP2_CRC = new Int32Array(256).map((_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc;
});

const MAX_CODE_BITS = 20;
const GROUP_SYMBOLS = 50;

/** Bits, the highest of a byte first. Past the end stand zeros, so that a code can be looked up whole; `checkEnd` tells. */
export class BitReader {
  readonly #bytes: Buffer;
  readonly #offset: number;
  #at: number;
  #bits = 0;
  #count = 0;

  /** Begins at the given bit of the bytes; `offset` is where these lie in the file. */
  constructor(bytes: Buffer, bit: number, offset: number) {
    this.#bytes = bytes;
    this.#offset = offset;
    this.#at = 0;
    this.read(bit);
  }

  /** In bits from the first byte. */
  get position(): number {
    return this.#at * 8 - this.#count;
  }

  /** The next 0 to 24 bits, without taking them. */
  peek(count: number): number {
    while (this.#count < count) {
      this.#bits = (this.#bits << 8) | (this.#at < this.#bytes.length ? (this.#bytes[this.#at] as number) : 0);
      this.#at++;
      this.#count += 8;
    }
    return (this.#bits >>> (this.#count - count)) & ((1 << count) - 1);
  }

  /** Takes bits that were peeked at. */
  drop(count: number): void {
    this.#count -= count;
  }

  read(count: number): number {
    const value = this.peek(count);
    this.#count -= count;
    return value;
  }

  /** @throws FormatError when more was taken than there is */
  checkEnd(): void {
    if (this.position > this.#bytes.length * 8)
      throw new FormatError("bzip2 data ends too early", this.#offset + this.#bytes.length);
  }

  damage(what: string): FormatError {
    this.checkEnd();
    return new FormatError(`a bzip2 block is damaged: ${what}`, this.#offset + (this.position >> 3));
  }
}

/**
 * Decodes a block after its checksum into `links`: of each position of the permutation the byte (low 8 bits) and the next
 * position. `links.length` is how long a block may be.
 * @throws FormatError
 */
export function readBlock(bits: BitReader, links: Uint32Array): { count: number; first: number } {
  if (bits.read(1) !== 0) throw bits.damage("it is randomised, as only bzip2 0.9.0 and older wrote them");
  const first = bits.read(24);
  const alphabet = readAlphabet(bits);
  const codes = readCodes(bits, alphabet.length + 2);
  const counts = new Int32Array(256);
  const count = readSymbols(bits, alphabet, codes, links, counts);
  bits.checkEnd();
  if (first >= count) throw bits.damage("its first byte lies outside of it");
  let before = 0;
  for (let byte = 0; byte < 256; byte++) {
    const there = counts[byte] as number;
    counts[byte] = before;
    before += there;
  }
  for (let i = 0; i < count; i++) {
    const byte = (links[i] as number) & 0xff;
    const to = counts[byte] as number;
    counts[byte] = to + 1;
    links[to] = (links[to] as number) | (i << 8);
  }
  return { count, first };
}

function readAlphabet(bits: BitReader): Uint8Array {
  const groups = bits.read(16);
  const used: number[] = [];
  for (let group = 0; group < 16; group++) {
    if (((groups >> (15 - group)) & 1) === 0) continue;
    const members = bits.read(16);
    for (let i = 0; i < 16; i++) if ((members >> (15 - i)) & 1) used.push(group * 16 + i);
  }
  if (used.length === 0) throw bits.damage("it uses no byte at all");
  return Uint8Array.from(used);
}

/** The codes in the order in which groups of 50 symbols use them. */
type Codes = { selectors: Uint8Array; tables: readonly CodeTable[] };

function readCodes(bits: BitReader, symbols: number): Codes {
  const tableCount = bits.read(3);
  const selectorCount = bits.read(15);
  if (tableCount < 2 || tableCount > 6 || selectorCount === 0) throw bits.damage("its number of codes");
  const order = [0, 1, 2, 3, 4, 5];
  const selectors = new Uint8Array(selectorCount);
  for (let i = 0; i < selectorCount; i++) {
    let rank = 0;
    while (bits.read(1) === 1) if (++rank >= tableCount) throw bits.damage("it selects a code that is not there");
    const [table = 0] = order.splice(rank, 1);
    order.unshift(table);
    selectors[i] = table;
  }
  return { selectors, tables: Array.from({ length: tableCount }, () => readTable(bits, symbols)) };
}

/** A canonical Huffman code. */
type CodeTable = {
  minBits: number;
  /** Of each length, the first code (as 20 bits) that is longer. */
  ends: Int32Array;
  /** Of each length, what to add to a code to find its symbol. */
  offsets: Int32Array;
  symbols: Uint16Array;
};

function readTable(bits: BitReader, symbolCount: number): CodeTable {
  const lengths = new Uint8Array(symbolCount);
  let length = bits.read(5);
  for (let symbol = 0; symbol < symbolCount; symbol++) {
    for (;;) {
      if (length < 1 || length > MAX_CODE_BITS) throw bits.damage(`a code of ${length} bits`);
      if (bits.read(1) === 0) break;
      length += bits.read(1) === 0 ? 1 : -1;
    }
    lengths[symbol] = length;
  }
  const ends = new Int32Array(MAX_CODE_BITS + 1);
  const offsets = new Int32Array(MAX_CODE_BITS + 1);
  const symbols = new Uint16Array(symbolCount);
  let code = 0;
  let filled = 0;
  for (let size = 1; size <= MAX_CODE_BITS; size++) {
    offsets[size] = filled - code;
    for (let symbol = 0; symbol < symbolCount; symbol++) {
      if (lengths[symbol] !== size) continue;
      symbols[filled++] = symbol;
      code++;
    }
    if (code > 1 << size) throw bits.damage("a code that has no room for its symbols");
    ends[size] = code << (MAX_CODE_BITS - size);
    code <<= 1;
  }
  return { minBits: lengths.reduce((a, b) => Math.min(a, b), MAX_CODE_BITS), ends, offsets, symbols };
}

/** Huffman codes to move-to-front ranks and runs of the foremost byte, to bytes. Answers how many. */
function readSymbols(
  bits: BitReader,
  alphabet: Uint8Array,
  { selectors, tables }: Codes,
  links: Uint32Array,
  counts: Int32Array,
): number {
  const front = alphabet;
  const end = front.length + 1;
  let count = 0;
  let run = 0;
  let runBit = 1;
  for (const selector of selectors) {
    const { minBits, ends, offsets, symbols } = tables[selector] as CodeTable;
    for (let i = 0; i < GROUP_SYMBOLS; i++) {
      const code = bits.peek(MAX_CODE_BITS);
      let size = minBits;
      while (size <= MAX_CODE_BITS && code >= (ends[size] as number)) size++;
      if (size > MAX_CODE_BITS) throw bits.damage("bits that are no code");
      bits.drop(size);
      const symbol = symbols[(code >> (MAX_CODE_BITS - size)) + (offsets[size] as number)] as number;
      if (symbol < 2) {
        run += runBit << symbol;
        runBit <<= 1;
        if (run > links.length) throw bits.damage("it is longer than its stream allows");
        continue;
      }
      if (run > 0) {
        if (count + run > links.length) throw bits.damage("it is longer than its stream allows");
        const byte = front[0] as number;
        links.fill(byte, count, count + run);
        counts[byte] = (counts[byte] as number) + run;
        count += run;
        run = 0;
        runBit = 1;
      }
      if (symbol === end) return count;
      if (count >= links.length) throw bits.damage("it is longer than its stream allows");
      const byte = front[symbol - 1] as number;
      front.copyWithin(1, 0, symbol - 1);
      front[0] = byte;
      links[count++] = byte;
      counts[byte] = (counts[byte] as number) + 1;
    }
  }
  throw bits.damage("it has no end");
}
