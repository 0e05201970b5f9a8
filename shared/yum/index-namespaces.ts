import type { IndexKind } from "./chunks.ts";
import { type Patch, patched } from "./index-patch.ts";
import { XmlScanner } from "./index-scan.ts";
import { attributesOf, localName } from "./index-tree.ts";
import { xmlAttributes } from "./xml.ts";

const RPM = "http://linux.duke.edu/metadata/rpm";
const OWN: Readonly<Record<IndexKind, string>> = {
  primary: "http://linux.duke.edu/metadata/common",
  filelists: "http://linux.duke.edu/metadata/filelists",
  other: "http://linux.duke.edu/metadata/other",
};

/**
 * What the prefixes of an index mean. dnf and yum look for `package` and `rpm:entry` literally, and our indexes declare these
 * two namespaces and no others: an element that was written under other prefixes is brought to the usual ones.
 */
export class Namespaces {
  readonly #kind: IndexKind;
  /** By prefix, `""` for names without. */
  readonly #declared: Readonly<Record<string, string>>;
  readonly #usual: boolean;

  constructor(kind: IndexKind, declared: Readonly<Record<string, string>>) {
    this.#kind = kind;
    this.#declared = declared;
    this.#usual = Object.entries(declared).every(([prefix, uri]) => usualPrefix(kind, uri) === prefix);
  }

  /** @throws FormatError when the root is of another namespace than the kind of index has */
  static ofRoot(kind: IndexKind, scanner: XmlScanner): Namespaces {
    const declared: Record<string, string> = Object.create(null);
    for (const [name, value] of Object.entries(attributesOf(scanner.bytes, scanner.attributes))) {
      if (name === "xmlns") declared[""] = value;
      else if (name.startsWith("xmlns:")) declared[name.slice(6)] = value;
    }
    const uri = declared[prefixOf(scanner.name)];
    if (uri !== undefined && uri !== OWN[kind])
      throw scanner.fail(`the root element is of namespace ${uri}; ${OWN[kind]} is expected`, scanner.start);
    return new Namespaces(kind, declared);
  }

  /** The element under the usual prefixes; those of other namespaces come with their declaration. */
  asUsual(chunk: Buffer): Buffer {
    if (this.#usual) return chunk;
    const scanner = new XmlScanner("package");
    scanner.bytes = chunk;
    const patches: Patch[] = [];
    const foreign = new Set<string>();
    let firstNameEnd = 0;
    while (scanner.advance()) {
      if (scanner.kind !== "open" && scanner.kind !== "close") continue;
      if (firstNameEnd === 0) firstNameEnd = scanner.nameEnd;
      const name = scanner.name;
      const prefix = prefixOf(name);
      const uri = this.#declared[prefix];
      if (uri !== undefined) {
        const usual = usualPrefix(this.#kind, uri);
        if (usual === undefined) foreign.add(prefix);
        else if (usual !== prefix) {
          const text = usual === "" ? localName(name) : `${usual}:${localName(name)}`;
          patches.push({ start: scanner.nameStart, end: scanner.nameEnd, text });
        }
      }
      if (scanner.kind === "close") continue;
      for (const { nameStart, nameEnd } of scanner.attributes) {
        const attributePrefix = prefixOf(chunk.toString("latin1", nameStart, nameEnd));
        if (attributePrefix !== "" && this.#declared[attributePrefix] !== undefined) foreign.add(attributePrefix);
      }
    }
    const declarations = [...foreign].map((prefix) =>
      xmlAttributes({ [prefix === "" ? "xmlns" : `xmlns:${prefix}`]: this.#declared[prefix] }),
    );
    if (declarations.length > 0) patches.push({ start: firstNameEnd, end: firstNameEnd, text: declarations.join("") });
    return patched(chunk, patches);
  }
}

function usualPrefix(kind: IndexKind, uri: string): string | undefined {
  if (uri === OWN[kind]) return "";
  return uri === RPM ? "rpm" : undefined;
}

function prefixOf(name: string): string {
  const colon = name.indexOf(":");
  return colon === -1 ? "" : name.slice(0, colon);
}
