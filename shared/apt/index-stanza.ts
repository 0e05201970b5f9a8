import { AppError } from "../error.ts";

/** A field of a stanza: where it begins, where its value does, and where it and its continuation lines end. */
export type FieldSpan = { name: string; start: number; valueStart: number; end: number };

/** What the stanza's first line is called, for errors: `where: line 12, package foo`. */
export type StanzaPlace = { where: string; line: number };

const LINE_FEED = 0x0a;
const COLON = 0x3a;

/** Fields that anything here is about. */
const NAMED: ReadonlyMap<number, readonly string[]> = groupByLength([
  "package",
  "version",
  "architecture",
  "filename",
  "size",
  "md5sum",
  "sha1",
  "sha256",
  "sha512",
  "directory",
  "files",
  "checksums-sha1",
  "checksums-sha256",
  "checksums-sha512",
]);

/**
 * The fields of one stanza that anything here is about, without decoding it. Some 20 lines a stanza and 60,000 stanzas: so by bytes.
 * @throws AppError `unprocessable` for a line that is no field, and for a field that stands there twice
 */
export function fieldsOf(bytes: Buffer, place: StanzaPlace): FieldSpan[] {
  const fields: FieldSpan[] = [];
  /** What a continuation line goes on with; of an unnamed field nobody asks where it ends. */
  let open: FieldSpan | "unnamed" | undefined;
  let line = place.line;
  for (let start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf(LINE_FEED, start);
    const end = newline === -1 ? bytes.length : newline + 1;
    const first = bytes[start] as number;
    if (first === LINE_FEED) {
      start = end;
      continue;
    }
    if (first === 0x20 || first === 0x09) {
      if (open === undefined) throw refuse(place.where, line, "a continuation line without a field before it");
      if (open !== "unnamed") open.end = end;
    } else {
      let colon = start;
      while (colon < end && (bytes[colon] as number) > 0x20 && bytes[colon] !== COLON) colon++;
      if (bytes[colon] !== COLON || colon === start || first === 0x2d || first === 0x23)
        throw refuse(place.where, line, `${JSON.stringify(latin1(bytes, start, end))} is no "Field: value"`);
      const name = nameOf(bytes, start, colon);
      if (name === undefined) {
        open = "unnamed";
      } else {
        if (fieldIn(fields, name)) throw refuse(place.where, line, `the field ${name} stands there twice`);
        open = { name, start, valueStart: colon + 1, end };
        fields.push(open);
      }
    }
    start = end;
  }
  return fields;
}

export function fieldIn(fields: readonly FieldSpan[], name: string): FieldSpan | undefined {
  for (const field of fields) if (field.name === name) return field;
  return undefined;
}

/** The value without white space around it. */
export function valueIn(bytes: Buffer, field: FieldSpan): string {
  return bytes.toString("latin1", field.valueStart, field.end).trim();
}

export function refuse(where: string, line: number, what: string): AppError {
  return new AppError("unprocessable", `${where}: line ${line}: ${what}`, { where, line });
}

function nameOf(bytes: Buffer, start: number, colon: number): string | undefined {
  const candidates = NAMED.get(colon - start);
  if (candidates === undefined) return undefined;
  for (const name of candidates) if (equalsLetters(bytes, start, name)) return name;
  return undefined;
}

/** Whatever the case of the letters. */
function equalsLetters(bytes: Buffer, start: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[start + i] as number;
    const lower = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
    if (lower !== name.charCodeAt(i)) return false;
  }
  return true;
}

function latin1(bytes: Buffer, start: number, end: number): string {
  return bytes.toString("latin1", start, Math.min(end, start + 60)).trimEnd();
}

function groupByLength(names: readonly string[]): Map<number, string[]> {
  const groups = new Map<number, string[]>();
  for (const name of names) groups.set(name.length, [...(groups.get(name.length) ?? []), name]);
  return groups;
}
