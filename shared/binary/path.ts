import { AppError } from "../error.ts";
import type { BinaryPath } from "../repo/accepts.ts";

/** The levels of the discovery tree, outermost first; a binary is the leaf. */
export const LEVELS = ["package", "distribution", "release", "architecture", "binary"] as const;

const NAME = /^[A-Za-z0-9._+~:@\-^=]{1,200}$/;
/** In a file's name `apt-get download` writes the colon of a version so. */
const WRITTEN_COLON = /%3a/gi;
const RULE =
  "a name has 1 to 200 of the ASCII letters, digits and . _ + ~ : @ - ^ =, and is not . or ..; a binary may have %3a for a colon, as apt-get download writes it";
const RESERVED_ENDINGS = [".use", ".checksums", ".checksums.sig"];

/** Refuses what could not be a segment of the tree, telling the rule. `depth` counts the segments before it. */
export function checkName(name: string, depth: number): string {
  const level = LEVELS[depth];
  if (level === undefined) throw new AppError("not_found", "the tree of packages is five levels deep");
  const plain = level === "binary" ? name.replace(WRITTEN_COLON, "___") : name;
  if (!NAME.test(plain) || name === "." || name === "..") {
    throw new AppError("invalid", `${quoted(name)} cannot name a ${level}: ${RULE}`);
  }
  if (level === "distribution" && name === "distributions") {
    throw new AppError("invalid", `"distributions" cannot name a distribution: it stands in the long form of a path`);
  }
  const reserved = RESERVED_ENDINGS.find((ending) => name.endsWith(ending));
  if (level === "architecture" && reserved !== undefined) {
    throw new AppError("invalid", `${quoted(name)} cannot name an architecture: the ending ${reserved} is reserved`);
  }
  return name;
}

/** Refuses what no name can hold. */
export function checkNamePart(part: string): string {
  if (!NAME.test(part)) throw new AppError("invalid", `${quoted(part)} can be in no name: ${RULE}`);
  return part;
}

export function checkSegments(segments: readonly string[]): readonly string[] {
  return segments.map((name, depth) => checkName(name, depth));
}

export function binaryPathOf(segments: readonly string[]): BinaryPath {
  const [name, distribution, release, architecture, binary] = segments;
  if (!name || !distribution || !release || !architecture || !binary || segments.length !== LEVELS.length) {
    throw new AppError("invalid", `${quoted(segments.join("/"))} is no path of a binary: it needs five segments`);
  }
  return { name, distribution, release, architecture, binary };
}

/** Names hold no slash, so joined segments tell them apart. */
export function splitPath(path: string): readonly string[] {
  return checkSegments(path.split("/"));
}

/** The same for paths from outside our own keys; undefined where it is none. */
export function trySplitPath(path: string): readonly string[] | undefined {
  try {
    return splitPath(path);
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
