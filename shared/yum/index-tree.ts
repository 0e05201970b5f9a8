import { isUtf8 } from "node:buffer";
import { FormatError } from "../error.ts";
import type { AttributeSpan } from "./index-attributes.ts";
import { decodeText } from "./index-characters.ts";
import { XmlScanner } from "./index-scan.ts";

/** An element of a small document. Names are without prefix, but for attributes (`xml:base`). */
export class XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: XmlElement[] = [];
  /** All that stands in it directly. */
  text = "";
  readonly #where: string;
  readonly #offset: number;

  constructor(name: string, attributes: Readonly<Record<string, string>>, place: { where: string; offset: number }) {
    this.name = name;
    this.attributes = attributes;
    this.#where = place.where;
    this.#offset = place.offset;
  }

  all(name: string): XmlElement[] {
    return this.children.filter((child) => child.name === name);
  }

  first(name: string): XmlElement | undefined {
    return this.children.find((child) => child.name === name);
  }

  /** Every element of that name, however deep. */
  deep(name: string): XmlElement[] {
    return this.children.flatMap((child) => [...(child.name === name ? [child] : []), ...child.deep(name)]);
  }

  /** @throws FormatError when there is none */
  attribute(name: string): string {
    const value = this.attributes[name];
    if (value === undefined) throw this.fail(`the attribute ${name} is missing`);
    return value;
  }

  fail(what: string): FormatError {
    return new FormatError(`${this.#where}: element ${this.name}: ${what}`, this.#offset);
  }
}

/**
 * Reads a whole small document, such as repomd.xml.
 * @throws FormatError naming `where`, element and byte
 */
export function readXml(bytes: Uint8Array, where: string, maxBytes = 16 * 1024 * 1024): XmlElement {
  if (bytes.length > maxBytes) throw new FormatError(`${where}: more than ${maxBytes} bytes`, maxBytes);
  const scanner = new XmlScanner(where);
  scanner.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  checkUtf8(scanner, 0, bytes.length);
  scanner.at = prologEnd(scanner.bytes);
  const open: XmlElement[] = [];
  let root: XmlElement | undefined;
  while (scanner.advance()) {
    const { kind, start, at } = scanner;
    if (kind === "instruction") checkInstruction(scanner);
    const parent = open.at(-1);
    if (kind === "open") {
      if (root !== undefined && parent === undefined) throw scanner.fail("a second root element", start);
      const place = { where, offset: start };
      const element = new XmlElement(localName(scanner.name), attributesOf(scanner.bytes, scanner.attributes), place);
      root ??= element;
      parent?.children.push(element);
      if (!scanner.selfClosing) open.push(element);
    } else if (kind === "close") {
      open.pop();
    } else if (kind === "cdata" && parent) {
      parent.text += scanner.bytes.toString("utf8", start + 9, at - 3);
    } else if (kind === "text") {
      const text = decodeText(scanner.bytes, start, at);
      if (parent) parent.text += text;
      else if (text.trim() !== "") throw scanner.fail("text outside of the root element", start);
    }
  }
  const rest = scanner.bytes.toString("latin1", scanner.at).trim();
  if (root === undefined || open.length > 0 || rest !== "")
    throw scanner.fail(
      root !== undefined && open.length === 0 ? "something follows the root element" : "it ends too early",
      scanner.at,
    );
  return root;
}

/** After a byte order mark. */
export function prologEnd(bytes: Buffer): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
}

const UTF16_MARKS = /^(?:\xff\xfe|\xfe\xff|<\0|\0<)/;

/** @throws FormatError for what is not UTF-8, or has the two code points of it that XML forbids */
export function checkUtf8(scanner: XmlScanner, start: number, end: number): void {
  const bytes = scanner.bytes.subarray(start, end);
  if (scanner.base + start === 0 && UTF16_MARKS.test(bytes.toString("latin1", 0, 2)))
    throw scanner.fail("it is UTF-16; only UTF-8 is read", start);
  if (!isUtf8(bytes)) throw scanner.fail("bytes that are no UTF-8", start);
  for (let at = bytes.indexOf(FFFX); at !== -1; at = bytes.indexOf(FFFX, at + 1))
    if ((bytes[at + 2] ?? 0) >= 0xbe) throw scanner.fail("a character that XML forbids", start + at);
}

const FFFX = Buffer.from([0xef, 0xbf]);

/** `<?xml … encoding="…"?>` must say UTF-8, or ASCII, or nothing. */
export function checkInstruction(scanner: XmlScanner): void {
  const text = scanner.bytes.toString("latin1", scanner.start, scanner.at);
  const encoding = /^<\?xml\s[^>]*?\sencoding\s*=\s*["']([^"']*)["']/.exec(text)?.[1];
  if (encoding !== undefined && !/^(utf-?8|us-ascii|ascii)$/i.test(encoding))
    throw scanner.fail(`the encoding ${JSON.stringify(encoding)} is not read, only UTF-8`, scanner.start);
}

export function localName(name: string): string {
  return name.slice(name.indexOf(":") + 1);
}

export function attributesOf(bytes: Buffer, spans: readonly AttributeSpan[]): Record<string, string> {
  const values: Record<string, string> = Object.create(null);
  for (const { nameStart, nameEnd, valueStart, valueEnd } of spans)
    values[bytes.toString("latin1", nameStart, nameEnd)] = decodeText(bytes, valueStart, valueEnd);
  return values;
}
