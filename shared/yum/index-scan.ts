import { FormatError } from "../error.ts";
import { type AttributeSpan, AttributeSpans } from "./index-attributes.ts";
import { attributesEnd, checkCharacters, isNameByte, isNameStart, isSpace, sameBytes } from "./index-characters.ts";

export type TokenKind = "open" | "close" | "text" | "cdata" | "comment" | "instruction";

const LESS = 0x3c;
const GREATER = 0x3e;
const SLASH = 0x2f;
const MAX_DEPTH = 64;

/**
 * XML, token by token, over bytes that may still grow at their end. Each token is checked in full: what is handed on as it
 * is must not spoil the index that it becomes part of. Names, not namespaces; the references of XML itself and no others.
 */
export class XmlScanner {
  bytes: Buffer = Buffer.alloc(0);
  /** Where `bytes` begin in the file. */
  base = 0;
  /** The next token begins here. */
  at = 0;

  kind: TokenKind = "text";
  start = 0;
  nameStart = 0;
  nameEnd = 0;
  /** Of an element without content there is one token, `open`. */
  selfClosing = false;

  readonly #attributes = new AttributeSpans();
  readonly #where: string;
  /** The name of the root, a copy since its bytes are let go; and where those of the elements open in it are. */
  #root: Buffer | undefined;
  readonly #open: { nameStart: number; nameEnd: number }[] = [];

  constructor(where: string) {
    this.#where = where;
  }

  get depth(): number {
    return this.#open.length;
  }

  /** The first `count` bytes are let go, none of them after the last token's start; `bytes` are those that are left. */
  rebase(count: number, bytes: Buffer): void {
    this.bytes = bytes;
    this.base += count;
    this.at -= count;
    this.start -= count;
    this.nameStart -= count;
    this.nameEnd -= count;
    this.#attributes.rebase(count);
    for (const one of this.#open) {
      one.nameStart -= count;
      one.nameEnd -= count;
    }
  }

  /** Of the element that was opened last; as they are now. */
  get attributes(): AttributeSpan[] {
    return this.#attributes.list();
  }

  get name(): string {
    return this.bytes.toString("latin1", this.nameStart, this.nameEnd);
  }

  /** Reads the next token; false when its end is not among the bytes. @throws FormatError */
  advance(): boolean {
    const { bytes, at } = this;
    if (at >= bytes.length) return false;
    this.start = at;
    if (bytes[at] !== LESS) return this.#text();
    const next = bytes[at + 1];
    if (next === undefined) return false;
    if (next === SLASH) return this.#close();
    if (next === 0x3f) return this.#until("instruction", "?>", 2);
    if (next !== 0x21) return this.#openTag();
    const rest = bytes.toString("latin1", at, at + 9);
    if (rest.startsWith("<!--")) return this.#until("comment", "-->", 4);
    if (rest === "<![CDATA[") return this.#until("cdata", "]]>", 9);
    if (rest.startsWith("<!D")) throw this.fail("a DOCTYPE, which an index never has, is refused", at);
    if (rest.length < 9) return false;
    throw this.fail(`no markup begins with ${JSON.stringify(rest)}`, at);
  }

  fail(what: string, at: number): FormatError {
    return new FormatError(`${this.#where}: ${what}`, this.base + at);
  }

  #text(): boolean {
    const end = this.bytes.indexOf(LESS, this.at);
    if (end === -1) return false;
    this.#check(this.at, end);
    return this.#token("text", end);
  }

  #until(kind: TokenKind, ending: string, skip: number): boolean {
    const end = this.bytes.indexOf(ending, this.at + skip, "latin1");
    if (end === -1) return false;
    const fault = checkCharacters(this.bytes, this.at, end, false);
    if (fault !== undefined) throw this.fail(fault.what, fault.at);
    return this.#token(kind, end + ending.length);
  }

  #close(): boolean {
    const { bytes } = this;
    this.nameStart = this.at + 2;
    this.nameEnd = this.#nameEnd(this.nameStart);
    let end = this.nameEnd;
    while (isSpace(bytes[end])) end++;
    if (end >= bytes.length) return false;
    if (bytes[end] !== GREATER || !this.#closesOpen()) {
      const found = bytes.toString("latin1", this.nameStart, Math.min(this.nameEnd, this.nameStart + 60));
      throw this.fail(`</${this.#openName()}> expected, </${found}> found`, this.at);
    }
    this.#open.pop();
    return this.#token("close", end + 1);
  }

  #openTag(): boolean {
    const { bytes } = this;
    this.nameStart = this.at + 1;
    this.nameEnd = this.#nameEnd(this.nameStart);
    if (this.nameEnd >= bytes.length) return false;
    if (this.nameEnd === this.nameStart || !isNameStart(bytes[this.nameStart]))
      throw this.fail("`<` begins no element; in text it is written &lt;", this.at);
    this.#attributes.clear();
    const end = attributesEnd(bytes, this.nameEnd, this.#attributes);
    if (end === undefined) return false;
    if (typeof end === "object") throw this.fail(`element ${this.name}: ${end.what}`, end.at);
    this.selfClosing = bytes[end - 2] === SLASH;
    if (!this.selfClosing) {
      if (this.#open.length === MAX_DEPTH) throw this.fail(`elements more than ${MAX_DEPTH} deep`, this.at);
      this.#root ??= Buffer.from(bytes.subarray(this.nameStart, this.nameEnd));
      this.#open.push({ nameStart: this.nameStart, nameEnd: this.nameEnd });
    }
    return this.#token("open", end);
  }

  /** Whether the name just read is that of the innermost open element. */
  #closesOpen(): boolean {
    const { bytes, nameStart, nameEnd } = this;
    const open = this.#open.at(-1);
    if (open === undefined) return false;
    if (this.#open.length === 1) return this.#root?.equals(bytes.subarray(nameStart, nameEnd)) ?? false;
    return sameBytes(bytes, open.nameStart, open.nameEnd, nameStart, nameEnd);
  }

  #openName(): string {
    const open = this.#open.at(-1);
    if (open === undefined) return "nothing";
    if (this.#open.length === 1) return this.#root?.toString("latin1") ?? "";
    return this.bytes.toString("latin1", open.nameStart, open.nameEnd);
  }

  #nameEnd(start: number): number {
    let end = start;
    while (isNameByte(this.bytes[end])) end++;
    return end;
  }

  #check(start: number, end: number): void {
    const fault = checkCharacters(this.bytes, start, end, true);
    if (fault !== undefined) throw this.fail(fault.what, fault.at);
  }

  #token(kind: TokenKind, end: number): true {
    this.kind = kind;
    this.at = end;
    return true;
  }
}
