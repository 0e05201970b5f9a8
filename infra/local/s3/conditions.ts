import { invalidArgument, notImplemented, S3Error } from "./errors.ts";
import type { Entry } from "./objects.ts";

type Headers = Readonly<Record<string, string>>;

function matches(list: string, etag: string): boolean {
  return list.split(",").some((one) => {
    const bare = one.trim().replace(/^W\//, "").replace(/^"|"$/g, "");
    return bare === "*" || bare === etag;
  });
}

function failed(condition: string): S3Error {
  return new S3Error("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", {
    Condition: condition,
  });
}

/** RFC 9110 has a date that cannot be read ignored; times are compared in full seconds. */
function dateOf(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) ? undefined : ms;
}

type Verdict = "holds" | "ifMatch" | "ifUnmodifiedSince" | "ifNoneMatch" | "ifModifiedSince";

/** RFC 9110 section 13.2.2: the ETag conditions come before the dates and make these irrelevant. */
function judge(entry: Entry, headers: Headers, prefix: string): Verdict {
  const ifMatch = headers[`${prefix}if-match`];
  const ifNoneMatch = headers[`${prefix}if-none-match`];
  const unmodified = dateOf(headers[`${prefix}if-unmodified-since`]);
  const modified = dateOf(headers[`${prefix}if-modified-since`]);
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, entry.etag)) return "ifMatch";
  } else if (unmodified !== undefined && entry.modifiedAt > unmodified) return "ifUnmodifiedSince";
  if (ifNoneMatch !== undefined) {
    if (matches(ifNoneMatch, entry.etag)) return "ifNoneMatch";
  } else if (modified !== undefined && entry.modifiedAt <= modified) return "ifModifiedSince";
  return "holds";
}

/** GET and HEAD: 412 for what must match, 304 for what the client has already. */
export function checkRead(entry: Entry, headers: Headers): void {
  const verdict = judge(entry, headers, "");
  if (verdict === "ifMatch") throw failed("If-Match");
  if (verdict === "ifUnmodifiedSince") throw failed("If-Unmodified-Since");
  if (verdict !== "holds")
    throw new S3Error(
      "NotModified",
      "Not Modified",
      {},
      { etag: `"${entry.etag}"`, "last-modified": new Date(entry.modifiedAt).toUTCString() },
    );
}

/** The source of a copy: whatever does not hold is 412. */
export function checkCopySource(entry: Entry, headers: Headers): void {
  const verdict = judge(entry, headers, "x-amz-copy-source-");
  if (verdict !== "holds") throw failed(`x-amz-copy-source-${verdict.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`);
}

/** The destination of a put, copy or completed upload. To be asked in the transaction that writes. */
export function checkWrite(current: Entry | undefined, headers: Headers): void {
  const ifMatch = headers["if-match"];
  const ifNoneMatch = headers["if-none-match"];
  if (ifNoneMatch !== undefined && ifNoneMatch.trim() !== "*") throw notImplemented("If-None-Match");
  if (ifNoneMatch !== undefined && ifMatch !== undefined)
    throw invalidArgument("If-Match and If-None-Match cannot be given together", "If-None-Match", ifNoneMatch);
  if (ifMatch !== undefined) {
    if (!current) throw new S3Error("NoSuchKey", "The specified key does not exist.");
    if (!matches(ifMatch, current.etag)) throw failed("If-Match");
  }
  if (ifNoneMatch !== undefined && current) throw failed("If-None-Match");
}

/** A delete that names an ETag deletes just that. */
export function checkDelete(current: Entry | undefined, ifMatch: string | undefined): void {
  if (ifMatch === undefined) return;
  if (!current) throw new S3Error("NoSuchKey", "The specified key does not exist.");
  if (!matches(ifMatch, current.etag)) throw failed("If-Match");
}
