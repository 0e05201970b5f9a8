import { invalidArgument, notImplemented, S3Error } from "./errors.ts";
import type { Entry } from "./objects.ts";

type Headers = Readonly<Record<string, string>>;

const KEPT = [
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-type",
  "expires",
];
const MAX_METADATA_BYTES = 2_048;

/** What S3 gives an object that was put without a type. */
const DEFAULT_TYPE = "binary/octet-stream";

/** Headers (all of them Amazon's own) that ask for something that is not there, and the values that ask for what is the case anyway. */
const NOT_HERE: readonly [header: RegExp, harmless: RegExp | undefined][] = [
  [/^x-amz-acl$/, /^(private|bucket-owner-full-control|bucket-owner-read)$/],
  [/^x-amz-storage-class$/, /^STANDARD$/],
  [/^x-amz-tagging-directive$/, /^COPY$/],
  [/^x-amz-object-ownership$/, /^BucketOwnerEnforced$/],
  [/^x-amz-bucket-object-lock-enabled$/, /^false$/],
  [
    /^x-amz-(grant-|tagging$|server-side-encryption|copy-source-server-side-encryption|object-lock-|website-redirect)/,
    undefined,
  ],
  [/^x-amz-(write-offset|rename-source|expected-bucket-owner|source-expected-bucket-owner|mfa$|if-match-)/, undefined],
];

export function refuseUnknownWishes(headers: Headers): void {
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith("x-amz-")) continue;
    const rule = NOT_HERE.find(([header]) => header.test(name));
    if (rule && !rule[1]?.test(value)) throw notImplemented(name);
  }
}

export type Fields = Pick<Entry, "headers" | "metadata">;

/** What of a request's headers is kept with the object. `aws-chunked` is about the transfer only. */
export function fieldsOf(sent: Headers): Fields {
  const headers: Record<string, string> = { "content-type": DEFAULT_TYPE };
  for (const name of KEPT) {
    const value = name === "content-encoding" ? withoutChunked(sent[name]) : sent[name];
    if (value !== undefined && value !== "") headers[name] = value;
  }
  const metadata: Record<string, string> = {};
  let sizeBytes = 0;
  for (const [name, value] of Object.entries(sent)) {
    if (!name.startsWith("x-amz-meta-")) continue;
    // A query can carry what no header can be called.
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) throw invalidArgument("The metadata name is not valid", "name", name);
    metadata[name.slice("x-amz-meta-".length)] = value;
    sizeBytes += name.length - "x-amz-meta-".length + Buffer.byteLength(value);
  }
  if (sizeBytes > MAX_METADATA_BYTES)
    throw new S3Error("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size", {
      Size: sizeBytes,
      MaxSizeAllowed: MAX_METADATA_BYTES,
    });
  return { headers, metadata };
}

function withoutChunked(encoding: string | undefined): string | undefined {
  return encoding
    ?.split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "" && one.toLowerCase() !== "aws-chunked")
    .join(",");
}

/** What a header cannot carry is an encoded word of RFC 2047, as S3 answers it. */
export function headerValue(text: string): string {
  return /^[\u0020-\u007e\u0080-\u00ff\t]*$/.test(text) ? text : `=?UTF-8?B?${Buffer.from(text).toString("base64")}?=`;
}

export function metadataHeaders(metadata: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [`x-amz-meta-${name}`, headerValue(value)]),
  );
}

/** `response-content-type=…` and the like, which a signed GET may ask for in place of what is stored. */
export function overridesOf(query: ReadonlyMap<string, string>): Record<string, string> {
  const overrides: Record<string, string> = {};
  for (const name of KEPT) {
    const value = query.get(`response-${name}`);
    if (value === undefined) continue;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what no header value may hold
    if (/[\u0000-\u0008\u000a-\u001f\u007f]|[^\u0000-\u00ff]/.test(value))
      throw invalidArgument("Header value cannot be represented using ISO-8859-1.", `response-${name}`, value);
    overrides[name] = value;
  }
  return overrides;
}
