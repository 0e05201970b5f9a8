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

const parser = new XMLParser({
  ignoreAttributes: true,
  ignoreDeclaration: true,
  removeNSPrefix: true,
  parseTagValue: false,
  trimValues: false,
  processEntities: true,
  htmlEntities: false,
  isArray: (name) => name === "Object" || name === "Part",
});

/** Text as it was sent; a document type (and with it every entity of a client's own) is refused. @throws when it is no XML. */
export function parseXml(text: string): unknown {
  if (/<!DOCTYPE|<!ENTITY/i.test(text)) throw new Error("a document type is not accepted");
  return parser.parse(text, true);
}
