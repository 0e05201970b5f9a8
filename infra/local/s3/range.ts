import { S3Error } from "./errors.ts";

/** Positions of the first and the last byte. */
export type ByteRange = { start: number; end: number };

/**
 * The single range that a Range header asks of an object of that size; undefined for the whole: S3 ignores what is no
 * range, and several at once. @throws S3Error InvalidRange when it lies behind the end.
 */
export function rangeOf(header: string | undefined, sizeBytes: number): ByteRange | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? "") ?? [];
  if (first === undefined || last === undefined || (first === "" && last === "")) return undefined;
  if (first === "") {
    const length = Math.min(Number(last), sizeBytes);
    if (length === 0) throw unsatisfiable(header, sizeBytes);
    return { start: sizeBytes - length, end: sizeBytes - 1 };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return undefined;
  if (start >= sizeBytes) throw unsatisfiable(header, sizeBytes);
  return { start, end: last === "" ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1) };
}

function unsatisfiable(header: string | undefined, sizeBytes: number): S3Error {
  return new S3Error(
    "InvalidRange",
    "The requested range is not satisfiable",
    { RangeRequested: header ?? "", ActualObjectSize: sizeBytes },
    { "content-range": `bytes */${sizeBytes}` },
  );
}
