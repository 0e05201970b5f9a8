import { decodeText } from "./index-characters.ts";
import type { AttributeSpan, XmlScanner } from "./index-scan.ts";
import { attributesOf, localName } from "./index-tree.ts";

/** A child of a `<package>` by its bytes, from the package's first. */
export type ChildSpan = {
  start: number;
  contentStart: number;
  contentEnd: number;
  end: number;
  attributes: AttributeSpan[];
};

/** What is asked of a package directly; all else in it is only handed on. */
const CHILDREN: ReadonlySet<string> = new Set(["name", "arch", "version", "checksum", "time", "size", "location"]);

/** Where things lie in one `<package>` element: fed with the tokens of it, of which the first begins at byte 0. */
export class PackageSpans {
  attributes: readonly AttributeSpan[] = [];
  readonly children = new Map<string, ChildSpan>();
  #open: (ChildSpan & { name: string }) | undefined;
  #depth = 0;

  /** Within a child that is asked for, whose end is not yet known. */
  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  /** Takes the scanner's token; true when the element is over. @throws FormatError when a child stands there twice */
  take(scanner: XmlScanner): boolean {
    const { start, at: end, attributes } = scanner;
    if (scanner.kind === "open") {
      if (this.#depth === 0) this.attributes = attributes;
      if (this.#depth === 1) {
        const name = localName(scanner.name);
        if (CHILDREN.has(name)) {
          if (this.children.has(name)) throw scanner.fail(`package: a second element ${name}`, scanner.start);
          const child = { name, start, contentStart: end, contentEnd: end, end, attributes };
          this.children.set(name, child);
          if (!scanner.selfClosing) this.#open = child;
        }
      }
      if (!scanner.selfClosing) this.#depth++;
    } else if (scanner.kind === "close") {
      this.#depth--;
      if (this.#depth === 1 && this.#open) {
        this.#open.contentEnd = start;
        this.#open.end = end;
        this.#open = undefined;
      }
    }
    return this.#depth === 0;
  }
}

/** The package's values, asked for by name. `fail` makes the error, which names the package if it can. */
export class PackageValues {
  readonly #chunk: Buffer;
  readonly #spans: PackageSpans;
  readonly #fail: (what: string) => Error;
  readonly #attributes = new Map<string, Record<string, string>>();

  constructor(chunk: Buffer, spans: PackageSpans, fail: (what: string) => Error) {
    this.#chunk = chunk;
    this.#spans = spans;
    this.#fail = fail;
  }

  fail(what: string): Error {
    return this.#fail(what);
  }

  /** Of the package itself, or of a child. */
  attribute(name: string, child?: string): string | undefined {
    const key = child ?? "";
    const known = this.#attributes.get(key);
    if (known) return known[name];
    const spans = child === undefined ? this.#spans.attributes : this.#child(child).attributes;
    const values = attributesOf(this.#chunk, spans);
    this.#attributes.set(key, values);
    return values[name];
  }

  has(child: string): boolean {
    return this.#spans.children.has(child);
  }

  /** The text of a child. CDATA and comments in it are taken for what they are. */
  text(child: string): string {
    const { contentStart, contentEnd } = this.#child(child);
    const raw = this.#chunk.toString("utf8", contentStart, contentEnd);
    if (!raw.includes("<")) return decodeText(this.#chunk, contentStart, contentEnd);
    return raw.replace(/<!\[CDATA\[([\s\S]*?)\]\]>|<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<[^>]*>|[^<]+/g, (part, cdata) => {
      if (cdata !== undefined) return cdata;
      if (part.startsWith("<!") || part.startsWith("<?")) return "";
      if (part.startsWith("<"))
        throw this.#fail(`element ${child}: ${part.slice(0, 40)} in it; it should hold text alone`);
      const bytes = Buffer.from(part);
      return decodeText(bytes, 0, bytes.length);
    });
  }

  /** A word that names something: no white space, no slash. */
  word(value: string | undefined, what: string): string {
    if (value === undefined || !/^[^\s/\p{Cc}]{1,255}$/u.test(value) || value === "." || value === "..")
      throw this.#fail(`${what}: ${JSON.stringify(value?.slice(0, 80) ?? "nothing")} should be one word without slash`);
    return value;
  }

  number(value: string | undefined, what: string, otherwise?: number): number {
    if (value === undefined && otherwise !== undefined) return otherwise;
    const number = Number(value);
    if (!/^\d+$/.test(value ?? "") || !Number.isSafeInteger(number))
      throw this.#fail(`${what}: ${JSON.stringify(value?.slice(0, 80) ?? "nothing")} should be a number`);
    return number;
  }

  #child(name: string): ChildSpan {
    const span = this.#spans.children.get(name);
    if (span === undefined) throw this.#fail(`the element ${name} is missing`);
    return span;
  }
}
