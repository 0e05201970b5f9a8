import { sourcesStanza } from "../apt/sources-stanza.ts";
import { packagesStanza } from "../apt/stanza.ts";
import { AppError } from "../error.ts";
import type { Package, Parsed } from "../package.ts";
import type { Entry } from "../tree/entry.ts";
import { type AptPlace, aptKey, DIR_FILES, dirKey, PACKAGES, SOURCE, SOURCES, SUMS, yumKey } from "../tree/layout.ts";
import { packageChunks } from "../yum/chunks.ts";
import type { Repo } from "./repo.ts";

/** Whether a repo of this type can hold a package of this format. */
export function canHold(type: Repo["type"], format: Package["format"]): boolean {
  switch (type) {
    case "apt":
      return format === "deb" || format === "dsc";
    case "yum":
      return format === "rpm";
    case "dir":
      return true;
    default:
      return type satisfies never;
  }
}

/**
 * The rows of a repo's tree for one package: in apt one for each place, elsewhere one. Of a source package it is for the caller to
 * know that all its parts are here.
 */
export function entriesFor(
  repo: Pick<Repo, "type">,
  { pkg, parsed, filename, places }: { pkg: Package; parsed: Parsed; filename: string; places: readonly AptPlace[] },
): Entry[] {
  const { sha256, sizeBytes } = pkg;
  const files = [{ name: filename, sha256, sizeBytes }];
  const href = `pool/${sha256}/${filename}`;
  if (repo.type === "apt" && parsed.format === "deb") {
    const stanza = Buffer.from(packagesStanza(parsed, { filename: href, sizeBytes, sha256 }));
    return places.map((place) => ({
      key: aptKey(place, parsed.architecture, parsed.name, parsed.version),
      files,
      chunks: { [PACKAGES]: stanza },
    }));
  }
  if (repo.type === "apt" && parsed.format === "dsc") {
    const stanza = sourcesStanza(parsed, { filename, sizeBytes, sha256, directory: `source/${sha256}` });
    const parts = parsed.files.map(({ name, ...part }) => ({ name, sha256: part.sha256, sizeBytes: part.sizeBytes }));
    return places.map((place) => ({
      key: aptKey(place, SOURCE, parsed.name, parsed.version),
      files: [...files, ...parts],
      chunks: { [SOURCES]: Buffer.from(stanza) },
    }));
  }
  if (repo.type === "yum" && parsed.format === "rpm") {
    const chunks = packageChunks({ rpm: parsed, sha256, sizeBytes, href, fileTime: parsed.buildTime });
    return [
      {
        key: yumKey(parsed),
        files,
        chunks: Object.fromEntries(Object.entries(chunks).map(([kind, text]) => [kind, Buffer.from(text)])),
      },
    ];
  }
  if (repo.type === "dir") {
    if (DIR_FILES.includes(filename)) {
      throw new AppError("unprocessable", `${filename} is the name of a file that every directory has itself`);
    }
    return [{ key: dirKey(filename), files, chunks: { [SUMS]: Buffer.from(`${sha256}  ${filename}\n`) } }];
  }
  return [];
}
