import { isSha256, type Sha256 } from "../blob.ts";
import { AppError } from "../error.ts";
import { type ControlFields, fieldOf, parseParagraph, renderParagraph } from "./control.ts";

/** An index as `Release` lists it; `path` is relative to the Release file. */
export type ReleaseFile = { path: string; sizeBytes: number; sha256: Sha256 };

export type Release = {
  origin: string;
  label: string;
  suite: string;
  codename: string;
  date: Date;
  validUntil?: Date | undefined;
  /** apt installs from it only what the user asks for by name of the suite. */
  notAutomatic?: boolean | undefined;
  /** With `notAutomatic`: what was installed from it is still upgraded. */
  butAutomaticUpgrades?: boolean | undefined;
  acquireByHash: boolean;
  architectures: readonly string[];
  components: readonly string[];
  description?: string | undefined;
  files: readonly ReleaseFile[];
};

/**
 * The text of a `Release` file. SHA-256 is its only hash: a second one would make apt ask for `by-hash` files under it.
 * @throws AppError `invalid` when a value does not fit on its line
 */
export function renderRelease(release: Release): string {
  const fields: [string, string][] = [
    ["Origin", release.origin],
    ["Label", release.label],
    ["Suite", release.suite],
    ["Codename", release.codename],
    ["Date", releaseDate(release.date)],
  ];
  if (release.validUntil) fields.push(["Valid-Until", releaseDate(release.validUntil)]);
  if (release.notAutomatic) fields.push(["NotAutomatic", "yes"]);
  if (release.butAutomaticUpgrades) fields.push(["ButAutomaticUpgrades", "yes"]);
  if (release.acquireByHash) fields.push(["Acquire-By-Hash", "yes"]);
  fields.push(["Architectures", words("Architectures", release.architectures)]);
  fields.push(["Components", words("Components", release.components)]);
  if (release.description) fields.push(["Description", release.description]);
  for (const [name, value] of fields)
    if (/[\r\n\0]/.test(value)) throw new AppError("invalid", `${name} of a Release must be one line`, { value });
  const lines = release.files.map(({ path, sizeBytes, sha256 }) => {
    if (path === "" || /\s/.test(path)) throw new AppError("invalid", `${JSON.stringify(path)} can not be listed`);
    return `\n ${sha256} ${String(sizeBytes).padStart(16)} ${path}`;
  });
  return renderParagraph([...fields, ["SHA256", lines.join("")]]);
}

export type ParsedRelease = {
  fields: ControlFields;
  date: Date | undefined;
  validUntil: Date | undefined;
  acquireByHash: boolean;
  architectures: readonly string[];
  components: readonly string[];
  /** What the `SHA256` field lists; empty where there is none. */
  files: readonly ReleaseFile[];
};

/**
 * Reads a `Release` file, or what an `InRelease` file signs. It does not ask whether anybody signed it.
 * @throws AppError `unprocessable` naming line and field
 */
export function parseRelease(text: string): ParsedRelease {
  const fields = parseParagraph(text);
  return {
    fields,
    date: dateOf(fields, "Date"),
    validUntil: dateOf(fields, "Valid-Until"),
    acquireByHash: fieldOf(fields, "Acquire-By-Hash")?.toLowerCase() === "yes",
    architectures: (fieldOf(fields, "Architectures") ?? "").split(/\s+/).filter(Boolean),
    components: (fieldOf(fields, "Components") ?? "").split(/\s+/).filter(Boolean),
    files: (fieldOf(fields, "SHA256") ?? "").split("\n").filter(Boolean).map(readFileLine),
  };
}

function readFileLine(line: string): ReleaseFile {
  const [sha256 = "", size = "", listed = "", ...more] = line.trim().split(/\s+/);
  // Release files of flat repositories may have been made by a walk of `.`.
  const path = listed.replace(/^(?:\.\/)+(?=[^/])/, "");
  const sizeBytes = Number(size);
  const hash = sha256.toLowerCase();
  // A path goes into URLs and file names: none may lead out of its folder.
  const segments = path.split("/");
  const leadsOut = segments.includes("..") || segments.includes(".") || segments.includes("");
  if (!isSha256(hash) || !/^\d+$/.test(size) || !Number.isSafeInteger(sizeBytes) || leadsOut || more.length > 0)
    throw new AppError("unprocessable", `field SHA256: ${JSON.stringify(line)} is no "HASH SIZE PATH"`);
  return { path, sizeBytes, sha256: hash };
}

/** RFC 5322 with the zone that apt and dak write. */
function releaseDate(date: Date): string {
  return date.toUTCString().replace("GMT", "UTC");
}

function dateOf(fields: ControlFields, name: string): Date | undefined {
  const value = fieldOf(fields, name);
  if (value === undefined) return undefined;
  const date = new Date(value.replace(/\bUTC$/, "GMT"));
  if (Number.isNaN(date.getTime()))
    throw new AppError("unprocessable", `field ${name}: ${JSON.stringify(value)} is no date`);
  return date;
}

function words(field: string, values: readonly string[]): string {
  const bad = values.find((value) => value === "" || /\s/.test(value));
  if (bad !== undefined) throw new AppError("invalid", `${JSON.stringify(bad)} can not be one of a Release's ${field}`);
  return values.join(" ");
}
