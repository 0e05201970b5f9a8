import type { SigV4Refusal } from "../sigv4.ts";
import { element } from "./xml.ts";

/** S3's codes and their statuses (Amazon S3 API Reference, "Error responses"). */
const STATUS = {
  AccessDenied: 403,
  AuthorizationHeaderMalformed: 400,
  AuthorizationQueryParametersError: 400,
  BadDigest: 400,
  BucketAlreadyOwnedByYou: 409,
  BucketNotEmpty: 409,
  EntityTooLarge: 400,
  EntityTooSmall: 400,
  IllegalLocationConstraintException: 400,
  IncompleteBody: 400,
  InternalError: 500,
  InvalidAccessKeyId: 403,
  InvalidArgument: 400,
  InvalidBucketName: 400,
  InvalidChunkSizeError: 403,
  InvalidDigest: 400,
  InvalidPart: 400,
  InvalidPartNumber: 416,
  InvalidPartOrder: 400,
  InvalidRange: 416,
  InvalidRequest: 400,
  InvalidToken: 400,
  InvalidURI: 400,
  KeyTooLongError: 400,
  MalformedTrailerError: 400,
  MalformedXML: 400,
  MaxMessageLengthExceeded: 400,
  MetadataTooLarge: 400,
  MethodNotAllowed: 405,
  MissingContentLength: 411,
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  NoSuchVersion: 404,
  NotImplemented: 501,
  NotModified: 304,
  PreconditionFailed: 412,
  RequestTimeTooSkewed: 403,
  ServiceUnavailable: 503,
  SignatureDoesNotMatch: 403,
  XAmzContentSHA256Mismatch: 400,
} as const;

export type S3Code = keyof typeof STATUS;

/** An answer that is an error, with S3's code; `details` become further elements of its XML. */
export class S3Error extends Error {
  readonly code: S3Code;
  readonly details: Readonly<Record<string, string | number>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: S3Code,
    message: string,
    details: Readonly<Record<string, string | number>> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.code = code;
    this.details = details;
    this.headers = headers;
  }

  get status(): number {
    return STATUS[this.code];
  }

  toXml(resource: string, requestId: string): string {
    const parts: Record<string, string | number> = {
      Code: this.code,
      Message: this.message,
      ...this.details,
      Resource: resource,
      RequestId: requestId,
      HostId: "packhouse",
    };
    const inside = Object.entries(parts).map(([name, value]) => element(name.replace(/[^A-Za-z0-9]/g, ""), value));
    return `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${inside.join("")}</Error>`;
  }
}

export function refused({ code, message, details }: SigV4Refusal): S3Error {
  return new S3Error(code, message, details);
}

export function notImplemented(what: string): S3Error {
  return new S3Error("NotImplemented", "A header or query you provided implies functionality that is not implemented", {
    Header: what,
  });
}

export function invalidArgument(message: string, name: string, value: string): S3Error {
  return new S3Error("InvalidArgument", message, { ArgumentName: name, ArgumentValue: value });
}

export function malformedXml(): S3Error {
  return new S3Error(
    "MalformedXML",
    "The XML you provided was not well-formed or did not validate against our published schema",
  );
}

const FULL_DISK = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);
const SQLITE_FULL = 13;

/** What a client is told of a fault: a full disk by its name, of anything else nothing of our insides. */
export function asS3Error(error: unknown): S3Error {
  if (error instanceof S3Error) return error;
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && typeof cause.code === "string" && FULL_DISK.has(cause.code)) return diskFull();
    if ("errcode" in cause && cause.errcode === SQLITE_FULL) return diskFull();
  }
  return new S3Error("InternalError", "We encountered an internal error. Please try again.");
}

function diskFull(): S3Error {
  return new S3Error("ServiceUnavailable", "The disk that holds the objects is full. Nothing was stored.");
}
