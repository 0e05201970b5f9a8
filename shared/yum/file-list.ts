import { z } from "zod";
import { FormatError } from "../error.ts";
import type { Header } from "./header.ts";
import { TAG } from "./tags.ts";
import { textOf } from "./text.ts";

export const RpmFile = z.object({ path: z.string(), type: z.enum(["file", "dir", "ghost"]) });
export type RpmFile = z.infer<typeof RpmFile>;

const FLAG_GHOST = 1 << 6;
const MODE_TYPE = 0o170000;
const MODE_DIRECTORY = 0o040000;
/** Bounds what a hostile header can make of its bytes: a long directory name may stand in many paths. */
const MAX_FILES = 1_000_000;
const MAX_PATH_BYTES = 64 * 1024 * 1024;

/** The package's files in the header's order, and their paths as bytes. Without modes or flags there are none, as createrepo_c has it. */
export function readFiles(header: Header): { files: RpmFile[]; paths: Set<string> } {
  const names = header.has(TAG.DIR_NAMES) ? splitNames(header) : wholeNames(header);
  const flags = header.numbers(TAG.FILE_FLAGS, MAX_FILES);
  const modes = header.numbers(TAG.FILE_MODES, MAX_FILES);
  const paths = names.slice(0, Math.min(flags.length, modes.length));
  const files = paths.map((path, i) => ({ path: textOf(path), type: typeOf(modes[i] ?? 0, flags[i] ?? 0) }));
  return { files, paths: new Set(paths) };
}

function typeOf(mode: number, flags: number): RpmFile["type"] {
  if ((mode & MODE_TYPE) === MODE_DIRECTORY) return "dir";
  return (flags & FLAG_GHOST) !== 0 ? "ghost" : "file";
}

/** Packages of before rpm 4 have whole paths. */
function wholeNames(header: Header): string[] {
  limit(header, TAG.OLD_FILE_NAMES);
  return header.strings(TAG.OLD_FILE_NAMES);
}

function splitNames(header: Header): string[] {
  limit(header, TAG.BASE_NAMES);
  limit(header, TAG.DIR_NAMES);
  const dirs = header.strings(TAG.DIR_NAMES);
  const dirIndexes = header.numbers(TAG.DIR_INDEXES, MAX_FILES);
  const bases = header.strings(TAG.BASE_NAMES);
  if (bases.length !== dirIndexes.length)
    throw new FormatError(
      `${bases.length} files in ${dirIndexes.length} directories: each should have one`,
      header.offsetOf(TAG.DIR_INDEXES),
    );
  let pathBytes = 0;
  return bases.map((base, i) => {
    const index = dirIndexes[i] ?? 0;
    const dir = dirs[index];
    if (dir === undefined)
      throw new FormatError(
        `file ${i} is in directory ${index}, but only ${dirs.length} are named`,
        header.offsetOf(TAG.DIR_INDEXES) + i * 4,
      );
    pathBytes += dir.length + base.length;
    if (pathBytes > MAX_PATH_BYTES)
      throw new FormatError(`the paths together are over ${MAX_PATH_BYTES} bytes`, header.offsetOf(TAG.BASE_NAMES));
    return dir + base;
  });
}

function limit(header: Header, tag: number): void {
  if (header.count(tag) > MAX_FILES) throw new FormatError(`more than ${MAX_FILES} files`, header.offsetOf(tag));
}
