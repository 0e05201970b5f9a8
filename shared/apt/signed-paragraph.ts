import type { RangeSource } from "../blob.ts";
import { AppError } from "../error.ts";
import { cleartextOf } from "../signing/verify.ts";
import { type ControlFields, fieldOf, parseParagraph } from "./control.ts";

/** Debian's largest .dsc has some 200 KB, its largest .changes 500. */
const MOST_BYTES = 4 * 1024 * 1024;
const BEGIN = "-----BEGIN PGP SIGNED MESSAGE-----";
const END = "-----END PGP SIGNATURE-----";

export type SignedParagraph = {
  readonly bytes: Uint8Array;
  readonly fields: ControlFields;
  /** Whether there is a signature. Nobody has checked what it says. */
  readonly signed: boolean;
};

/**
 * Reads a control file of one paragraph, plain or clearsigned (Debian Policy 5.4, 5.5). Nothing may stand outside of what is signed:
 * some readers would take it for a part of the file, and some not.
 * @throws AppError `unprocessable` naming line and field of the file
 */
export async function readSignedParagraph(source: RangeSource): Promise<SignedParagraph> {
  if (source.sizeBytes > MOST_BYTES) throw refuse(`it has ${source.sizeBytes} bytes, over ${MOST_BYTES}`);
  const bytes = await source.read(0, source.sizeBytes);
  const text = decoded(bytes);
  if (!text.startsWith(BEGIN)) return { bytes, fields: parseParagraph(text), signed: false };
  const headers = text.search(/\n[ \t\r]*\n/);
  const end = text.indexOf(`\n${END}`);
  if (headers === -1 || end === -1) throw refuse("it begins as a signed message and does not end as one");
  if (text.slice(end + 1 + END.length).trim() !== "") throw refuse("something follows behind its signature");
  const firstLine = text.slice(0, headers).split("\n").length + 2;
  return { bytes, fields: parseParagraph(await cleartextOf(text), { firstLine }), signed: true };
}

/** The value of a field that must be there. @throws AppError `unprocessable` */
export function requiredField(fields: ControlFields, name: string, check: (value: string) => void = () => {}): string {
  const value = fieldOf(fields, name);
  if (value === undefined || value.trim() === "") throw refuse(`the field ${name} is missing`);
  check(value);
  return value;
}

function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refuse("it is not UTF-8");
  }
}

function refuse(what: string): AppError {
  return new AppError("unprocessable", what);
}
