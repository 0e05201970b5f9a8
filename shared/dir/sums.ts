import { isSha256, type Sha256 } from "../blob.ts";
import { AppError } from "../error.ts";
import { faultOfPath } from "./upstream-path.ts";

export type SumsEntry = { path: string; sha256: Sha256 };

const MAX_BYTES = 64 * 1024 * 1024;

// sha256sum(1): a backslash first where the name is escaped, `*` for binary mode; and `--tag`, as BSD has it.
const GNU = /^(\\?)([0-9a-fA-F]+) [ *](.+)$/s;
const BSD = /^(\\?)([A-Z0-9-]+) ?\((.+)\) ?= ?([0-9a-fA-F]+)$/s;

/**
 * Reads a SHA256SUMS file, in either of sha256sum's forms; a leading `./` of a path is left out. Empty lines, comments and
 * sums of other kinds in the BSD form are skipped.
 * @throws AppError `unprocessable` naming `where` and the line, also when no line is a SHA-256
 */
export function readSums(text: string, where: string): SumsEntry[] {
  if (text.length > MAX_BYTES) throw new AppError("unprocessable", `${where}: more than ${MAX_BYTES} characters`);
  const found = new Map<string, Sha256>();
  for (const [index, raw] of text.split("\n").entries()) {
    const fail = (what: string) => {
      const line = index + 1;
      return new AppError("unprocessable", `${where}: line ${line}: ${what}`, { where, line });
    };
    const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
    if (line.trim() === "" || line.startsWith("#")) continue;
    const [, gnuEscape = "", gnuSum, gnuName] = GNU.exec(line) ?? [];
    const [, bsdEscape = "", algorithm, bsdName, bsdSum] = BSD.exec(line) ?? [];
    const sum = (gnuSum ?? bsdSum)?.toLowerCase();
    const name = gnuName ?? bsdName;
    if (sum === undefined || name === undefined)
      throw fail(`${JSON.stringify(line.slice(0, 100))} is neither "HASH  NAME" nor "SHA256 (NAME) = HASH"`);
    if (algorithm !== undefined && algorithm !== "SHA256") continue;
    if (!isSha256(sum)) throw fail(`${JSON.stringify(sum.slice(0, 140))} should be 64 hex digits`);
    const path = (gnuEscape + bsdEscape === "" ? name : unescaped(name, fail)).replace(/^(?:\.\/+)+/, "");
    const fault = faultOfPath(path);
    if (fault !== undefined) throw fail(`the path ${JSON.stringify(path.slice(0, 200))} is refused: ${fault}`);
    const other = found.get(path);
    if (other !== undefined && other !== sum) throw fail(`${JSON.stringify(path)} stands there twice with two sums`);
    found.set(path, sum);
  }
  if (found.size === 0) throw new AppError("unprocessable", `${where}: it has no line "HASH  NAME"`);
  return [...found].map(([path, sha256]) => ({ path, sha256 }));
}

const ESCAPES: Readonly<Record<string, string>> = { "\\\\": "\\", "\\n": "\n", "\\r": "\r" };

function unescaped(name: string, fail: (what: string) => AppError): string {
  return name.replace(/\\.?/gs, (pair) => {
    const character = ESCAPES[pair];
    if (character === undefined) throw fail(`${JSON.stringify(pair)} in the name is no escape that sha256sum writes`);
    return character;
  });
}
