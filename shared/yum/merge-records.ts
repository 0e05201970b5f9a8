import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { sha256Of } from "../blob.ts";
import { compressionOfName, decompressStream } from "../decompress-stream.ts";
import { AppError } from "../error.ts";
import type { CarriedFile } from "../tree/carried.ts";
import type { BlobStore } from "../tree/leaf.ts";
import { decodeText } from "./index-characters.ts";
import { XmlScanner } from "./index-scan.ts";
import { checkUtf8, localName, prologEnd } from "./index-tree.ts";

const gzipAsync = promisify(gzip);

/** The records that list things of their own, so that several of them can be one; each with the name it gets. */
const MERGED = { group: "comps.xml.gz", updateinfo: "updateinfo.xml.gz", modules: "modules.yaml.gz" } as const;
export type MergedRecord = keyof typeof MERGED;

export type RecordPart = { readonly name: string; readonly file: CarriedFile };

/** Of one source's record unpacked, and of all of them. */
const MOST_PART_BYTES = 64 * 1024 * 1024;
const MOST_BYTES = 128 * 1024 * 1024;
const MOST_RATIO = 500;

/** createrepo_c names the same groups `group` and, packed, `group_gz`, `group_xz`, … */
export function isMergedRecord(record: string | undefined): MergedRecord | undefined {
  if (record === "updateinfo" || record === "modules") return record;
  return record !== undefined && /^group(?:_[a-z0-9]+)?$/.test(record) ? "group" : undefined;
}

/**
 * One record of several sources' ones, in our store: groups by their ids, of which the first stays; advisories by what they hold,
 * since two repositories tell of one advisory what each has of it; modules behind each other. A single one, or equal ones, stay
 * as they are.
 * @throws AppError `unprocessable` naming the source whose record is damaged or too large
 */
export async function mergeRecords(
  store: BlobStore,
  record: MergedRecord,
  parts: readonly RecordPart[],
): Promise<CarriedFile> {
  const [first] = parts;
  if (!first) throw new Error("a record of no source");
  const distinct = [...new Map(parts.map((part) => [part.file.openSha256 ?? part.file.sha256, part])).values()];
  if (distinct.length === 1) return first.file;
  const texts: { where: string; bytes: Buffer }[] = [];
  let total = 0;
  for (const part of distinct) {
    const where = `${record} of ${part.name}`;
    const bytes = await unpacked(store, part.file, where);
    total += bytes.length;
    if (total > MOST_BYTES) throw new AppError("unprocessable", `${where}: with the others over ${MOST_BYTES} bytes`);
    texts.push({ where, bytes });
  }
  const plain = record === "modules" ? joinedYaml(texts.map(({ bytes }) => bytes)) : mergedXml(record, texts);
  const packed = await gzipAsync(plain);
  return {
    path: MERGED[record],
    record,
    sha256: await store.putBlob(packed),
    sizeBytes: packed.length,
    openSha256: sha256Of(plain),
    openSizeBytes: plain.length,
  };
}

async function unpacked(store: BlobStore, { sha256, sizeBytes, path }: CarriedFile, where: string): Promise<Buffer> {
  if (sizeBytes > MOST_PART_BYTES) throw new AppError("unprocessable", `${where}: over ${MOST_PART_BYTES} bytes`);
  const packed = (async function* () {
    yield await store.getBlob(sha256);
  })();
  const chunks: Buffer[] = [];
  const limits = { maxBytes: MOST_PART_BYTES, maxRatio: MOST_RATIO, where };
  for await (const chunk of decompressStream(compressionOfName(path), packed, limits)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** YAML documents, each stream of them ended before the next begins. */
function joinedYaml(streams: readonly Buffer[]): Buffer {
  const parts = streams.flatMap((bytes) => {
    const text = bytes.subarray(prologEnd(bytes)).toString("utf8").trimEnd();
    if (text === "") return [];
    const begun = /^(?:---|%|#)/.test(text) ? text : `---\n${text}`;
    return [/(?:^|\n)\.\.\.$/.test(begun) ? `${begun}\n` : `${begun}\n...\n`];
  });
  return Buffer.from(parts.join(""));
}

type Child = { readonly kind: string; readonly id: string | undefined; readonly bytes: Buffer };

function mergedXml(record: "group" | "updateinfo", texts: readonly { where: string; bytes: Buffer }[]): Buffer {
  const seen = new Set<string>();
  const parts: Buffer[] = [];
  const root = record === "group" ? "comps" : "updates";
  for (const { where, bytes } of texts) {
    for (const child of childrenOf(bytes, root, where)) {
      const held = record === "group" ? "" : sha256Of(child.bytes);
      const name = JSON.stringify([child.kind, child.id, held]);
      if (seen.has(name)) continue;
      seen.add(name);
      parts.push(Buffer.from("  "), child.bytes, Buffer.from("\n"));
    }
  }
  const head = `<?xml version="1.0" encoding="UTF-8"?>\n<${root}>\n`;
  return Buffer.concat([Buffer.from(head), ...parts, Buffer.from(`</${root}>\n`)]);
}

/** The elements within the root, byte for byte, each with what its own `<id>` says. */
function* childrenOf(whole: Buffer, root: string, where: string): Generator<Child> {
  const scanner = new XmlScanner(where);
  scanner.bytes = withoutDoctype(whole);
  checkUtf8(scanner, 0, whole.length);
  scanner.at = prologEnd(whole);
  let child: { kind: string; start: number; id?: string } | undefined;
  let idStart: number | undefined;
  let isRootSeen = false;
  while (scanner.advance()) {
    const { kind, start, at, depth, selfClosing, bytes } = scanner;
    if (kind === "open") {
      const name = localName(scanner.name);
      if (!isRootSeen && name !== root) throw scanner.fail(`<${root}> expected, <${name.slice(0, 60)}> found`, start);
      const level = selfClosing ? depth : depth - 1;
      if (level === 1) child = { kind: name, start };
      if (level === 2 && name === "id" && !selfClosing) idStart = at;
      isRootSeen = true;
    } else if (kind === "close" && depth === 2 && child && idStart !== undefined) {
      child.id ??= decodeText(bytes, idStart, start).trim();
      idStart = undefined;
    }
    const isOver = depth === 1 && (kind === "close" || (kind === "open" && selfClosing));
    if (!child || !isOver) continue;
    yield { kind: child.kind, id: child.id, bytes: bytes.subarray(child.start, at) };
    child = undefined;
  }
  if (!isRootSeen || scanner.depth > 0) throw scanner.fail("it ends too early", scanner.at);
}

/** Comps files name a DTD, which nobody fetches. One that defines something itself is left to be refused. */
function withoutDoctype(bytes: Buffer): Buffer {
  const found = /<!DOCTYPE[^[>]*>/.exec(bytes.toString("latin1", 0, 4096));
  if (!found) return bytes;
  return Buffer.from(bytes).fill(0x20, found.index, found.index + found[0].length);
}
