import { z } from "zod";
import type { RangeSource } from "../blob.ts";
import { FormatError } from "../error.ts";
import { Changelog, readChangelogs } from "./changelog.ts";
import { dependencyLists, readDependencies } from "./dependency.ts";
import { RpmFile, readFiles } from "./file-list.ts";
import { type Header, openHead, readHeader } from "./header.ts";
import { isSourcePackage, originOf } from "./origin.ts";
import { SIGNATURE_TAG, TAG } from "./tags.ts";
import { textOf } from "./text.ts";

/** What the head of an rpm tells, as the repository metadata needs it. Every text is valid in XML. */
export const Rpm = z.object({
  format: z.literal("rpm"),
  name: z.string(),
  /** 0 where the header has none. */
  epoch: z.number(),
  version: z.string(),
  release: z.string(),
  /** `src` for every source package. */
  architecture: z.string(),
  /** Does it carry an OpenPGP signature? Not whether it verifies. */
  signed: z.boolean(),
  summary: z.string(),
  description: z.string(),
  url: z.string(),
  packager: z.string(),
  vendor: z.string(),
  license: z.string(),
  group: z.string(),
  buildHost: z.string(),
  /** File name of the source package; empty for one. */
  sourceRpm: z.string(),
  /** Seconds since 1970. */
  buildTime: z.number(),
  /** Bytes of the files installed, and of the uncompressed payload. */
  installedSize: z.number(),
  archiveSize: z.number(),
  /** Bytes of the file at which the main header begins and ends. */
  headerStart: z.number(),
  headerEnd: z.number(),
  ...dependencyLists,
  files: z.array(RpmFile),
  /** Oldest first; the ten newest. */
  changelogs: z.array(Changelog),
});
export type Rpm = z.infer<typeof Rpm>;

// The lead: rpm's lib/rpmlead.c
const LEAD_BYTES = 96;
const LEAD_MAGIC = Buffer.from([0xed, 0xab, 0xee, 0xdb]);
const HEADER_SIGNATURE = 5;

/**
 * Reads an rpm's lead, signature header and main header by ranges, nothing behind them.
 * Throws FormatError with the byte of the file that makes no sense.
 */
export async function readRpm(file: RangeSource): Promise<Rpm> {
  const head = await openHead(file);
  checkLead(await head.bytes(0, LEAD_BYTES, "lead of an rpm"));
  const signature = await readHeader(head, LEAD_BYTES, "signature header");
  const header = await readHeader(head, Math.ceil(signature.end / 8) * 8, "main header");
  const text = (tag: number) => textOf(header.string(tag) ?? "");
  const { files, paths } = readFiles(header);
  return {
    format: "rpm",
    name: required(header, TAG.NAME, "name"),
    epoch: header.number(TAG.EPOCH) ?? 0,
    version: required(header, TAG.VERSION, "version"),
    release: required(header, TAG.RELEASE, "release"),
    architecture: isSourcePackage(header) ? "src" : required(header, TAG.ARCH, "architecture"),
    signed: isSigned(signature),
    summary: text(TAG.SUMMARY),
    description: text(TAG.DESCRIPTION),
    url: text(TAG.URL),
    packager: text(TAG.PACKAGER),
    vendor: text(TAG.VENDOR),
    license: text(TAG.LICENSE),
    group: text(TAG.GROUP),
    buildHost: text(TAG.BUILD_HOST),
    sourceRpm: textOf(originOf(header)),
    buildTime: header.number(TAG.BUILD_TIME) ?? 0,
    installedSize: header.number(TAG.LONG_SIZE) ?? header.number(TAG.SIZE) ?? 0,
    archiveSize: archiveSize(header, signature),
    headerStart: header.start,
    headerEnd: header.end,
    ...readDependencies(header, paths),
    files,
    changelogs: readChangelogs(header),
  };
}

function checkLead(lead: Buffer): void {
  if (!lead.subarray(0, LEAD_MAGIC.length).equals(LEAD_MAGIC))
    throw new FormatError("no rpm: it should begin with the bytes ed ab ee db", 0);
  const major = lead.readUInt8(4);
  if (major !== 3 && major !== 4) throw new FormatError(`an rpm of version ${major}: only 3 and 4 can be read`, 4);
  const signatureType = lead.readUInt16BE(78);
  if (signatureType !== HEADER_SIGNATURE)
    throw new FormatError(`the rpm's signature is of type ${signatureType}, but only 5, a header, can be read`, 78);
}

function required(header: Header, tag: number, what: string): string {
  const value = textOf(header.string(tag) ?? "");
  if (value === "") throw new FormatError(`the rpm has no ${what}`, header.offsetOf(tag));
  return value;
}

function isSigned(signature: Header): boolean {
  const { PGP, GPG, PGP5 } = SIGNATURE_TAG;
  return [TAG.RSA_HEADER, TAG.DSA_HEADER, TAG.OPENPGP, PGP, GPG, PGP5].some((tag) => signature.has(tag));
}

/** rpm takes it from the signature header where the main header has none: lib/package.c, `headerMergeLegacySigs`. */
function archiveSize(header: Header, signature: Header): number {
  return (
    signature.number(TAG.LONG_ARCHIVE_SIZE) ??
    header.number(TAG.ARCHIVE_SIZE) ??
    signature.number(SIGNATURE_TAG.PAYLOAD_SIZE) ??
    0
  );
}
