import { faultOfPath } from "../dir/upstream-path.ts";
import { type Checksum, checksumOf } from "./index-checksum.ts";
import { readXml, type XmlElement } from "./index-tree.ts";
import type { Repomd } from "./repomd.ts";

/** One file that somebody else's repomd.xml names. */
export type UpstreamRecord = {
  /** `primary`, `filelists`, `other`, `group`, `updateinfo`, `modules`, … */
  type: string;
  checksum: Checksum;
  /** Of the file unpacked, where it is told. */
  openChecksum?: Checksum;
  sizeBytes?: number;
  openSizeBytes?: number;
  /** Relative to `base`, or else to the repository's root. */
  href: string;
  base?: string;
  /** Seconds since 1970. */
  timestamp?: number;
  /** What becomes of it: read, republished as it is, or left out since it speaks of what we write anew. */
  use: "index" | "carry" | "drop";
};

export type UpstreamRepomd = {
  revision?: string;
  records: readonly UpstreamRecord[];
  tags: NonNullable<Repomd["tags"]>;
};

// Deltas, the same in other forms (SQLite, zchunk), and what names packages by a checksum that ours may differ from.
const DROPPED = /^(?:prestodelta|deltainfo|susedata.*|filelists[-_]ext.*|.*_(?:zck|db))$/;
const INDEXES: ReadonlySet<string> = new Set(["primary", "filelists", "other"]);

/**
 * Reads repomd.xml. `where` names it in errors.
 * @throws FormatError naming the element and the byte; also when primary is missing or an index stands there twice
 */
export function readRepomd(bytes: Uint8Array, where: string): UpstreamRepomd {
  const root = readXml(bytes, where);
  if (root.name !== "repomd") throw root.fail("the root element should be repomd");
  const records = root.all("data").map(readRecord);
  for (const type of INDEXES) {
    const found = records.filter((record) => record.type === type).length;
    if (found > 1) throw root.fail(`${found} records of type ${type}`);
    if (found === 0 && type === "primary") throw root.fail("no record of type primary");
  }
  const revision = root.first("revision")?.text.trim();
  return { ...(revision ? { revision } : {}), records, tags: readTags(root.first("tags")) };
}

function readRecord(data: XmlElement): UpstreamRecord {
  const type = data.attribute("type");
  if (!/^[\w.+-]{1,100}$/.test(type)) throw data.fail(`type: ${JSON.stringify(type.slice(0, 80))} should be one word`);
  const location = need(data, "location");
  const href = location.attribute("href");
  const fault = faultOfPath(href);
  if (fault !== undefined) throw location.fail(`the path ${JSON.stringify(href.slice(0, 200))} is refused: ${fault}`);
  const base = location.attributes["xml:base"];
  if (base !== undefined && !(URL.canParse(base) && /^https?:$/.test(new URL(base).protocol)))
    throw location.fail(`xml:base ${JSON.stringify(base.slice(0, 200))} should be an http or https URL`);
  const openChecksum = data.first("open-checksum");
  return {
    type,
    checksum: readChecksum(need(data, "checksum")),
    ...(openChecksum ? { openChecksum: readChecksum(openChecksum) } : {}),
    ...number("sizeBytes", data.first("size")),
    ...number("openSizeBytes", data.first("open-size")),
    ...number("timestamp", data.first("timestamp")),
    href,
    ...(base === undefined ? {} : { base }),
    use: INDEXES.has(type) ? "index" : DROPPED.test(type) ? "drop" : "carry",
  };
}

function need(parent: XmlElement, name: string): XmlElement {
  const found = parent.first(name);
  if (found === undefined) throw parent.fail(`the element ${name} is missing`);
  return found;
}

export function readChecksum(element: XmlElement): Checksum {
  const checksum = checksumOf(element.attributes.type, element.text);
  if (checksum === undefined) throw element.fail("it should be md5 or a SHA, in hex digits");
  return checksum;
}

/** Old createrepo wrote times with a fraction. */
function number<Key extends string>(key: Key, element: XmlElement | undefined): { [K in Key]?: number } {
  if (element === undefined) return {};
  return { [key]: wholeNumber(element) } as { [K in Key]?: number };
}

export function wholeNumber(element: XmlElement): number {
  const value = Math.floor(Number(element.text.trim()));
  if (!/^\s*\d+(\.\d+)?\s*$/.test(element.text) || !Number.isSafeInteger(value))
    throw element.fail(`${JSON.stringify(element.text.slice(0, 80))} should be a number`);
  return value;
}

function readTags(tags: XmlElement | undefined): UpstreamRepomd["tags"] {
  const words = (name: string) => tags?.all(name).map((element) => element.text) ?? [];
  const [content, repo] = [words("content"), words("repo")];
  const distro = (tags?.all("distro") ?? []).map(({ text, attributes: { cpeid } }) => ({
    name: text,
    ...(cpeid === undefined ? {} : { cpeid }),
  }));
  return {
    ...(content.length > 0 ? { content } : {}),
    ...(repo.length > 0 ? { repo } : {}),
    ...(distro.length > 0 ? { distro } : {}),
  };
}
