import type { Header } from "./header.ts";
import { TAG } from "./tags.ts";

/** Is it a source package? One of before rpm 4.6 is known by its files, which lie in no directory: rpm's lib/package.c. */
export function isSourcePackage(header: Header): boolean {
  const said = header.number(TAG.SOURCE_PACKAGE);
  if (said !== undefined) return said !== 0;
  if (header.has(TAG.SOURCE_RPM)) return false;
  if (header.has(TAG.DIR_NAMES)) return header.count(TAG.DIR_NAMES) === 1 && header.strings(TAG.DIR_NAMES)[0] === "";
  return header.has(TAG.OLD_FILE_NAMES) && !header.strings(TAG.OLD_FILE_NAMES, 1)[0]?.startsWith("/");
}

/** Does the package name the source package that it was built from, or belong to one that should? A source package does not. */
export function hasOrigin(header: Header): boolean {
  return header.has(TAG.SOURCE_RPM) || (!header.has(TAG.SOURCE_PACKAGE) && !isSourcePackage(header));
}

/** The source package's file name as bytes; rpm says `(none)` where a package should name one and does not. */
export function originOf(header: Header): string {
  if (header.has(TAG.SOURCE_RPM)) return header.string(TAG.SOURCE_RPM) ?? "";
  return hasOrigin(header) ? "(none)" : "";
}
