import { ByteSource } from "../decompress-stream-input.ts";
import { faultOfPath } from "../dir/upstream-path.ts";
import type { IndexKind } from "./chunks.ts";
import { attributeNamed } from "./index-attributes.ts";
import { type ChecksumType, checksumOf } from "./index-checksum.ts";
import { PackageSpans, PackageValues } from "./index-element.ts";
import { Namespaces } from "./index-namespaces.ts";
import { otherPlacesIn, type Places, primaryPlacesIn } from "./index-rewrite.ts";
import { XmlScanner } from "./index-scan.ts";
import { checkInstruction, checkUtf8, localName, prologEnd } from "./index-tree.ts";

/** A package's part of one index. */
export type RpmPart = {
  /** The `<package>` element, as it is but for namespace prefixes other than the usual. Memory of its own. */
  chunk: Buffer;
  /** The checksum of the rpm, by which the three indexes are joined. */
  pkgid: string;
  name: string;
  architecture: string;
  epoch: number;
  version: string;
  release: string;
  /** What of the chunk is told anew; undefined where it is not as it was read. */
  places?: Places | undefined;
};

/** What primary.xml adds. */
export type PrimaryPart = RpmPart & {
  checksumType: ChecksumType;
  sizeBytes: number;
  /** Relative to `base`, or else to the repository's root. */
  href: string;
  /** A URL (`xml:base`), where the rpm lies elsewhere than the index. */
  base?: string;
  /** Seconds since 1970. */
  buildTime: number;
};

const ROOTS = { primary: "metadata", filelists: "filelists", other: "otherdata" } as const;
const MAX_PACKAGE_BYTES = 64 * 1024 * 1024;

/**
 * Reads an index as it streams in, one package in memory at a time. Everything it gives is well-formed UTF-8.
 * @throws FormatError naming `where`, the package or element, and the byte
 */
export function readPackagesXml(
  kind: "primary",
  source: AsyncIterable<Uint8Array>,
  options: { where: string },
): AsyncGenerator<PrimaryPart, void>;
export function readPackagesXml(
  kind: IndexKind,
  source: AsyncIterable<Uint8Array>,
  options: { where: string },
): AsyncGenerator<RpmPart, void>;
export async function* readPackagesXml(
  kind: IndexKind,
  source: AsyncIterable<Uint8Array>,
  { where }: { where: string },
): AsyncGenerator<RpmPart, void> {
  const input = new ByteSource(source);
  const reader = new IndexReader(kind, input, where);
  try {
    await reader.root();
    for (;;) {
      const one = await reader.package();
      if (one === undefined) return;
      yield one;
    }
  } finally {
    await input.close();
  }
}

class IndexReader {
  readonly #kind: IndexKind;
  readonly #input: ByteSource;
  readonly #scanner: XmlScanner;
  #namespaces = new Namespaces("primary", {});

  constructor(kind: IndexKind, input: ByteSource, where: string) {
    this.#kind = kind;
    this.#input = input;
    this.#scanner = new XmlScanner(where);
  }

  /** Everything before the first package. */
  async root(): Promise<void> {
    const scanner = this.#scanner;
    await this.#input.fill(3);
    scanner.bytes = this.#input.bytes;
    checkUtf8(scanner, 0, 0);
    scanner.at = prologEnd(scanner.bytes);
    this.#drop(scanner.at);
    for (;;) {
      if (!(await this.#next())) throw scanner.fail("it ends before its root element", scanner.at);
      checkUtf8(scanner, scanner.start, scanner.at);
      if (scanner.kind === "instruction") checkInstruction(scanner);
      if (scanner.kind === "open") break;
      this.#between();
    }
    const root = localName(scanner.name);
    if (root !== ROOTS[this.#kind])
      throw scanner.fail(`the root element is ${root}; ${ROOTS[this.#kind]} is expected`, scanner.start);
    this.#namespaces = Namespaces.ofRoot(this.#kind, scanner);
    if (scanner.selfClosing) await this.#end();
    this.#drop(scanner.at);
  }

  /** The next package, or undefined after the last, when the document is seen to be whole. */
  async package(): Promise<RpmPart | undefined> {
    const scanner = this.#scanner;
    if (this.#over) return undefined;
    for (;;) {
      if (!scanner.advance() && !(await this.#next()))
        throw scanner.fail(`it ends before </${ROOTS[this.#kind]}>`, scanner.at);
      if (scanner.kind === "close") {
        await this.#end();
        return undefined;
      }
      if (scanner.kind === "open") {
        const one = await this.#element();
        if (one !== undefined) return one;
      } else {
        checkUtf8(scanner, scanner.start, scanner.at);
        this.#between();
      }
    }
  }

  #over = false;

  async #end(): Promise<void> {
    const scanner = this.#scanner;
    this.#over = true;
    this.#drop(scanner.at);
    while (await this.#next()) this.#between();
    if (scanner.at < scanner.bytes.length && scanner.bytes.toString("latin1", scanner.at).trim() !== "")
      throw scanner.fail("something follows the root element", scanner.at);
  }

  /** White space, a comment or an instruction between packages, which is forgotten. */
  #between(): void {
    const scanner = this.#scanner;
    const { kind, start, at } = scanner;
    const blank = kind === "text" && scanner.bytes.toString("latin1", start, at).trim() === "";
    if (!blank && kind !== "comment" && kind !== "instruction")
      throw scanner.fail(`a ${kind} where a package should begin`, start);
    this.#drop(at);
  }

  /** The element whose start was just read; undefined where it is no package. */
  async #element(): Promise<RpmPart | undefined> {
    const scanner = this.#scanner;
    const isPackage = localName(scanner.name) === "package";
    // Everything before it is gone: its first byte is the first there is.
    this.#drop(scanner.start);
    const spans = new PackageSpans();
    while (!spans.take(scanner)) {
      if (!scanner.advance() && !(await this.#next())) throw scanner.fail("it ends within a package", scanner.at);
      if (scanner.at > MAX_PACKAGE_BYTES) throw scanner.fail(`a package of more than ${MAX_PACKAGE_BYTES} bytes`, 0);
    }
    checkUtf8(scanner, 0, scanner.at);
    const chunk = Buffer.from(scanner.bytes.subarray(0, scanner.at));
    const values = new PackageValues(chunk, spans, (what) => scanner.fail(`${nameOf(spans, chunk)}${what}`, 0));
    const part = isPackage ? this.#part(chunk, spans, values) : undefined;
    this.#drop(scanner.at);
    return part;
  }

  #part(read: Buffer, spans: PackageSpans, values: PackageValues): RpmPart {
    const primary = this.#kind === "primary";
    const chunk = this.#namespaces.asUsual(read);
    const part = {
      chunk,
      name: values.word(primary ? values.text("name").trim() : values.attribute("name"), "name"),
      architecture: values.word(primary ? values.text("arch").trim() : values.attribute("arch"), "arch"),
      epoch: values.number(values.attribute("epoch", "version") || undefined, "version: epoch", 0),
      version: values.word(values.attribute("ver", "version"), "version: ver"),
      release: values.word(values.attribute("rel", "version"), "version: rel"),
    };
    const isAsRead = chunk === read;
    if (primary) {
      const own = primaryValues(values);
      return { ...part, ...own, places: isAsRead ? primaryPlacesIn(read, spans) : undefined };
    }
    const pkgid = values.attribute("pkgid")?.toLowerCase() ?? "";
    if (!/^[0-9a-f]{32,128}$/.test(pkgid))
      throw values.fail(`pkgid: ${JSON.stringify(pkgid.slice(0, 80))} is no checksum`);
    return { ...part, pkgid, places: isAsRead ? otherPlacesIn(read, spans) : undefined };
  }

  /** The next token, with as many more bytes as it takes; false at the end of the source. */
  async #next(): Promise<boolean> {
    const scanner = this.#scanner;
    for (;;) {
      if (scanner.advance()) return true;
      const there = scanner.bytes.length;
      const pending = there - scanner.at;
      if (pending > MAX_PACKAGE_BYTES)
        throw scanner.fail(`more than ${MAX_PACKAGE_BYTES} bytes without an end`, scanner.at);
      // As much again as is still without its end: a long token is then looked through a few times, not once for each piece.
      const filled = await this.#input.fill(there + Math.max(pending, 1));
      scanner.bytes = this.#input.bytes;
      if (filled === there) return false;
    }
  }

  #drop(count: number): void {
    this.#input.skip(count);
    this.#scanner.rebase(count, this.#input.bytes);
  }
}

function primaryValues(values: PackageValues): Omit<PrimaryPart, keyof RpmPart> & { pkgid: string } {
  const type = values.attribute("type");
  if (type !== undefined && type !== "rpm")
    throw values.fail(`type: ${JSON.stringify(type.slice(0, 40))} should be rpm`);
  const checksum = checksumOf(values.attribute("type", "checksum"), values.text("checksum"));
  if (checksum === undefined) throw values.fail("element checksum: it should be md5 or a SHA, in hex digits");
  const href = values.attribute("href", "location") ?? "";
  const fault = faultOfPath(href);
  if (fault !== undefined)
    throw values.fail(`location: the path ${JSON.stringify(href.slice(0, 200))} is refused: ${fault}`);
  const base = values.attribute("xml:base", "location");
  if (base !== undefined && !(URL.canParse(base) && /^https?:$/.test(new URL(base).protocol)))
    throw values.fail(`location: xml:base ${JSON.stringify(base.slice(0, 200))} should be an http or https URL`);
  return {
    pkgid: checksum.value,
    checksumType: checksum.type,
    sizeBytes: values.number(values.attribute("package", "size"), "size: package"),
    href,
    ...(base === undefined ? {} : { base }),
    buildTime: values.has("time") ? values.number(values.attribute("build", "time"), "time: build", 0) : 0,
  };
}

/** For errors: whatever of the name can be told. */
function nameOf(spans: PackageSpans, chunk: Buffer): string {
  const name = spans.child("name");
  const attribute = attributeNamed(chunk, spans.attributes, "name");
  const [start, end] = name
    ? [name.contentStart, name.contentEnd]
    : [attribute?.valueStart ?? 0, attribute?.valueEnd ?? 0];
  return end > start ? `package ${JSON.stringify(chunk.toString("utf8", start, Math.min(end, start + 80)))}: ` : "";
}
