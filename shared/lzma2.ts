/** Where decompressed bytes go. It grows as they come and is the dictionary too, so memory follows real output. */
export class Output {
  bytes: Uint8Array = new Uint8Array(64 * 1024);
  length = 0;

  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }

  append(chunk: Uint8Array): void {
    this.reserve(chunk.length);
    this.bytes.set(chunk, this.length);
    this.length += chunk.length;
  }

  /** Told of each match before its bytes are here: how many, and from how far back. */
  copied(_length: number, _back: number): void {}

  /** A view, not a copy. */
  result(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}

/** Damage inside LZMA data; the caller knows where in the file it lies. */
export class LzmaDamage extends Error {}

// Where each group of probabilities begins in the one array (the LZMA specification, 9.20, names them so).
const STATES = 12;
const IS_MATCH = 0;
const IS_REP = IS_MATCH + STATES * 16;
const IS_REP_G0 = IS_REP + STATES;
const IS_REP_G1 = IS_REP_G0 + STATES;
const IS_REP_G2 = IS_REP_G1 + STATES;
const IS_REP0_LONG = IS_REP_G2 + STATES;
const POS_SLOT = IS_REP0_LONG + STATES * 16;
const POS_SPECIAL = POS_SLOT + 4 * 64;
const ALIGN = POS_SPECIAL + 115;
const MATCH_LENGTH = ALIGN + 16;
const LENGTH_SIZE = 2 + 16 * 8 + 16 * 8 + 256;
const REP_LENGTH = MATCH_LENGTH + LENGTH_SIZE;
const LITERAL = REP_LENGTH + LENGTH_SIZE;
/**
 * The range coder's two numbers are of 32 bits, and held as integers with a sign, which are never boxed: with that bit turned over
 * they compare as if they had none.
 */
const SIGN = 0x80000000 | 0;

/**
 * The LZMA decoder with the state that LZMA2 chunks share. It writes to `out` and looks back no further than `dictStart`
 * and `dictSize`. The caller reserves the chunk's output, whose size LZMA2 tells, before decoding it.
 */
export class Lzma {
  dictStart = 0;
  readonly #out: Output;
  readonly #dictSize: number;
  readonly #probs = new Uint16Array(LITERAL + (0x300 << 4));
  #input: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;
  #range = 0;
  #code = 0;
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;
  #literalContext = 0;
  #literalPosMask = 0;
  #posMask = 0;

  constructor(out: Output, dictSize: number) {
    this.#out = out;
    this.#dictSize = dictSize;
  }

  /** `lc + lp` is at most 4 in LZMA2. */
  setProperties(byte: number): void {
    if (byte >= 9 * 5 * 5) throw new LzmaDamage(`${byte} is no LZMA properties byte`);
    const lc = byte % 9;
    const lp = Math.floor(byte / 9) % 5;
    if (lc + lp > 4) throw new LzmaDamage(`the LZMA properties lc=${lc} lp=${lp} are not allowed in LZMA2`);
    this.#literalContext = lc;
    this.#literalPosMask = (1 << lp) - 1;
    this.#posMask = (1 << Math.floor(byte / 45)) - 1;
  }

  resetState(): void {
    this.#probs.fill(1024);
    this.#state = this.#rep0 = this.#rep1 = this.#rep2 = this.#rep3 = 0;
  }

  /** Decodes one chunk: the compressed bytes `start … end` of `input` must give exactly `size` bytes. */
  decode(input: Uint8Array, start: number, end: number, size: number): void {
    this.#input = input;
    this.#at = start + 5;
    this.#end = end;
    if (this.#at > end || input[start] !== 0) throw new LzmaDamage("an LZMA chunk does not begin with its range coder");
    this.#range = -1;
    this.#code = new DataView(input.buffer, input.byteOffset + start + 1, 4).getInt32(0);
    const out = this.#out;
    const limit = out.length + size;
    while (out.length < limit) {
      const posState = (out.length - this.dictStart) & this.#posMask;
      if (this.#bit(IS_MATCH + (this.#state << 4) + posState) === 0) this.#literal();
      else this.#copy(posState, limit);
      if (this.#at > end) throw new LzmaDamage("LZMA data ends too early");
    }
    this.#normalize();
    if (this.#at !== end || this.#code !== 0) throw new LzmaDamage("LZMA data does not end where its chunk ends");
  }

  #normalize(): void {
    if (this.#range >>> 24 === 0) {
      this.#range <<= 8;
      this.#code = (this.#code << 8) | (this.#at < this.#end ? (this.#input[this.#at] as number) : 0);
      this.#at++;
    }
  }

  #bit(index: number): number {
    this.#normalize();
    const prob = this.#probs[index] as number;
    const bound = Math.imul(this.#range >>> 11, prob);
    if ((this.#code ^ SIGN) < (bound ^ SIGN)) {
      this.#range = bound;
      this.#probs[index] = prob + ((2048 - prob) >>> 5);
      return 0;
    }
    this.#range = (this.#range - bound) | 0;
    this.#code = (this.#code - bound) | 0;
    this.#probs[index] = prob - (prob >>> 5);
    return 1;
  }

  #tree(base: number, bits: number): number {
    return this.#symbol(base, 1, 1 << bits) - (1 << bits);
  }

  /** The bits of a tree from `symbol` on, until it is `limit` or more: what `#bit` does, with all of it in variables, for most bits. */
  #symbol(base: number, symbol: number, limit: number): number {
    const probs = this.#probs;
    const input = this.#input;
    const end = this.#end;
    let at = this.#at;
    let range = this.#range;
    let code = this.#code;
    let node = symbol;
    while (node < limit) {
      if (range >>> 24 === 0) {
        range <<= 8;
        code = (code << 8) | (at < end ? (input[at] as number) : 0);
        at++;
      }
      const index = base + node;
      const prob = probs[index] as number;
      const bound = Math.imul(range >>> 11, prob);
      if ((code ^ SIGN) < (bound ^ SIGN)) {
        range = bound;
        probs[index] = prob + ((2048 - prob) >>> 5);
        node <<= 1;
      } else {
        range = (range - bound) | 0;
        code = (code - bound) | 0;
        probs[index] = prob - (prob >>> 5);
        node = (node << 1) | 1;
      }
    }
    this.#at = at;
    this.#range = range;
    this.#code = code;
    return node;
  }

  #reverseTree(base: number, bits: number): number {
    let symbol = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.#bit(base + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  #literal(): void {
    const out = this.#out;
    const position = out.length - this.dictStart;
    const previous = position > 0 ? (out.bytes[out.length - 1] as number) : 0;
    const context =
      ((position & this.#literalPosMask) << this.#literalContext) + (previous >> (8 - this.#literalContext));
    const base = LITERAL + 0x300 * context;
    let symbol = 1;
    if (this.#state >= 7) {
      if (this.#rep0 >= position) throw new LzmaDamage("an LZMA match reaches back before its dictionary");
      let match = out.bytes[out.length - this.#rep0 - 1] as number;
      while (symbol < 0x100) {
        const matchBit = (match >> 7) & 1;
        match <<= 1;
        const bit = this.#bit(base + ((1 + matchBit) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (bit !== matchBit) break;
      }
    }
    symbol = this.#symbol(base, symbol, 0x100);
    out.bytes[out.length++] = symbol & 0xff;
    this.#state = this.#state < 4 ? 0 : this.#state < 10 ? this.#state - 3 : this.#state - 6;
  }

  #copy(posState: number, limit: number): void {
    const state = this.#state;
    let length: number;
    if (this.#bit(IS_REP + state) === 0) {
      this.#rep3 = this.#rep2;
      this.#rep2 = this.#rep1;
      this.#rep1 = this.#rep0;
      length = this.#length(MATCH_LENGTH, posState);
      this.#rep0 = this.#distance(length);
      this.#state = state < 7 ? 7 : 10;
    } else if (this.#bit(IS_REP_G0 + state) === 1) {
      this.#recall(state);
      length = this.#length(REP_LENGTH, posState);
      this.#state = state < 7 ? 8 : 11;
    } else if (this.#bit(IS_REP0_LONG + (state << 4) + posState) === 1) {
      length = this.#length(REP_LENGTH, posState);
      this.#state = state < 7 ? 8 : 11;
    } else {
      length = 1;
      this.#state = state < 7 ? 9 : 11;
    }
    const out = this.#out;
    const back = this.#rep0 + 1;
    if (back > out.length - this.dictStart || back > this.#dictSize)
      throw new LzmaDamage("an LZMA match reaches back before its dictionary");
    if (out.length + length > limit) throw new LzmaDamage("an LZMA match runs over its chunk's end");
    out.copied(length, back);
    const bytes = out.bytes;
    let to = out.length;
    for (const end = to + length; to < end; to++) bytes[to] = bytes[to - back] as number;
    out.length = to;
  }

  /** Takes an older distance than the last one and makes it the last one. */
  #recall(state: number): void {
    let distance = this.#rep1;
    if (this.#bit(IS_REP_G1 + state) === 1) {
      distance = this.#rep2;
      if (this.#bit(IS_REP_G2 + state) === 1) {
        distance = this.#rep3;
        this.#rep3 = this.#rep2;
      }
      this.#rep2 = this.#rep1;
    }
    this.#rep1 = this.#rep0;
    this.#rep0 = distance;
  }

  #length(base: number, posState: number): number {
    if (this.#bit(base) === 0) return 2 + this.#tree(base + 2 + (posState << 3), 3);
    if (this.#bit(base + 1) === 0) return 10 + this.#tree(base + 2 + 128 + (posState << 3), 3);
    return 18 + this.#tree(base + 2 + 256, 8);
  }

  #distance(length: number): number {
    const slot = this.#tree(POS_SLOT + (Math.min(length - 2, 3) << 6), 6);
    if (slot < 4) return slot;
    const directBits = (slot >> 1) - 1;
    const high = ((2 | (slot & 1)) << directBits) >>> 0;
    if (slot < 14) return high + this.#reverseTree(POS_SPECIAL + high - slot, directBits);
    let direct = 0;
    for (let i = directBits - 4; i > 0; i--) {
      this.#normalize();
      this.#range >>>= 1;
      const bit = (this.#code ^ SIGN) >= (this.#range ^ SIGN) ? 1 : 0;
      if (bit === 1) this.#code = (this.#code - this.#range) | 0;
      direct = direct * 2 + bit;
    }
    return high + direct * 16 + this.#reverseTree(ALIGN, 4);
  }
}
