import * as z from "zod";
import { isSha256, type Sha256 } from "../blob.ts";
import { AppError } from "../error.ts";
import { type ControlFields, fieldOf } from "./control.ts";

/** A file that a .dsc or a .changes is made of. */
export const NamedFile = z.object({
  name: z.string(),
  sizeBytes: z.number().int().nonnegative(),
  sha256: z.custom<Sha256>((value) => typeof value === "string" && isSha256(value)),
  md5: z.string(),
});
export type NamedFile = z.infer<typeof NamedFile>;

const MD5 = /^[0-9a-f]{32}$/;
/** A name of one segment, which can be uploaded under it and means nothing to a shell or a file system. */
const PLAIN_NAME = /^[A-Za-z0-9][A-Za-z0-9._+~:@^=-]{0,199}$/;

type Line = { readonly hash: string; readonly sizeBytes: number; readonly name: string };

/**
 * The files that `Files` and `Checksums-Sha256` name (Debian Policy 5.6.21, 5.6.24), in the order of `Files`. Both must name the same
 * ones with the same sizes.
 * `words` is how many stand in a line of `Files`: 3 in a .dsc; 5 in a .changes, where section and priority come before the name.
 * @throws AppError `unprocessable` naming field and line of the list
 */
export function filesNamed(
  fields: ControlFields,
  { words, most, belongs }: { words: 3 | 5; most: number; belongs: (name: string) => string | undefined },
): NamedFile[] {
  const weak = linesOf(fields, "Files", { words, most, hash: (text) => MD5.test(text) });
  const strong = linesOf(fields, "Checksums-Sha256", { words: 3, most, hash: isSha256 });
  const open = new Map(strong.map((line) => [line.name, line]));
  const files = weak.map(({ name, sizeBytes, hash: md5 }) => {
    const other = open.get(name);
    open.delete(name);
    const sha256 = other?.hash ?? "";
    if (!other || !isSha256(sha256)) throw refuse("Checksums-Sha256", `${name} is missing, Files has it`);
    if (other.sizeBytes !== sizeBytes) {
      throw refuse("Checksums-Sha256", `${name} has ${other.sizeBytes} bytes, in Files it has ${sizeBytes}`);
    }
    const wrong = belongs(name);
    if (wrong !== undefined) throw refuse("Files", `${name}: ${wrong}`);
    return { name, sizeBytes, sha256, md5 };
  });
  const [extra] = open.keys();
  if (extra !== undefined) throw refuse("Files", `${extra} is missing, Checksums-Sha256 has it`);
  return files;
}

function linesOf(
  fields: ControlFields,
  field: string,
  { words, most, hash }: { words: number; most: number; hash: (text: string) => boolean },
): Line[] {
  const value = fieldOf(fields, field);
  if (value === undefined) throw refuse(field, "the field is missing");
  const lines = value.split("\n");
  if (lines[0]?.trim() !== "") throw refuse(field, "its list begins on the line after the name");
  if (lines.length === 1) throw refuse(field, "it lists no files");
  if (lines.length - 1 > most) throw refuse(field, `it lists ${lines.length - 1} files, over ${most}`);
  const seen = new Set<string>();
  return lines.slice(1).map((line, index) => {
    const at = (what: string) => refuse(field, `line ${index + 1} of the list: ${what}`);
    const found = line.trim().split(/[ \t]+/);
    const [first = "", size = ""] = found;
    const name = found.at(-1) ?? "";
    if (found.length !== words) throw at(`${shown(line.trim())} has ${found.length} words, ${words} are due`);
    if (!hash(first.toLowerCase())) throw at(`${shown(first)} is no hash of that kind`);
    const sizeBytes = Number(size);
    if (!/^\d{1,16}$/.test(size) || !Number.isSafeInteger(sizeBytes)) throw at(`${shown(size)} is no number of bytes`);
    if (!PLAIN_NAME.test(name)) throw at(`${shown(name)} is no plain file name`);
    if (seen.has(name)) throw at(`${name} stands there twice`);
    seen.add(name);
    return { hash: first.toLowerCase(), sizeBytes, name };
  });
}

function refuse(field: string, what: string): AppError {
  return new AppError("unprocessable", `field ${field}: ${what}`, { field });
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
