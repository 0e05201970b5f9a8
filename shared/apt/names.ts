import { AppError } from "../error.ts";

// Debian Policy 5.6.1, but that one character is enough for dpkg and apt, and so it is here.
const PACKAGE_NAME = /^[a-z0-9][a-z0-9.+-]*$/;
const ARCHITECTURE = /^[a-z0-9][a-z0-9-]*$/;

/** @throws AppError `unprocessable` */
export function checkPackageName(name: string): void {
  if (!PACKAGE_NAME.test(name))
    throw refuse("Package", name, "lower-case letters, digits and `+ - .`, the first a letter or digit");
}

/** A binary package's: one architecture word or `all`, never `source` or a wildcard (Policy 5.6.8). */
export function checkArchitecture(architecture: string): void {
  if (!ARCHITECTURE.test(architecture) || architecture === "source" || /(^|-)any(-|$)/.test(architecture))
    throw refuse("Architecture", architecture, "the name of one architecture, or `all`");
}

/** `[epoch:]upstream[-revision]` (Policy 5.6.12), as strict as `dpkg --validate-version`. */
export function checkVersion(version: string): void {
  const colon = version.indexOf(":");
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf("-");
  const upstream = dash === -1 ? rest : rest.slice(0, dash);
  const revision = dash === -1 ? "0" : rest.slice(dash + 1);
  const epoch = colon === -1 ? "0" : version.slice(0, colon);
  const wellFormed =
    /^\d+$/.test(epoch) &&
    Number(epoch) <= 2 ** 31 - 1 &&
    /^\d[A-Za-z0-9.+~:-]*$/.test(upstream) &&
    /^[A-Za-z0-9+.~]+$/.test(revision);
  if (!wellFormed) throw refuse("Version", version, "`[epoch:]upstream[-revision]`, upstream beginning with a digit");
}

function refuse(field: string, value: string, right: string): AppError {
  return new AppError("unprocessable", `${field} ${JSON.stringify(value.slice(0, 200))} should be ${right}`, { field });
}
