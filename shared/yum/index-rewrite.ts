import type { Sha256 } from "../blob.ts";
import { AppError } from "../error.ts";
import { attributeNamed } from "./index-attributes.ts";
import { PackageSpans } from "./index-element.ts";
import { type Patch, patched } from "./index-patch.ts";
import { XmlScanner } from "./index-scan.ts";
import { xmlAttribute, xmlAttributes } from "./xml.ts";

type Span = { readonly start: number; readonly end: number };

/** Where in a package's element lies what we tell anew. */
export type Places = {
  /** The element of primary.xml; in the other indexes the attribute's value. */
  readonly checksum: Span;
  /** Of primary.xml alone: the element, and the attribute's value. */
  readonly location?: Span | undefined;
  readonly size?: Span | undefined;
};

/** Of an element of primary.xml. @throws AppError `unprocessable` when it has no checksum or place */
export function primaryPlacesIn(chunk: Buffer, spans: PackageSpans): Places {
  const size = attributeNamed(chunk, spans.child("size")?.attributes ?? [], "package");
  return {
    checksum: childOf(spans, "checksum"),
    location: childOf(spans, "location"),
    size: size && { start: size.valueStart, end: size.valueEnd },
  };
}

/** Of an element of filelists.xml or other.xml. @throws AppError `unprocessable` when it has no pkgid */
export function otherPlacesIn(chunk: Buffer, spans: PackageSpans): Places {
  const pkgid = attributeNamed(chunk, spans.attributes, "pkgid");
  if (pkgid === undefined) throw new AppError("unprocessable", "a package's element has no pkgid");
  return { checksum: { start: pkgid.valueStart, end: pkgid.valueEnd } };
}

/**
 * An element of primary.xml as we publish it: place, checksum and size of the rpm are ours, everything else is as it was,
 * byte for byte. It ends with a line feed, so that elements can be joined as they are.
 * @throws AppError `unprocessable` when it has no checksum or place
 */
export function rewritePrimary(
  chunk: Buffer,
  ours: { pkgid: Sha256; href: string; sizeBytes: number },
  { checksum, location, size }: Places = primaryPlacesIn(chunk, spansOf(chunk, PRIMARY_CHILDREN)),
): Buffer {
  const patches: Patch[] = [{ ...checksum, text: `<checksum type="sha256" pkgid="YES">${ours.pkgid}</checksum>` }];
  if (location) patches.push({ ...location, text: `<location${xmlAttributes({ href: ours.href })}/>` });
  if (size) patches.push({ ...size, text: String(ours.sizeBytes) });
  return patched(chunk, patches, "\n");
}

const PRIMARY_CHILDREN = ["checksum", "location", "size"] as const;

/** An element of filelists.xml or other.xml as we publish it: only the checksum of the rpm is ours. */
export function rewriteOther(
  chunk: Buffer,
  sha256: Sha256,
  { checksum }: Places = otherPlacesIn(chunk, spansOf(chunk, [])),
): Buffer {
  return patched(chunk, [{ ...checksum, text: xmlAttribute(sha256) }], "\n");
}

/** Reads on only until the children asked for are there: what follows them is most of an element, and was read before. */
function spansOf(chunk: Buffer, wanted: readonly string[]): PackageSpans {
  const scanner = new XmlScanner("package");
  scanner.bytes = chunk;
  const spans = new PackageSpans();
  while (scanner.advance()) {
    if (spans.take(scanner) || (!spans.isOpen && wanted.every((name) => spans.child(name)))) return spans;
  }
  throw scanner.fail("the element has no end", scanner.at);
}

function childOf(spans: PackageSpans, name: string): Span {
  const child = spans.child(name);
  if (child === undefined) throw new AppError("unprocessable", `a package's element has no ${name}`);
  return { start: child.start, end: child.end };
}
