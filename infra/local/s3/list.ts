import { ownerXml, requireBucket } from "./buckets.ts";
import { type Answer, type Call, etagHeader, type Store } from "./call.ts";
import { invalidArgument } from "./errors.ts";
import { type Listed, listKeys } from "./listing.ts";
import { elements, wrap, xmlDocument } from "./xml.ts";

const MAX_KEYS = 1_000;

/** How names are written: with `encoding-type=url` as S3 does it, slashes kept and blanks as `+`. */
export function encoderOf(query: ReadonlyMap<string, string>): (text: string) => string {
  const type = query.get("encoding-type");
  if (type === undefined) return (text) => text;
  if (type !== "url") throw invalidArgument("Invalid Encoding Method specified in Request", "encoding-type", type);
  return (text) =>
    encodeURIComponent(text)
      .replace(/[!'()~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
      .replaceAll("%2F", "/")
      .replaceAll("%20", "+");
}

/** A page size between 0 and 1,000. */
export function pageSize(query: ReadonlyMap<string, string>, name: string): number {
  const text = query.get(name);
  if (text === undefined || text === "") return MAX_KEYS;
  if (!/^\d+$/.test(text) || Number(text) > 2 ** 31 - 1)
    throw invalidArgument(`Provided ${name} not an integer or within integer range`, name, text);
  return Math.min(Number(text), MAX_KEYS);
}

export function listObjectsV2(store: Store, call: Call): Answer {
  requireBucket(store, call.bucket);
  const { query } = call;
  const encode = encoderOf(query);
  const [prefix, delimiter] = [query.get("prefix") ?? "", query.get("delimiter") ?? ""];
  const token = query.get("continuation-token");
  const startAfter = query.get("start-after");
  const limit = pageSize(query, "max-keys");
  const after = token === undefined ? (startAfter ?? "") : fromToken(token);
  const { found, truncated, last } = listKeys(store.db, call.bucket, { prefix, delimiter, after, limit });
  const head = elements({
    Name: call.bucket,
    Prefix: encode(prefix),
    Delimiter: delimiter === "" ? undefined : encode(delimiter),
    MaxKeys: limit,
    KeyCount: found.length,
    EncodingType: query.get("encoding-type"),
    StartAfter: startAfter === undefined ? undefined : encode(startAfter),
    ContinuationToken: token,
    NextContinuationToken: truncated ? toToken(last ?? after) : undefined,
    IsTruncated: truncated,
  });
  const body = head + foundXml(found, encode, query.get("fetch-owner") === "true");
  return { status: 200, body: xmlDocument("ListBucketResult", body) };
}

export function listObjectsV1(store: Store, call: Call): Answer {
  requireBucket(store, call.bucket);
  const { query } = call;
  const encode = encoderOf(query);
  const [prefix, delimiter, marker] = [
    query.get("prefix") ?? "",
    query.get("delimiter") ?? "",
    query.get("marker") ?? "",
  ];
  const limit = pageSize(query, "max-keys");
  const { found, truncated, last } = listKeys(store.db, call.bucket, { prefix, delimiter, after: marker, limit });
  const head = elements({
    Name: call.bucket,
    Prefix: encode(prefix),
    Marker: encode(marker),
    // S3 names the next marker only where the last key of the page does not tell it.
    NextMarker: truncated && delimiter !== "" ? encode(last ?? marker) : undefined,
    Delimiter: delimiter === "" ? undefined : encode(delimiter),
    MaxKeys: limit,
    EncodingType: query.get("encoding-type"),
    IsTruncated: truncated,
  });
  return { status: 200, body: xmlDocument("ListBucketResult", head + foundXml(found, encode, true)) };
}

function foundXml(found: readonly Listed[], encode: (text: string) => string, withOwner: boolean): string {
  const objects: string[] = [];
  const prefixes: string[] = [];
  for (const one of found) {
    if (one.kind === "prefix") {
      prefixes.push(wrap("CommonPrefixes", elements({ Prefix: encode(one.prefix) })));
      continue;
    }
    const { key, modifiedAt, etag, algorithm, type, sizeBytes } = one.object;
    const values = elements({
      Key: encode(key),
      LastModified: new Date(modifiedAt).toISOString(),
      ETag: etagHeader(etag),
      ChecksumAlgorithm: algorithm,
      ChecksumType: type,
      Size: sizeBytes,
      StorageClass: "STANDARD",
    });
    objects.push(wrap("Contents", values + (withOwner ? ownerXml() : "")));
  }
  return objects.join("") + prefixes.join("");
}

function toToken(last: string): string {
  return Buffer.from(`1:${last}`).toString("base64url");
}

function fromToken(token: string): string {
  const text = Buffer.from(token, "base64url").toString("utf8");
  if (!text.startsWith("1:") || toToken(text.slice(2)) !== token)
    throw invalidArgument("The continuation token provided is incorrect", "continuation-token", token);
  return text.slice(2);
}
