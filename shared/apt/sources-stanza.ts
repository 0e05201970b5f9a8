import type { Sha256 } from "../blob.ts";
import { type ControlFields, renderParagraph } from "./control.ts";
import type { Dsc } from "./dsc.ts";

// The order in which apt-ftparchive 2.6 writes a source's fields; any other follows as it stands, under its own spelling.
const ORDER = `
  Package Format Binary Architecture Version Priority Section Origin Maintainer Original-Maintainer
  Uploaders Dm-Upload-Allowed Standards-Version Build-Depends Build-Depends-Arch Build-Depends-Indep
  Build-Conflicts Build-Conflicts-Arch Build-Conflicts-Indep Testsuite Testsuite-Triggers Homepage
  Description Vcs-Browser Vcs-Browse Vcs-Arch Vcs-Bzr Vcs-Cvs Vcs-Darcs Vcs-Git Vcs-Hg Vcs-Mtn Vcs-Svn
  Directory Package-List Files Checksums-Sha256
`
  .trim()
  .split(/\s+/);

const ORDERED = new Map(ORDER.map((name, rank) => [name.toLowerCase(), { name, rank }]));

// Told anew here with the .dsc itself among the files, or nobody's in an index.
const NOT_FROM_DSC: ReadonlySet<string> = new Set([
  "source",
  "package",
  "directory",
  "status",
  "files",
  "checksums-md5",
  "checksums-sha1",
  "checksums-sha256",
  "checksums-sha512",
]);

/** The source package's paragraph in `Sources` as `apt-ftparchive sources` writes it, the empty line after it included. */
export function sourcesStanza(
  dsc: Pick<Dsc, "name" | "control" | "files" | "md5">,
  itself: { filename: string; sizeBytes: number; sha256: Sha256; directory: string },
): string {
  const files = [{ name: itself.filename, sizeBytes: itself.sizeBytes, sha256: itself.sha256, md5: dsc.md5 }];
  const listed = [...files, ...dsc.files];
  const ours: ControlFields = [
    ["Package", dsc.name],
    ["Directory", itself.directory],
    ["Files", listed.map(({ md5, sizeBytes, name }) => `\n ${md5} ${sizeBytes} ${name}`).join("")],
    ["Checksums-Sha256", listed.map(({ sha256, sizeBytes, name }) => `\n ${sha256} ${sizeBytes} ${name}`).join("")],
  ];
  const theirs = dsc.control.filter(([name, value]) => !NOT_FROM_DSC.has(name.toLowerCase()) && value !== "");
  const ranked = [...ours, ...theirs].map(([name, value]) => {
    const known = ORDERED.get(name.toLowerCase());
    return { name: known?.name ?? name, value, rank: known?.rank ?? ORDER.length };
  });
  ranked.sort((a, b) => a.rank - b.rank);
  return `${renderParagraph(ranked.map(({ name, value }) => [name, value] as const))}\n`;
}
