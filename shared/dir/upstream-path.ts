/**
 * Why a path from somebody else's index can not be fetched or stored; undefined where it can. A path is relative, slashes
 * between its names; `.` and empty names are harmless (`./x.deb` is what dpkg-scanpackages writes).
 */
export function faultOfPath(path: string): string | undefined {
  if (path === "") return "it is empty";
  if (path.length > MAX_PATH_LENGTH) return `it is longer than ${MAX_PATH_LENGTH} characters`;
  if (path.startsWith("/")) return "it is absolute";
  if (CONTROL.test(path)) return "it has a control character";
  if (path.includes("\\")) return "it has a backslash";
  // `%3a` is usual in pools, `%2e%2e` is what some servers and libraries take for `..`.
  if (path.includes("%") && ENCODED.test(path))
    return "it has a percent-encoded dot, slash, backslash or control character";
  if (path.includes("..") && path.split("/").includes("..")) return "it leads out by `..`";
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(path)) return "it is a URL of its own";
  const last = path.slice(path.lastIndexOf("/") + 1);
  return last === "" || last === "." ? "it names a folder" : undefined;
}

const MAX_PATH_LENGTH = 1000;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
const CONTROL = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/;
const ENCODED = /%(25)*(2e|2f|5c|[01][0-9a-f]|7f)/i;
