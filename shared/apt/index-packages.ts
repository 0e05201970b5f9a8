import { faultOfPath } from "../dir/upstream-path.ts";
import { stanzasOf } from "./index-split.ts";
import { type FieldSpan, fieldIn, fieldsOf, refuse, valueIn } from "./index-stanza.ts";

/** What an index says of a file; lower-case hex. Without `sha256` it is for the caller to say whether the others are enough. */
export type UpstreamChecksums = { sha256?: string; sha512?: string; sha1?: string; md5?: string };

export type UpstreamFile = {
  /** As it stands in the index: of a source package, its directory and the file's name. */
  path: string;
  sizeBytes: number;
  checksums: UpstreamChecksums;
};

/** A package as somebody else's `Packages` or `Sources` lists it. */
export type UpstreamStanza = {
  /** As it is, with the empty line after it. A view of memory that is used for nothing else. */
  stanza: Buffer;
  /** Where its fields lie in it. */
  fields: readonly FieldSpan[];
  /** The number of its first line in the index. */
  line: number;
  name: string;
  version: string;
  /** `source` in `Sources`. */
  architecture: string;
  files: readonly UpstreamFile[];
};

export type AptIndex = "Packages" | "Sources";

/**
 * Reads an index as it streams in; one stanza is in memory at a time, of 16 MiB at most.
 * @throws AppError `unprocessable` naming `where`, line and package
 */
export async function* readPackages(
  source: AsyncIterable<Uint8Array>,
  { where, index = "Packages" }: { where: string; index?: AptIndex },
): AsyncGenerator<UpstreamStanza, void> {
  const read = index === "Sources" ? readSource : readBinary;
  for await (const batch of stanzasOf(source, where)) {
    for (const { stanza, line } of batch) yield read(stanza, { where, line });
  }
}

type Place = { where: string; line: number };

class Fields {
  readonly #bytes: Buffer;
  readonly #place: Place;
  readonly spans: readonly FieldSpan[];

  constructor(bytes: Buffer, place: Place) {
    this.#bytes = bytes;
    this.#place = place;
    this.spans = fieldsOf(bytes, place);
  }

  value(name: string): string | undefined {
    const field = fieldIn(this.spans, name);
    return field === undefined ? undefined : valueIn(this.#bytes, field);
  }

  /** A word that names something: what it may hold is for those who compare it, but it is one, printable and no path. */
  word(name: string): string {
    const value = this.value(name);
    if (value === undefined) throw this.refuse(`the field ${name} is missing`);
    if (!/^[!-.0-~]{1,255}$/.test(value) || value === "." || value === "..")
      throw this.refuse(`field ${name}: ${shown(value)} should be one printable word without slash`);
    return value;
  }

  checkPath(path: string): string {
    const fault = faultOfPath(path);
    if (fault !== undefined) throw this.refuse(`the path ${shown(path)} is refused: ${fault}`);
    return path;
  }

  refuse(what: string): Error {
    const name = this.value("package");
    const of = name === undefined ? "" : `package ${shown(name)}: `;
    return refuse(this.#place.where, this.#place.line, `${of}${what}`);
  }
}

function readBinary(stanza: Buffer, place: Place): UpstreamStanza {
  const fields = new Fields(stanza, place);
  const path = fields.value("filename");
  if (path === undefined) throw fields.refuse("the field filename is missing");
  const size = fields.value("size");
  if (size === undefined) throw fields.refuse("the field size is missing");
  const checksums: UpstreamChecksums = {};
  for (const [kind, name] of BINARY_CHECKSUMS) {
    const value = fields.value(name);
    if (value !== undefined) checksums[kind] = checksumOf(fields, name, kind, value);
  }
  const file = { path: fields.checkPath(utf8(path)), sizeBytes: sizeOf(fields, size), checksums };
  const name = fields.word("package");
  return {
    stanza,
    fields: fields.spans,
    line: place.line,
    name,
    version: fields.word("version"),
    architecture: fields.word("architecture"),
    files: [file],
  };
}

const BINARY_CHECKSUMS = [
  ["sha256", "sha256"],
  ["sha512", "sha512"],
  ["sha1", "sha1"],
  ["md5", "md5sum"],
] as const;

function readSource(stanza: Buffer, place: Place): UpstreamStanza {
  const fields = new Fields(stanza, place);
  const directory = utf8(fields.value("directory") ?? "").replace(/\/+$/, "");
  const files = new Map<string, UpstreamFile>();
  for (const [kind, field] of SOURCE_CHECKSUMS) {
    for (const line of (fields.value(field) ?? "").split("\n")) {
      if (line.trim() === "") continue;
      const [checksum = "", size = "", name = "", ...more] = utf8(line)
        .trim()
        .split(/[ \t]+/);
      if (name === "" || more.length > 0 || name.includes("/"))
        throw fields.refuse(`field ${field}: ${shown(line)} is no "HASH SIZE NAME"`);
      const sizeBytes = sizeOf(fields, size);
      const path = fields.checkPath(directory === "" || directory === "." ? name : `${directory}/${name}`);
      const file = files.get(name) ?? { path, sizeBytes, checksums: {} };
      if (file.sizeBytes !== sizeBytes)
        throw fields.refuse(`field ${field}: ${shown(name)} has another size elsewhere`);
      if (file.checksums[kind] !== undefined) throw fields.refuse(`field ${field}: ${shown(name)} stands there twice`);
      file.checksums[kind] = checksumOf(fields, field, kind, checksum);
      files.set(name, file);
    }
  }
  if (files.size === 0) throw fields.refuse("it lists no files");
  const [name, version] = [fields.word("package"), fields.word("version")];
  return {
    stanza,
    fields: fields.spans,
    line: place.line,
    name,
    version,
    architecture: "source",
    files: [...files.values()],
  };
}

const SOURCE_CHECKSUMS = [
  ["sha256", "checksums-sha256"],
  ["sha512", "checksums-sha512"],
  ["sha1", "checksums-sha1"],
  ["md5", "files"],
] as const;

const HEX_DIGITS = { sha256: 64, sha512: 128, sha1: 40, md5: 32 } as const;

function checksumOf(fields: Fields, field: string, kind: keyof UpstreamChecksums, value: string): string {
  if (value.length !== HEX_DIGITS[kind] || !/^[0-9a-fA-F]+$/.test(value))
    throw fields.refuse(`field ${field}: ${shown(value)} should be ${HEX_DIGITS[kind]} hex digits`);
  return value.toLowerCase();
}

function sizeOf(fields: Fields, value: string): number {
  const size = Number(value);
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(size))
    throw fields.refuse(`field size: ${shown(value)} should be a number of bytes`);
  return size;
}

/** Values are taken as one code unit a byte; what is not ASCII in them is UTF-8. */
function utf8(latin1: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is meant
  return /^[\x00-\x7f]*$/.test(latin1) ? latin1 : Buffer.from(latin1, "latin1").toString("utf8");
}

function shown(value: string): string {
  return JSON.stringify(value.slice(0, 200));
}
