import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { findPackages } from "../package.ts";
import { fullVersion } from "../tree/layout.ts";
import type { WantedPackage } from "./wanted.ts";

/** What a package is, as far as a caller may contradict it. */
type Told = {
  readonly name: string;
  readonly version: string;
  readonly filename: string;
  readonly epoch?: number;
  readonly release?: string;
};

/**
 * What a caller says of a package must be what it is. In a plain directory a file may be called anything: there `paths` are what
 * it is called, which is its name too, and it needs no version.
 * @throws AppError `unprocessable` naming what contradicts
 */
export function check(wanted: WantedPackage, is: Told, paths?: readonly string[]): void {
  const wrong = contradiction(wanted, is, paths);
  if (wrong !== undefined) throw new AppError("unprocessable", `${wanted.sha256} contradicts its package: ${wrong}`);
}

function contradiction({ name, version, filename }: WantedPackage, is: Told, paths?: readonly string[]) {
  const names = [is.name, ...(paths ?? []).flatMap((path) => [path, baseOf(path)])];
  if (name !== undefined && !names.includes(name)) return `name ${JSON.stringify(name)}: it is ${is.name}`;
  const versions = [is.version, fullVersion(is), is.version.replace(/-[^-]*$/, "").replace(/^\d+:/, "")];
  if (paths) versions.push("");
  if (version !== undefined && !versions.includes(version)) {
    return `version ${JSON.stringify(version)}: it is ${JSON.stringify(is.version)}`;
  }
  if (!paths && filename !== undefined && filename !== is.filename) {
    return `filename ${JSON.stringify(filename)}: it is ${is.filename}`;
  }
  return undefined;
}

/** A row of a plain directory tells its path alone: who says more is held against what we parsed. */
export async function checkInDirectory(
  ctx: Context,
  held: readonly { readonly wanted: WantedPackage; readonly row: Told }[],
): Promise<void> {
  const pathsOf = ({ wanted, row }: (typeof held)[number]) => [row.filename, row.name, wanted.filename ?? row.filename];
  const doubtful = held.filter((one) => contradiction(one.wanted, one.row, pathsOf(one)) !== undefined);
  if (doubtful.length === 0) return;
  const packages = await findPackages(
    ctx,
    doubtful.map(({ wanted }) => wanted),
  );
  for (const one of doubtful) check(one.wanted, packages.get(one.wanted.sha256) ?? one.row, pathsOf(one));
}

function baseOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
