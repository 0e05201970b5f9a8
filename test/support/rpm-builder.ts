import { TYPE } from "../../shared/yum/header.ts";
import { TAG } from "../../shared/yum/tags.ts";

/** One tag of a header: strings are written as UTF-8 unless given as bytes. */
export type TagData = { tag: number; type: number; values: readonly (string | Uint8Array | number | bigint)[] };

export type Sense = readonly [name: string | Uint8Array, sense?: number, version?: string | Uint8Array];

/** What an rpm is about; `tags` are added as they are and replace those of the same number, `without` leaves tags out. */
export type RpmSpec = {
  name?: string;
  epoch?: number;
  version?: string;
  release?: string;
  arch?: string;
  source?: boolean;
  /** What the lead says: 0 binary, 1 source. */
  leadType?: number;
  /** Without, as packages of before rpm 4 are, the main header has no region tag. */
  region?: boolean;
  summary?: string | Uint8Array;
  description?: string | Uint8Array;
  provides?: readonly Sense[];
  requires?: readonly Sense[];
  conflicts?: readonly Sense[];
  obsoletes?: readonly Sense[];
  suggests?: readonly Sense[];
  enhances?: readonly Sense[];
  recommends?: readonly Sense[];
  supplements?: readonly Sense[];
  files?: readonly { path: string; mode?: number; flags?: number }[];
  /** As packages of before rpm 4 have them: whole paths in one tag. */
  oldFileNames?: boolean;
  /** Newest first. */
  changelogs?: readonly { author: string | Uint8Array; date: number; text: string | Uint8Array }[];
  tags?: readonly TagData[];
  without?: readonly number[];
  signatureTags?: readonly TagData[];
  payload?: Uint8Array;
};

const HEADER_MAGIC = Buffer.from([0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0]);
const REGION = { signature: 62, main: 63 };
const WIDTH = [0, 1, 1, 2, 4, 8];

export const text = (tag: number, value: string | Uint8Array): TagData => ({ tag, type: TYPE.STRING, values: [value] });
export const texts = (tag: number, values: TagData["values"]): TagData => ({ tag, type: TYPE.STRING_ARRAY, values });
export const translated = (tag: number, values: TagData["values"]): TagData => ({ tag, type: TYPE.I18NSTRING, values });
export const numbers = (tag: number, values: TagData["values"], type: number = TYPE.INT32): TagData => ({
  tag,
  type,
  values,
});

/** A whole rpm file without rpmbuild: lead, signature header, main header, payload. */
export function buildRpm(spec: RpmSpec = {}): Buffer {
  const own = [...(spec.tags ?? []).map(({ tag }) => tag), ...(spec.without ?? [])];
  const main = [...mainTags(spec).filter(({ tag }) => !own.includes(tag)), ...(spec.tags ?? [])];
  const signature = packHeader(spec.signatureTags ?? [numbers(1000, [1234])], REGION.signature);
  return Buffer.concat([
    packLead(spec.leadType ?? (spec.source ? 1 : 0)),
    signature,
    Buffer.alloc((8 - (signature.length % 8)) % 8),
    packHeader(main, spec.region === false ? undefined : REGION.main),
    spec.payload ?? Buffer.from("payload"),
  ]);
}

function packLead(type: number): Buffer {
  const lead = Buffer.alloc(96);
  lead.writeUInt32BE(0xedabeedb, 0);
  lead.writeUInt8(3, 4);
  lead.writeUInt16BE(type, 6);
  lead.write("synthetic", 10);
  lead.writeUInt16BE(1, 76);
  lead.writeUInt16BE(5, 78);
  return lead;
}

/** Tags in order of their number, as rpm writes them, after the region tag, whose trailer comes last. */
export function packHeader(tags: readonly TagData[], region?: number): Buffer {
  const entries: Buffer[] = [];
  const store: Buffer[] = [];
  let size = 0;
  for (const { tag, type, values } of tags.toSorted((a, b) => a.tag - b.tag)) {
    const width = WIDTH[type] ?? 1;
    const padding = width > 1 ? (width - (size % width)) % width : 0;
    const data = Buffer.concat(values.map((value) => packValue(value, type)));
    const count = type === TYPE.BIN ? data.length : values.length;
    entries.push(packEntry(tag, type, size + padding, count));
    store.push(Buffer.alloc(padding), data);
    size += padding + data.length;
  }
  if (region !== undefined) {
    store.push(packEntry(region, TYPE.BIN, -16 * (entries.length + 1), 16));
    entries.unshift(packEntry(region, TYPE.BIN, size, 16));
    size += 16;
  }
  const intro = Buffer.alloc(8);
  intro.writeUInt32BE(entries.length, 0);
  intro.writeUInt32BE(size, 4);
  return Buffer.concat([HEADER_MAGIC, intro, ...entries, ...store]);
}

function packEntry(...[tag, type, offset, count]: [number, number, number, number]): Buffer {
  const entry = Buffer.alloc(16);
  entry.writeUInt32BE(tag, 0);
  entry.writeUInt32BE(type, 4);
  entry.writeInt32BE(offset, 8);
  entry.writeUInt32BE(count, 12);
  return entry;
}

function packValue(value: string | Uint8Array | number | bigint, type: number): Buffer {
  if (typeof value === "string" || value instanceof Uint8Array) {
    const bytes = Buffer.from(value as string);
    return type === TYPE.BIN ? bytes : Buffer.concat([bytes, Buffer.alloc(1)]);
  }
  const width = WIDTH[type] ?? 1;
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes.subarray(8 - width);
}

function mainTags(spec: RpmSpec): TagData[] {
  const { name = "sample", version = "1.0", release = "1", arch = "noarch", epoch, source = false } = spec;
  return [
    text(TAG.NAME, name),
    text(TAG.VERSION, version),
    text(TAG.RELEASE, release),
    ...(epoch === undefined ? [] : [numbers(TAG.EPOCH, [epoch])]),
    translated(TAG.SUMMARY, [spec.summary ?? "A sample"]),
    translated(TAG.DESCRIPTION, [spec.description ?? "A longer sample"]),
    numbers(TAG.BUILD_TIME, [1_700_000_000]),
    text(TAG.BUILD_HOST, "builder"),
    numbers(TAG.SIZE, [4321]),
    text(TAG.LICENSE, "MIT"),
    translated(TAG.GROUP, ["Unspecified"]),
    text(TAG.ARCH, arch),
    ...(source ? [numbers(TAG.SOURCE_PACKAGE, [1])] : [text(TAG.SOURCE_RPM, `${name}-${version}-${release}.src.rpm`)]),
    ...senseTags(spec.provides, TAG.PROVIDE_NAME, TAG.PROVIDE_FLAGS, TAG.PROVIDE_VERSION),
    ...senseTags(spec.requires, TAG.REQUIRE_NAME, TAG.REQUIRE_FLAGS, TAG.REQUIRE_VERSION),
    ...senseTags(spec.conflicts, TAG.CONFLICT_NAME, TAG.CONFLICT_FLAGS, TAG.CONFLICT_VERSION),
    ...senseTags(spec.obsoletes, TAG.OBSOLETE_NAME, TAG.OBSOLETE_FLAGS, TAG.OBSOLETE_VERSION),
    ...senseTags(spec.suggests, TAG.SUGGEST_NAME, TAG.SUGGEST_FLAGS, TAG.SUGGEST_VERSION),
    ...senseTags(spec.enhances, TAG.ENHANCE_NAME, TAG.ENHANCE_FLAGS, TAG.ENHANCE_VERSION),
    ...senseTags(spec.recommends, TAG.RECOMMEND_NAME, TAG.RECOMMEND_FLAGS, TAG.RECOMMEND_VERSION),
    ...senseTags(spec.supplements, TAG.SUPPLEMENT_NAME, TAG.SUPPLEMENT_FLAGS, TAG.SUPPLEMENT_VERSION),
    ...fileTags(spec),
    ...changelogTags(spec.changelogs ?? []),
  ];
}

export function senseTags(
  senses: readonly Sense[] = [],
  nameTag: number,
  flagsTag: number,
  versionTag: number,
): TagData[] {
  if (senses.length === 0) return [];
  return [
    texts(
      nameTag,
      senses.map(([name]) => name),
    ),
    numbers(
      flagsTag,
      senses.map(([, sense = 0]) => sense),
    ),
    texts(
      versionTag,
      senses.map(([, , version = ""]) => version),
    ),
  ];
}

function fileTags({ files = [], oldFileNames = false }: RpmSpec): TagData[] {
  if (files.length === 0) return [];
  const dirs = new Map<string, number>();
  const split = files.map(({ path }) => {
    const at = path.lastIndexOf("/") + 1;
    const dir = path.slice(0, at);
    if (!dirs.has(dir)) dirs.set(dir, dirs.size);
    return { base: path.slice(at), index: dirs.get(dir) ?? 0 };
  });
  const names = oldFileNames
    ? [
        texts(
          TAG.OLD_FILE_NAMES,
          files.map(({ path }) => path),
        ),
      ]
    : [
        texts(
          TAG.BASE_NAMES,
          split.map(({ base }) => base),
        ),
        texts(TAG.DIR_NAMES, [...dirs.keys()]),
        numbers(
          TAG.DIR_INDEXES,
          split.map(({ index }) => index),
        ),
      ];
  return [
    ...names,
    numbers(
      TAG.FILE_MODES,
      files.map(({ mode = 0o100644 }) => mode),
      TYPE.INT16,
    ),
    numbers(
      TAG.FILE_FLAGS,
      files.map(({ flags = 0 }) => flags),
    ),
  ];
}

function changelogTags(changelogs: NonNullable<RpmSpec["changelogs"]>): TagData[] {
  if (changelogs.length === 0) return [];
  return [
    numbers(
      TAG.CHANGELOG_TIME,
      changelogs.map(({ date }) => date),
    ),
    texts(
      TAG.CHANGELOG_NAME,
      changelogs.map(({ author }) => author),
    ),
    texts(
      TAG.CHANGELOG_TEXT,
      changelogs.map(({ text }) => text),
    ),
  ];
}
