/** Epoch, version and release of a package; an absent epoch is 0. */
export type Evr = { epoch?: number | string; version: string; release?: string };

/**
 * rpm's order of two versions (rpmio/rpmvercmp.c): negative, 0 or positive. Runs of digits compare as numbers and are newer than
 * runs of letters; `~` is older than anything, even the end; `^` is newer than the end and older than anything else.
 */
export function compareVersions(a: string, b: string): number {
  if (a === b) return 0;
  const left = a.match(PART) ?? [];
  const right = b.match(PART) ?? [];
  for (let i = 0; ; i++) {
    const x = left[i];
    const y = right[i];
    if (x === undefined && y === undefined) return 0;
    const rank = rankOf(x) - rankOf(y);
    if (rank !== 0) return rank;
    const order = isNumber(x) && isNumber(y) ? compareNumbers(x, y) : compareText(x ?? "", y ?? "");
    if (order !== 0) return order;
  }
}

/** rpm's order of two packages of one name. A release is compared only where both have one, as in a dependency. */
export function compareEvr(a: Evr, b: Evr): number {
  return (
    Number(a.epoch ?? 0) - Number(b.epoch ?? 0) ||
    compareVersions(a.version, b.version) ||
    (a.release !== undefined && b.release !== undefined ? compareVersions(a.release, b.release) : 0)
  );
}

/** What stands between the parts only separates them. */
const PART = /[0-9]+|[A-Za-z]+|~|\^/g;

function rankOf(part: string | undefined): number {
  if (part === "~") return 0;
  if (part === undefined) return 1;
  if (part === "^") return 2;
  return isNumber(part) ? 4 : 3;
}

function isNumber(part: string | undefined): part is string {
  return part !== undefined && part >= "0" && part <= "9\uffff";
}

function compareNumbers(a: string, b: string): number {
  const x = a.replace(/^0+/, "");
  const y = b.replace(/^0+/, "");
  return x.length - y.length || compareText(x, y);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
