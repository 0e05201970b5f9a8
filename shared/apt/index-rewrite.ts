import type { Sha256 } from "../blob.ts";
import { type FieldSpan, fieldIn, fieldsOf, valueIn } from "./index-stanza.ts";

/** Where a binary package's file lies with us, and what it is. */
export type BinaryFile = { filename: string; sizeBytes: number; sha256: Sha256 };

/** Where a source package's files lie with us, and what they are. */
export type SourceFiles = {
  directory: string;
  files: readonly { name: string; sizeBytes: number; sha256: Sha256 }[];
};

/**
 * A stanza of `Packages` as we publish it: its place, size and SHA-256 are ours, the other checksums are left out (with a
 * SHA-256 apt looks at no other), and everything else is as it was, byte for byte. `fields` are the stanza's own, where they are known.
 */
export function rewriteBinaryStanza(
  stanza: Buffer,
  { filename, sizeBytes, sha256 }: BinaryFile,
  fields: readonly FieldSpan[] = fieldsOf(stanza, PLACE),
): Buffer {
  const wanted = [
    { key: "filename", name: "Filename", value: filename },
    { key: "size", name: "Size", value: String(sizeBytes) },
    { key: "sha256", name: "SHA256", value: sha256 },
  ];
  return rewrite(stanza, fields, wanted, BINARY_DROPPED);
}

const BINARY_DROPPED: readonly string[] = ["md5sum", "sha1", "sha512"];

/**
 * The same for `Sources`. `Files`, the list with MD5, stays where it is: apt does without it, but what mirrors a repository
 * (reprepro, aptly, debmirror) asks for it.
 */
export function rewriteSourceStanza(
  stanza: Buffer,
  { directory, files }: SourceFiles,
  fields: readonly FieldSpan[] = fieldsOf(stanza, PLACE),
): Buffer {
  const list = files.map(({ name, sizeBytes, sha256 }) => `\n ${sha256} ${sizeBytes} ${name}`).join("");
  const wanted = [
    { key: "directory", name: "Directory", value: directory },
    { key: "checksums-sha256", name: "Checksums-Sha256", value: list },
  ];
  return rewrite(stanza, fields, wanted, SOURCE_DROPPED);
}

const SOURCE_DROPPED: readonly string[] = ["checksums-sha1", "checksums-sha512"];

const PLACE = { where: "stanza", line: 1 };

type Wanted = readonly { key: string; name: string; value: string }[];

const LINE_FEED = 0x0a;
/** A code unit in UTF-8. */
const UNIT_BYTES = 3;

/** Fields that have their value already are left alone; those that are not there come last. */
function rewrite(stanza: Buffer, fields: readonly FieldSpan[], wanted: Wanted, dropped: readonly string[]): Buffer {
  const added = wanted.reduce((sum, { name, value }) => sum + name.length + (value.length + 3) * UNIT_BYTES, 1);
  const out = Buffer.allocUnsafe(stanza.length + added);
  let at = 0;
  let from = 0;
  for (const field of fields) {
    const ours = wanted.find(({ key }) => key === field.name);
    if (ours ? same(stanza, field, ours.value) : !dropped.includes(field.name)) continue;
    at += stanza.copy(out, at, from, ours ? field.valueStart : field.start);
    if (ours) at += out.write(afterColon(ours.value), at);
    from = field.end;
  }
  at += stanza.copy(out, at, from, endOf(stanza));
  for (const { key, name, value } of wanted) {
    if (!fieldIn(fields, key)) at += out.write(`${name}:${afterColon(value)}`, at);
  }
  out[at] = LINE_FEED;
  return out.subarray(0, at + 1);
}

/** Where the last field ends: the empty line behind it is no part of one. */
function endOf(stanza: Buffer): number {
  let end = stanza.length;
  while (end > 0 && stanza[end - 1] === LINE_FEED && (end === 1 || stanza[end - 2] === LINE_FEED)) end--;
  return end;
}

function afterColon(value: string): string {
  return `${value === "" || value.startsWith("\n") ? "" : " "}${value}\n`;
}

function same(stanza: Buffer, field: FieldSpan, value: string): boolean {
  return valueIn(stanza, field) === asLatin1(value).trim();
}

/** Values are compared with one code unit a byte. */
function asLatin1(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is meant
  return /^[\x00-\x7f]*$/.test(value) ? value : Buffer.from(value).toString("latin1");
}
