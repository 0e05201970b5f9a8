import type { Sha256 } from "../blob.ts";
import { type ControlFields, renderParagraph } from "./control.ts";
import type { Deb } from "./deb.ts";

// The order in which apt-ftparchive 2.6 writes a package's fields; any other follows as it stands, under its own spelling.
const ORDER = `
  Package Package-Type Architecture Subarchitecture Version Kernel-Version Built-Using
  Static-Built-Using Built-For-Profiles Auto-Built-Package Multi-Arch Priority Build-Essential
  Protected Important Essential Installer-Menu-Item Section Source Origin Phased-Update-Percentage
  Maintainer Original-Maintainer Bugs Config-Version Conffiles Triggers-Awaited Triggers-Pending
  Installed-Size Provides Pre-Depends Depends Recommends Suggests Conflicts Breaks Replaces Enhances
  Filename MSDOS-Filename Size SHA256 Homepage Description Tag Task
`
  .trim()
  .split(/\s+/);

const ORDERED = new Map(ORDER.map((name, rank) => [name.toLowerCase(), { name, rank }]));

// A package does not tell these of itself: they are ours to say, or (weak hashes, dpkg's state) nobody's.
const NOT_FROM_CONTROL: ReadonlySet<string> = new Set([
  "filename",
  "size",
  "md5sum",
  "sha1",
  "sha256",
  "sha512",
  "description-md5",
  "status",
]);

export type IndexedFile = {
  /** Relative to the repository's root; what apt appends to its URL. */
  filename: string;
  sizeBytes: number;
  sha256: Sha256;
};

/** The package's paragraph in `Packages` as `apt-ftparchive packages` writes it, the empty line after it included. */
export function packagesStanza(deb: Pick<Deb, "control">, file: IndexedFile): string {
  const ours: ControlFields = [
    ["Filename", file.filename],
    ["Size", String(file.sizeBytes)],
    ["SHA256", file.sha256],
  ];
  const theirs = deb.control.filter(([name, value]) => {
    const key = name.toLowerCase();
    const emptyOnes = value === "" && (key === "priority" || key === "section");
    return !NOT_FROM_CONTROL.has(key) && !emptyOnes;
  });
  const ranked = [...theirs, ...ours].map(([name, value]) => {
    const known = ORDERED.get(name.toLowerCase());
    return { name: known?.name ?? name, value, rank: known?.rank ?? ORDER.length };
  });
  ranked.sort((a, b) => a.rank - b.rank);
  return `${renderParagraph(ranked.map(({ name, value }) => [name, value] as const))}\n`;
}
