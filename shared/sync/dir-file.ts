import type { Entry } from "../tree/entry.ts";
import { DIR_FILES, dirKey, SUMS } from "../tree/layout.ts";
import type { Found } from "./found.ts";
import { matchesGlob } from "./globs.ts";
import type { Taken } from "./take.ts";
import type { Upstream } from "./upstream.ts";

/** A file of a plain directory, by its path there, as the tree has it. */
export function fileFound(path: string, url: string, { sha256, sizeBytes }: Taken): Found {
  const entry: Entry = {
    key: dirKey(path),
    files: [{ name: path, sha256, sizeBytes }],
    chunks: { [SUMS]: Buffer.from(`${sha256}  ${path}\n`) },
  };
  return { entry, urls: [url] };
}

export type Wanted = {
  /** Whether a file is followed, by its path. What every directory of ours has itself at its top never is. */
  file(path: string): boolean;
  /** Whether anything below a folder may be. */
  folder(path: string): boolean;
};

/** `include` and `exclude` are of names; a glob with a slash is of whole paths. What `exclude` says of a folder holds below it. */
export function wantedOf({ include, exclude }: Pick<Upstream, "include" | "exclude">): Wanted {
  const matches = (path: string) => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    return (glob: string) => matchesGlob(glob, glob.includes("/") ? path : name);
  };
  const folder = (path: string): boolean => !exclude.some(matches(path));
  return {
    folder,
    file: (path) =>
      !DIR_FILES.includes(path) &&
      (include.length === 0 || include.some(matches(path))) &&
      parentsOf(path).every(folder) &&
      folder(path),
  };
}

function parentsOf(path: string): string[] {
  const names = path.split("/");
  return names.slice(1).map((_, index) => names.slice(0, index + 1).join("/"));
}
