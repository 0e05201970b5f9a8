import { XMLParser } from "fast-xml-parser";

const NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";

// Control characters that XML 1.0 cannot carry are written as references, as S3 does.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has to be escaped
const SPECIAL = /[&<>"\u0000-\u001f\u007f]/g;
const NAMED: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

export function escapeXml(text: string): string {
  return text.replace(SPECIAL, (c) => NAMED[c] ?? `&#x${c.charCodeAt(0).toString(16)};`);
}

export type XmlValue = string | number | boolean | undefined;

/** `<name>value</name>`, or nothing at all when the value is undefined. */
export function element(name: string, value: XmlValue): string {
  return value === undefined ? "" : `<${name}>${escapeXml(String(value))}</${name}>`;
}

export function elements(values: Readonly<Record<string, XmlValue>>): string {
  return Object.entries(values)
    .map(([name, value]) => element(name, value))
    .join("");
}

/** `inside` is XML already. */
export function wrap(name: string, inside: string): string {
  return `<${name}>${inside}</${name}>`;
}

export function xmlDocument(root: string, inside: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="${NAMESPACE}">${inside}</${root}>`;
}

const ENTITIES = new Map(Object.entries({ amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" }));

/**
 * Not left to the parser: it drops references to control characters (`&#1;`), and what is left of the key of an object to
 * delete would be the key of another.
 */
function decodeReferences(text: string): string {
  return text.replace(/&([^;&]{0,10};)?/g, (_, reference: string | undefined) => {
    const name = reference?.slice(0, -1) ?? "";
    const digits = /^#(?:x([0-9a-f]+)|([0-9]+))$/i.exec(name);
    const code = digits ? Number.parseInt(digits[1] ?? digits[2] ?? "", digits[1] === undefined ? 10 : 16) : 0;
    if (code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff)) return String.fromCodePoint(code);
    const known = ENTITIES.get(name);
    if (known === undefined) throw new Error(`&${name}; is not known`);
    return known;
  });
}

const parser = new XMLParser({
  ignoreAttributes: true,
  ignoreDeclaration: true,
  removeNSPrefix: true,
  parseTagValue: false,
  trimValues: false,
  processEntities: false,
  tagValueProcessor: (_, value) => decodeReferences(value),
  isArray: (name) => name === "Object" || name === "Part",
});

/** Text as it was sent; a document type (and with it every entity of a client's own) is refused. @throws when it is no XML. */
export function parseXml(text: string): unknown {
  if (/<!DOCTYPE|<!ENTITY/i.test(text)) throw new Error("a document type is not accepted");
  return parser.parse(
    text.replace(/<!\[CDATA\[([\s\S]*?)\]\]>/g, (_, inside: string) => escapeXml(inside)),
    true,
  );
}
