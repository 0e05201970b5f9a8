import type { Sha256 } from "../blob.ts";
import { DEPENDENCY_KINDS, type Dependency, type DependencyKind } from "./dependency.ts";
import type { RpmFile } from "./file-list.ts";
import { isPrimaryFile } from "./primary-file.ts";
import type { Rpm } from "./rpm.ts";
import { xmlAttributes, xmlText } from "./xml.ts";

/** A package as an index lists it. */
export type IndexedRpm = {
  rpm: Rpm;
  /** Of the whole file: its `pkgid`. */
  sha256: Sha256;
  sizeBytes: number;
  /** Where the file lies, relative to the repository's root, as it is named: dnf percent-encodes it itself, `%` and `+` too. */
  href: string;
  /** Seconds since 1970. */
  fileTime: number;
};

export type IndexKind = "primary" | "filelists" | "other";

/** The package's part of each index: from `<package` to `</package>` and a line feed, so that parts can be joined as they are. */
export function packageChunks(one: IndexedRpm): Record<IndexKind, string> {
  return { primary: primaryChunk(one), filelists: filelistsChunk(one), other: otherChunk(one) };
}

const ROOTS = {
  primary: {
    element: "metadata",
    namespaces: ' xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm"',
  },
  filelists: { element: "filelists", namespaces: ' xmlns="http://linux.duke.edu/metadata/filelists"' },
  other: { element: "otherdata", namespaces: ' xmlns="http://linux.duke.edu/metadata/other"' },
};

/** What stands before the packages; `count` is how many follow. */
export function indexHeader(kind: IndexKind, count: number): string {
  const { element, namespaces } = ROOTS[kind];
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${element}${namespaces} packages="${count}">\n`;
}

export function indexFooter(kind: IndexKind): string {
  return `</${ROOTS[kind].element}>`;
}

function primaryChunk({ rpm, sha256, sizeBytes, href, fileTime }: IndexedRpm): string {
  const size = { package: sizeBytes, installed: rpm.installedSize, archive: rpm.archiveSize };
  return `<package type="rpm">
  <name>${xmlText(rpm.name)}</name>
  <arch>${xmlText(rpm.architecture)}</arch>
${versionLine(rpm)}
  <checksum type="sha256" pkgid="YES">${sha256}</checksum>
  <summary>${xmlText(rpm.summary)}</summary>
  <description>${xmlText(rpm.description)}</description>
  <packager>${xmlText(rpm.packager)}</packager>
  <url>${xmlText(rpm.url)}</url>
  <time${xmlAttributes({ file: fileTime, build: rpm.buildTime })}/>
  <size${xmlAttributes(size)}/>
  <location${xmlAttributes({ href })}/>
  <format>
    <rpm:license>${xmlText(rpm.license)}</rpm:license>
    <rpm:vendor>${xmlText(rpm.vendor)}</rpm:vendor>
    <rpm:group>${xmlText(rpm.group)}</rpm:group>
    <rpm:buildhost>${xmlText(rpm.buildHost)}</rpm:buildhost>
    <rpm:sourcerpm>${xmlText(rpm.sourceRpm)}</rpm:sourcerpm>
    <rpm:header-range${xmlAttributes({ start: rpm.headerStart, end: rpm.headerEnd })}/>
${DEPENDENCY_KINDS.map((kind) => dependencyLines(kind, rpm[kind])).join("")}${fileLines(
  rpm.files.filter(({ path }) => isPrimaryFile(path)),
  "    ",
)}  </format>
</package>
`;
}

function filelistsChunk(one: IndexedRpm): string {
  return `${packageLines(one)}${fileLines(one.rpm.files, "  ")}</package>\n`;
}

function otherChunk(one: IndexedRpm): string {
  const changelogs = one.rpm.changelogs.map(
    ({ author, date, text }) => `  <changelog${xmlAttributes({ author, date })}>${xmlText(text)}</changelog>\n`,
  );
  return `${packageLines(one)}${changelogs.join("")}</package>\n`;
}

function packageLines({ rpm, sha256 }: IndexedRpm): string {
  const attributes = { pkgid: sha256, name: rpm.name, arch: rpm.architecture };
  return `<package${xmlAttributes(attributes)}>\n${versionLine(rpm)}\n`;
}

function versionLine({ epoch, version, release }: Rpm): string {
  return `  <version${xmlAttributes({ epoch, ver: version, rel: release })}/>`;
}

function dependencyLines(kind: DependencyKind, dependencies: Dependency[]): string {
  if (dependencies.length === 0) return "";
  const entries = dependencies
    .filter(({ name }) => name !== "")
    .map(({ name, flags, epoch, version, release, pre }) => {
      const attributes = { name, flags, epoch, ver: version, rel: release, pre: pre ? "1" : undefined };
      return `      <rpm:entry${xmlAttributes(attributes)}/>\n`;
    });
  if (entries.length === 0) return `    <rpm:${kind}/>\n`;
  return `    <rpm:${kind}>\n${entries.join("")}    </rpm:${kind}>\n`;
}

function fileLines(files: RpmFile[], indent: string): string {
  return files
    .map(({ path, type }) => `${indent}<file${type === "file" ? "" : ` type="${type}"`}>${xmlText(path)}</file>\n`)
    .join("");
}
