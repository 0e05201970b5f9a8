import type { Sha256 } from "../blob.ts";
import { xmlAttributes, xmlText } from "./xml.ts";

/** One file that repomd.xml names. */
export type RepomdRecord = {
  /** `primary`, `filelists`, `other`, `group`, `updateinfo`, `modules`, … */
  type: string;
  sha256: Sha256;
  sizeBytes: number;
  /** Of the file unpacked; left out where the file is not packed. */
  openSha256?: Sha256;
  openSizeBytes?: number;
  /** Seconds since 1970. */
  timestamp: number;
  href: string;
};

export type Repomd = {
  /** dnf takes the greater for the newer: seconds since 1970. */
  revision: number | string;
  records: readonly RepomdRecord[];
  tags?: {
    content?: readonly string[];
    repo?: readonly string[];
    distro?: readonly { cpeid?: string; name: string }[];
  };
};

/** repomd.xml as createrepo_c writes it. */
export function renderRepomd({ revision, records, tags = {} }: Repomd): string {
  const tagLines = [
    ...(tags.content ?? []).map((tag) => `    <content>${xmlText(tag)}</content>\n`),
    ...(tags.repo ?? []).map((tag) => `    <repo>${xmlText(tag)}</repo>\n`),
    ...(tags.distro ?? []).map(
      ({ cpeid, name }) => `    <distro${xmlAttributes({ cpeid })}>${xmlText(name)}</distro>\n`,
    ),
  ].join("");
  return `<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>${xmlText(String(revision))}</revision>
${tagLines && `  <tags>\n${tagLines}  </tags>\n`}${records.map(recordLines).join("")}</repomd>
`;
}

function recordLines({ type, sha256, sizeBytes, openSha256, openSizeBytes, timestamp, href }: RepomdRecord): string {
  const open = openSha256 === undefined ? "" : `    <open-checksum type="sha256">${openSha256}</open-checksum>\n`;
  const openSize = openSizeBytes === undefined ? "" : `    <open-size>${openSizeBytes}</open-size>\n`;
  return `  <data${xmlAttributes({ type })}>
    <checksum type="sha256">${sha256}</checksum>
${open}    <location${xmlAttributes({ href })}/>
    <timestamp>${timestamp}</timestamp>
    <size>${sizeBytes}</size>
${openSize}  </data>
`;
}
