import * as z from "zod";
import type { RangeSource } from "../blob.ts";
import { type Compression, decompress, reasonOf } from "../compression.ts";
import { AppError, FormatError } from "../error.ts";
import { AR_MAGIC, type ArMember, readMember, Window } from "./ar.ts";
import { ControlFields, fieldOf, parseParagraph } from "./control.ts";
import { checkArchitecture, checkPackageName, checkVersion } from "./names.ts";
import { checkRelations } from "./relations.ts";
import { tarEntries } from "./tar.ts";

/** What the head of a binary package tells. */
export const Deb = z.object({
  format: z.literal("deb"),
  name: z.string(),
  version: z.string(),
  architecture: z.string(),
  control: ControlFields,
  /** A `_gpg…` member exists (debsigs, dpkg-sig). Nobody has checked what it says. */
  signed: z.boolean(),
});
export type Deb = z.infer<typeof Deb>;

// The first read takes in the control archive of nearly every package.
const HEAD_BYTES = 64 * 1024;
const MAX_CONTROL_TAR_BYTES = 16 * 1024 * 1024;
const MAX_CONTROL_TAR_UNPACKED_BYTES = 64 * 1024 * 1024;
const MAX_CONTROL_BYTES = 4 * 1024 * 1024;
const MAX_EXTRA_MEMBERS = 32;

const CONTROL_TARS: ReadonlyMap<string, Compression> = new Map([
  ["control.tar", "plain"],
  ["control.tar.gz", "gz"],
  ["control.tar.xz", "xz"],
  ["control.tar.zst", "zst"],
]);
const DATA_TAR = /^data\.tar(\.(gz|xz|zst|bz2|lzma))?$/;

/**
 * Reads a .deb's head (deb(5)): one ranged read as a rule, never the data archive.
 * @throws FormatError that says what is wrong and at which byte of the file
 */
export async function readDeb(source: RangeSource): Promise<Deb> {
  const window = new Window(source);
  const version = await readVersion(window);
  const { member, signed: signedBefore } = await nextMember(window, version.next);
  const compression = CONTROL_TARS.get(member.name);
  if (compression === undefined)
    throw new FormatError(`${quoted(member)} stands where control.tar, .gz, .xz or .zst is due`, member.offset);
  if (member.sizeBytes > MAX_CONTROL_TAR_BYTES)
    throw new FormatError(`${member.name} has ${member.sizeBytes} bytes, over ${MAX_CONTROL_TAR_BYTES}`, member.offset);
  // With the header after it, so that one read fetches both.
  const withNextHeader = member.next + 60 - member.start;
  const packed = Buffer.from(await window.bytes(member.start, member.sizeBytes, withNextHeader));
  const control = await readControl(member, compression, packed);

  const { member: data, signed: signedBetween } = await nextMember(window, member.next);
  if (!DATA_TAR.test(data.name)) throw new FormatError(`${quoted(data)} stands where data.tar is due`, data.offset);
  const signed = signedBefore || signedBetween || (await signedAfter(window, data.next));
  return { format: "deb", ...control, signed };
}

async function readVersion(window: Window): Promise<ArMember> {
  if (window.sizeBytes === 0) throw new FormatError("the file is empty", 0);
  const magic = Buffer.from(await window.bytes(0, Math.min(AR_MAGIC.length, window.sizeBytes), HEAD_BYTES));
  const text = magic.toString("latin1");
  if (text.startsWith("0.93"))
    throw new FormatError("this is the .deb format 0.93 of before 1995; build it again with a dpkg-deb of today", 0);
  if (text !== AR_MAGIC) throw new FormatError("this is no .deb: it does not begin with the ar magic `!<arch>`", 0);
  const member = await readMember(window, AR_MAGIC.length);
  if (member.name !== "debian-binary")
    throw new FormatError(`${quoted(member)} stands where debian-binary is due`, member.offset);
  const content = Buffer.from(await window.bytes(member.start, Math.min(member.sizeBytes, 32))).toString("latin1");
  const version = /^(\d+)\.\d+\n/.exec(content);
  if (version?.[1] !== "2") {
    const found = JSON.stringify(content.split("\n")[0]);
    throw new FormatError(`debian-binary says format ${found}; only 2.x is known`, member.start);
  }
  return member;
}

/** The next member that counts; those that begin with `_` are for whoever put them there. */
async function nextMember(window: Window, from: number): Promise<{ member: ArMember; signed: boolean }> {
  let signed = false;
  let at = from;
  for (let skipped = 0; skipped < MAX_EXTRA_MEMBERS; skipped++) {
    if (at >= window.sizeBytes)
      throw new FormatError("the file ends before its control and data archives", window.sizeBytes);
    const member = await readMember(window, at, HEAD_BYTES);
    if (!member.name.startsWith("_")) return { member, signed };
    signed ||= member.name.startsWith("_gpg");
    at = member.next;
  }
  throw new FormatError(`over ${MAX_EXTRA_MEMBERS} extra members stand before a due one`, at);
}

/** debsigs and dpkg-sig put their member last. Most packages end with data.tar, which costs no read. */
async function signedAfter(window: Window, from: number): Promise<boolean> {
  let at = from;
  for (let count = 0; at < window.sizeBytes; count++) {
    if (count === MAX_EXTRA_MEMBERS) throw new FormatError(`over ${MAX_EXTRA_MEMBERS} members follow data.tar`, at);
    const member = await readMember(window, at, HEAD_BYTES);
    if (member.name.startsWith("_gpg")) return true;
    at = member.next;
  }
  return false;
}

async function readControl(
  member: ArMember,
  compression: Compression,
  packed: Uint8Array,
): Promise<Pick<Deb, "name" | "version" | "architecture" | "control">> {
  const maxBytes = MAX_CONTROL_TAR_UNPACKED_BYTES;
  const tar = await decompress(compression, packed, { maxBytes, at: member.start });
  // Offsets inside a compressed archive mean nothing in the file: there the member itself is named.
  const fileOffset = (offset: number) => member.start + (compression === "plain" ? offset : 0);
  const found = findControl(tar, member, fileOffset);
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(found.content);
    // dpkg refuses to install it.
    if (!text.endsWith("\n")) throw new AppError("unprocessable", "its last line does not end with a newline");
    const control = parseParagraph(text);
    const required = (field: string, check: (value: string) => void) => {
      const value = fieldOf(control, field);
      if (value === undefined || value === "") throw new AppError("unprocessable", `the field ${field} is missing`);
      check(value);
      return value;
    };
    checkRelations(control);
    return {
      name: required("Package", checkPackageName),
      version: required("Version", checkVersion),
      architecture: required("Architecture", checkArchitecture),
      control,
    };
  } catch (error) {
    const reason =
      error instanceof TypeError ? "it is not UTF-8" : error instanceof AppError ? error.message : undefined;
    if (reason === undefined) throw error;
    throw new FormatError(`the control file in ${member.name}: ${reason}`, fileOffset(found.offset));
  }
}

function findControl(tar: Uint8Array, member: ArMember, fileOffset: (offset: number) => number) {
  let found: { content: Uint8Array; offset: number } | undefined;
  try {
    for (const { name, isFile, content, offset } of tarEntries(tar)) {
      if (name !== "control") continue;
      if (!isFile) throw new FormatError("its control is no plain file", offset);
      // Of two, dpkg would take the last and others the first.
      if (found !== undefined) throw new FormatError("it holds two control files", offset);
      if (content.length > MAX_CONTROL_BYTES)
        throw new FormatError(`its control file has over ${MAX_CONTROL_BYTES} bytes`, offset);
      found = { content, offset };
    }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new FormatError(`${member.name}: ${reasonOf(error)}`, fileOffset(error.offset));
  }
  if (found === undefined) throw new FormatError(`${member.name} holds no control file`, member.start);
  return found;
}

function quoted(member: ArMember): string {
  return `ar member ${JSON.stringify(member.name)}`;
}
