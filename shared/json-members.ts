import { FormatError } from "./error.ts";

export type MemberLimits = { readonly maxBytes: number; readonly maxMemberBytes: number };

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const NO_OBJECT = "it is no single JSON object";
const [OPEN, CLOSE] = [0x7b, 0x7d];
const OPENING: ReadonlySet<number> = new Set([OPEN, 0x5b]);
const CLOSING: ReadonlySet<number> = new Set([CLOSE, 0x5d]);

/**
 * The members of one JSON object, in their order, one in memory at a time: for objects that are larger than memory.
 * @throws FormatError with the byte where it is no JSON object, or passes a limit
 */
export async function* membersOf(
  chunks: AsyncIterable<Uint8Array>,
  { maxBytes, maxMemberBytes }: MemberLimits,
): AsyncGenerator<[name: string, value: unknown]> {
  const cutter = new MemberCutter();
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    if (cutter.offset + chunk.length > maxBytes) throw new FormatError(`more than ${maxBytes} bytes`, maxBytes);
    let start = 0;
    for (;;) {
      const end = cutter.next(chunk, start);
      const part = chunk.subarray(start, end ?? chunk.length);
      parts.push(part);
      length += part.length;
      if (length > maxMemberBytes + 2)
        throw new FormatError(`a member of more than ${maxMemberBytes} bytes`, cutter.offset);
      if (end === undefined) break;
      yield* membersIn(Buffer.concat(parts).toString("utf8"), cutter.offset);
      parts = [];
      length = 0;
      // Past the comma or brace.
      start = end + 1;
    }
  }
  if (!cutter.isOver || Buffer.concat(parts).toString("utf8").trim() !== "") {
    throw new FormatError(NO_OBJECT, cutter.offset);
  }
}

function membersIn(text: string, offset: number): [string, unknown][] {
  // Before the first member stands the brace that opens the object.
  const inner = text.trimStart().startsWith("{") ? text.replace("{", "") : text;
  try {
    return Object.entries<unknown>(JSON.parse(`{${inner}}`));
  } catch {
    throw new FormatError(`${JSON.stringify(inner.trim().slice(0, 60))} is no member of a JSON object`, offset);
  }
}

/** Finds where members of the outermost object end, whatever is in their strings. */
class MemberCutter {
  offset = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #isOver = false;

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The index of the comma or brace that ends a member; undefined where none is in the rest of the chunk. */
  next(chunk: Uint8Array, start: number): number | undefined {
    for (let at = start; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (this.#take(byte)) {
        this.offset += at + 1 - start;
        return at;
      }
    }
    this.offset += chunk.length - start;
    return undefined;
  }

  #take(byte: number): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) this.#inString = false;
      return false;
    }
    if (byte === QUOTE) {
      this.#inString = true;
    } else if (OPENING.has(byte)) {
      if (this.#depth === 0 && (byte !== OPEN || this.#isOver)) throw new FormatError(NO_OBJECT, this.offset);
      this.#depth += 1;
    } else if (CLOSING.has(byte)) {
      this.#depth -= 1;
      if (this.#depth < 0 || (this.#depth === 0 && byte !== CLOSE)) throw new FormatError(NO_OBJECT, this.offset);
      this.#isOver = this.#depth === 0;
      return this.#isOver;
    }
    return byte === COMMA && this.#depth === 1;
  }
}
