import type { Sha256 } from "../blob.ts";
import { AppError } from "../error.ts";
import { PackageSpans } from "./index-element.ts";
import { type Patch, patched } from "./index-patch.ts";
import { XmlScanner } from "./index-scan.ts";
import { xmlAttribute, xmlAttributes } from "./xml.ts";

/**
 * An element of primary.xml as we publish it: place, checksum and size of the rpm are ours, everything else is as it was,
 * byte for byte. It ends with a line feed, so that elements can be joined as they are.
 * @throws AppError `unprocessable` when it has no checksum or place
 */
export function rewritePrimary(chunk: Buffer, ours: { pkgid: Sha256; href: string; sizeBytes: number }): Buffer {
  const spans = spansOf(chunk, ["checksum", "location", "size"]);
  const patches: Patch[] = [
    { ...childOf(spans, "checksum"), text: `<checksum type="sha256" pkgid="YES">${ours.pkgid}</checksum>` },
    { ...childOf(spans, "location"), text: `<location${xmlAttributes({ href: ours.href })}/>` },
  ];
  for (const one of spans.children.get("size")?.attributes ?? []) {
    if (chunk.toString("latin1", one.nameStart, one.nameEnd) === "package")
      patches.push({ start: one.valueStart, end: one.valueEnd, text: String(ours.sizeBytes) });
  }
  return withLineFeed(patched(chunk, patches));
}

/** An element of filelists.xml or other.xml as we publish it: only the checksum of the rpm is ours. */
export function rewriteOther(chunk: Buffer, pkgid: Sha256): Buffer {
  const found = spansOf(chunk, []).attributes.find(
    (one) => chunk.toString("latin1", one.nameStart, one.nameEnd) === "pkgid",
  );
  if (found === undefined) throw new AppError("unprocessable", "a package's element has no pkgid");
  return withLineFeed(patched(chunk, [{ start: found.valueStart, end: found.valueEnd, text: xmlAttribute(pkgid) }]));
}

/** Reads on only until the children asked for are there: what follows them is most of an element, and was read before. */
function spansOf(chunk: Buffer, wanted: readonly string[]): PackageSpans {
  const scanner = new XmlScanner("package");
  scanner.bytes = chunk;
  const spans = new PackageSpans();
  while (scanner.advance()) {
    if (spans.take(scanner) || (!spans.isOpen && wanted.every((name) => spans.children.has(name)))) return spans;
  }
  throw scanner.fail("the element has no end", scanner.at);
}

function childOf(spans: PackageSpans, name: string): { start: number; end: number } {
  const child = spans.children.get(name);
  if (child === undefined) throw new AppError("unprocessable", `a package's element has no ${name}`);
  return { start: child.start, end: child.end };
}

function withLineFeed(chunk: Buffer): Buffer {
  return Buffer.concat([chunk, Buffer.from("\n")]);
}
