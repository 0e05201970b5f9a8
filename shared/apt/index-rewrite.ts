import type { Sha256 } from "../blob.ts";
import { type FieldSpan, fieldsOf, valueIn } from "./index-stanza.ts";

/** Where a binary package's file lies with us, and what it is. */
export type BinaryFile = { filename: string; sizeBytes: number; sha256: Sha256 };

/** Where a source package's files lie with us, and what they are. */
export type SourceFiles = {
  directory: string;
  files: readonly { name: string; sizeBytes: number; sha256: Sha256 }[];
};

/**
 * A stanza of `Packages` as we publish it: its place, size and SHA-256 are ours, the other checksums are left out (with a
 * SHA-256 apt looks at no other), and everything else is as it was, byte for byte.
 */
export function rewriteBinaryStanza(stanza: Buffer, { filename, sizeBytes, sha256 }: BinaryFile): Buffer {
  return rewrite(
    stanza,
    new Map([
      ["filename", { name: "Filename", value: filename }],
      ["size", { name: "Size", value: String(sizeBytes) }],
      ["sha256", { name: "SHA256", value: sha256 }],
    ]),
    new Set(["md5sum", "sha1", "sha512"]),
  );
}

/**
 * The same for `Sources`. `Files`, the list with MD5, stays where it is: apt does without it, but what mirrors a repository
 * (reprepro, aptly, debmirror) asks for it.
 */
export function rewriteSourceStanza(stanza: Buffer, { directory, files }: SourceFiles): Buffer {
  const list = files.map(({ name, sizeBytes, sha256 }) => `\n ${sha256} ${sizeBytes} ${name}`).join("");
  return rewrite(
    stanza,
    new Map([
      ["directory", { name: "Directory", value: directory }],
      ["checksums-sha256", { name: "Checksums-Sha256", value: list }],
    ]),
    new Set(["checksums-sha1", "checksums-sha512"]),
  );
}

type Wanted = ReadonlyMap<string, { name: string; value: string }>;

/** Fields that have their value already are left alone; those that are not there come last. */
function rewrite(stanza: Buffer, wanted: Wanted, dropped: ReadonlySet<string>): Buffer {
  const fields = fieldsOf(stanza, { where: "stanza", line: 1 });
  const parts: Buffer[] = [];
  for (const field of fields) {
    const ours = wanted.get(field.name);
    if (dropped.has(field.name)) continue;
    if (ours === undefined || same(stanza, field, ours.value)) parts.push(stanza.subarray(field.start, field.end));
    else parts.push(stanza.subarray(field.start, field.valueStart), Buffer.from(afterColon(ours.value)));
  }
  for (const [key, { name, value }] of wanted) {
    if (!fields.some((field) => field.name === key)) parts.push(Buffer.from(`${name}:${afterColon(value)}`));
  }
  return Buffer.concat([...parts, Buffer.from("\n")]);
}

function afterColon(value: string): string {
  return `${value === "" || value.startsWith("\n") ? "" : " "}${value}\n`;
}

function same(stanza: Buffer, field: FieldSpan, value: string): boolean {
  return valueIn(stanza, field) === Buffer.from(value).toString("latin1").trim();
}
