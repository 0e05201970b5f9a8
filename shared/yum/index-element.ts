import { type AttributeSpan, attributeNamed } from "./index-attributes.ts";
import { decodeText, isText } from "./index-characters.ts";
import type { XmlScanner } from "./index-scan.ts";

/** A child of a `<package>` by its bytes, from the package's first. */
export type ChildSpan = {
  name: string;
  start: number;
  contentStart: number;
  contentEnd: number;
  end: number;
  attributes: AttributeSpan[];
};

/** What is asked of a package directly; all else in it is only handed on. */
const CHILDREN = ["name", "arch", "version", "checksum", "time", "size", "location"] as const;
const COLON = 0x3a;

/** Where things lie in one `<package>` element: fed with the tokens of it, of which the first begins at byte 0. */
export class PackageSpans {
  attributes: readonly AttributeSpan[] = [];
  readonly #children: ChildSpan[] = [];
  #open: ChildSpan | undefined;
  #depth = 0;

  /** Within a child that is asked for, whose end is not yet known. */
  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  child(name: string): ChildSpan | undefined {
    for (const child of this.#children) if (child.name === name) return child;
    return undefined;
  }

  /** Takes the scanner's token; true when the element is over. @throws FormatError when a child stands there twice */
  take(scanner: XmlScanner): boolean {
    const { start, at: end } = scanner;
    if (scanner.kind === "open") {
      if (this.#depth === 0) this.attributes = scanner.attributes;
      if (this.#depth === 1) {
        const name = childNameOf(scanner);
        if (name !== undefined) {
          if (this.child(name)) throw scanner.fail(`package: a second element ${name}`, scanner.start);
          const child = { name, start, contentStart: end, contentEnd: end, end, attributes: scanner.attributes };
          this.#children.push(child);
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

/** The name without prefix, if it is one that is asked for. */
function childNameOf({ bytes, nameStart, nameEnd }: XmlScanner): string | undefined {
  let start = nameStart;
  // As `localName` has it: behind the first colon.
  for (let at = nameStart; at < nameEnd && start === nameStart; at++) if (bytes[at] === COLON) start = at + 1;
  for (const name of CHILDREN) if (isText(bytes, start, nameEnd, name)) return name;
  return undefined;
}

/** The package's values, asked for by name. `fail` makes the error, which names the package if it can. */
export class PackageValues {
  readonly #chunk: Buffer;
  readonly #spans: PackageSpans;
  readonly #fail: (what: string) => Error;

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
    const spans = child === undefined ? this.#spans.attributes : this.#child(child).attributes;
    const found = attributeNamed(this.#chunk, spans, name);
    return found && decodeText(this.#chunk, found.valueStart, found.valueEnd);
  }

  has(child: string): boolean {
    return this.#spans.child(child) !== undefined;
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
    const span = this.#spans.child(name);
    if (span === undefined) throw this.#fail(`the element ${name} is missing`);
    return span;
  }
}
