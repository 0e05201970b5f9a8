import type { AttributeSpans } from "./index-attributes.ts";

// XML 1.0, 2.2 Characters, 2.3 Common Syntactic Constructs, 4.1 References, 4.6 Predefined Entities: on UTF-8 bytes.

const REFERENCE = /^&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));/;
const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
// The longest: &#x10FFFF;
const MAX_REFERENCE = 10;

export type Fault = { what: string; at: number };

const SPACE = 1;
const NAME_START = 2;
const NAME = 4;
const CLASSES = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  if (/[ \n\t\r]/.test(character)) return SPACE;
  if (/[A-Za-z_:\x80-\xff]/.test(character)) return NAME_START | NAME;
  return /[0-9.-]/.test(character) ? NAME : 0;
});

export function isSpace(byte: number | undefined): boolean {
  return byte !== undefined && ((CLASSES[byte] as number) & SPACE) !== 0;
}

export function isNameStart(byte: number | undefined): boolean {
  return byte !== undefined && ((CLASSES[byte] as number) & NAME_START) !== 0;
}

export function isNameByte(byte: number | undefined): boolean {
  return byte !== undefined && ((CLASSES[byte] as number) & NAME) !== 0;
}

export function sameBytes(bytes: Buffer, start: number, end: number, otherStart: number, otherEnd: number): boolean {
  if (end - start !== otherEnd - otherStart) return false;
  for (let i = end - start - 1; i >= 0; i--) if (bytes[start + i] !== bytes[otherStart + i]) return false;
  return true;
}

/** Whether these bytes are the text, which is ASCII. */
export function isText(bytes: Buffer, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** What must not stand there: control characters and, in text and values, what begins a reference and is none. UTF-8 is checked elsewhere, many tokens at once. */
export function checkCharacters(bytes: Buffer, start: number, end: number, references: boolean): Fault | undefined {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte > 0x26) continue;
    if (byte < 0x20 && !isSpace(byte)) return { what: "a control character", at };
    if (byte !== 0x26 || !references) continue;
    const text = bytes.toString("latin1", at, Math.min(end, at + MAX_REFERENCE));
    if (referenceAt(text) === undefined)
      return { what: `${JSON.stringify(text)} begins no reference that XML itself knows; no others are read`, at };
  }
  return undefined;
}

/** Text without CDATA, or an attribute's value, with its references replaced. */
export function decodeText(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString("utf8", start, end);
  if (!text.includes("&")) return text;
  return text.replace(/&[^;]*;/g, (reference) => referenceAt(reference) ?? reference);
}

function referenceAt(text: string): string | undefined {
  const [, entity, decimal, hex] = REFERENCE.exec(text) ?? [];
  if (entity !== undefined) return ENTITIES[entity];
  const code = decimal === undefined ? Number.parseInt(hex ?? "", 16) : Number(decimal);
  const allowed =
    code === 9 ||
    code === 10 ||
    code === 13 ||
    (code >= 0x20 && code <= 0xd7ff) ||
    (code >= 0xe000 && code <= 0xfffd) ||
    (code >= 0x10000 && code <= 0x10ffff);
  return allowed ? String.fromCodePoint(code) : undefined;
}

/** Reads the attributes that follow an element's name; answers where its `>` is behind, undefined when that is not among the bytes. */
export function attributesEnd(bytes: Buffer, from: number, found: AttributeSpans): number | Fault | undefined {
  let at = from;
  for (;;) {
    const gap = at;
    while (isSpace(bytes[at])) at++;
    const byte = bytes[at];
    if (byte === undefined) return undefined;
    if (byte === 0x3e) return at + 1;
    if (byte === 0x2f) {
      if (bytes[at + 1] === undefined) return undefined;
      return bytes[at + 1] === 0x3e ? at + 2 : { what: "`/` should end it", at };
    }
    const nameStart = at;
    while (isNameByte(bytes[at])) at++;
    const nameEnd = at;
    while (isSpace(bytes[at])) at++;
    if (at >= bytes.length) return undefined;
    if (gap === nameStart || nameEnd === nameStart || !isNameStart(bytes[nameStart]) || bytes[at] !== 0x3d)
      return { what: 'an attribute is written name="value"', at: nameStart };
    at++;
    while (isSpace(bytes[at])) at++;
    const quote = bytes[at];
    if (quote === undefined) return undefined;
    if (quote !== 0x22 && quote !== 0x27) return { what: "an attribute's value lacks its quotes", at };
    const valueStart = at + 1;
    let hasReference = false;
    for (at = valueStart; bytes[at] !== quote; at++) {
      const byte = bytes[at];
      if (byte === undefined) return undefined;
      if (byte === 0x3c) return { what: "`<` in an attribute's value", at };
      if (byte === 0x26) hasReference = true;
      if (byte < 0x20 && !isSpace(byte)) return { what: "a control character", at };
    }
    const fault = hasReference ? checkCharacters(bytes, valueStart, at, true) : undefined;
    if (fault !== undefined) return fault;
    if (found.has(bytes, nameStart, nameEnd)) {
      const name = bytes.toString("latin1", nameStart, nameEnd);
      return { what: `the attribute ${name} stands there twice`, at: nameStart };
    }
    found.add(nameStart, nameEnd, valueStart, at);
    at++;
  }
}
