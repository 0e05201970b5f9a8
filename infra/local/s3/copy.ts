import { requireBucket } from "./buckets.ts";
import { type Answer, type Call, checkKey, etagHeader, type Store } from "./call.ts";
import {
  type Algorithm,
  algorithmNamed,
  type Checksum,
  type Digests,
  etagOfDigests,
  RunningDigests,
} from "./checksums.ts";
import { checkCopySource, checkWrite } from "./conditions.ts";
import { invalidArgument, S3Error } from "./errors.ts";
import { type Fields, fieldsOf } from "./fields.ts";
import { readPieces, requireEntry } from "./get.ts";
import { unknownAlgorithm } from "./integrity.ts";
import type { Entry } from "./objects.ts";
import { MAX_PUT_BYTES } from "./put.ts";
import { elements, xmlDocument } from "./xml.ts";

/** `bucket/key` of `x-amz-copy-source`, checked against its conditions. */
export function sourceOf(store: Store, call: Call): Entry {
  const text = call.headers["x-amz-copy-source"] ?? "";
  const wrong = () =>
    invalidArgument("Invalid copy source encoding, or not of the form bucket/key", "x-amz-copy-source", text);
  const mark = text.lastIndexOf("?versionId=");
  const path = (mark < 0 ? text : text.slice(0, mark)).replace(/^\//, "");
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    throw wrong();
  }
  const cut = decoded.indexOf("/");
  if (cut <= 0 || cut === decoded.length - 1) throw wrong();
  const key = decoded.slice(cut + 1);
  checkKey(key);
  const versionId = mark < 0 ? undefined : text.slice(mark + "?versionId=".length);
  const entry = requireEntry(store, decoded.slice(0, cut), key, versionId);
  checkCopySource(entry, call.headers);
  return entry;
}

/** Bytes are never copied: the new key shares the content of the source. */
export async function copyObject(store: Store, call: Call): Promise<Answer> {
  requireBucket(store, call.bucket);
  const directive = call.headers["x-amz-metadata-directive"] ?? "COPY";
  if (directive !== "COPY" && directive !== "REPLACE")
    throw invalidArgument("Unknown metadata directive.", "x-amz-metadata-directive", directive);
  const replaced = directive === "REPLACE" ? fieldsOf(call.headers) : undefined;
  const wish = wishedAlgorithm(call.headers["x-amz-checksum-algorithm"]);
  for (;;) {
    const source = sourceOf(store, call);
    checkCopyable(call, source, replaced !== undefined, wish);
    checkWrite(store.objects.find(call.bucket, call.key), call.headers);
    const algorithm = wish ?? source.checksum.algorithm;
    const digests = await learn(store, source, [...wholeDigests(source), algorithm]);
    const entry = await commit(store, call, source, replaced ?? source, { algorithm, digests });
    // The source was deleted or overwritten while it was read: look again.
    if (entry === undefined) continue;
    return { status: 200, body: xmlDocument("CopyObjectResult", copyResult(entry)) };
  }
}

function commit(
  store: Store,
  call: Call,
  source: Entry,
  { headers, metadata }: Fields,
  { algorithm, digests }: { algorithm: Algorithm; digests: Digests },
): Promise<Entry | undefined> {
  const { bucket, key } = call;
  return store.db.together(() => {
    requireBucket(store, bucket);
    if (!store.objects.hasContent(source.contentId)) return undefined;
    checkWrite(store.objects.find(bucket, key), call.headers);
    if (digests.size > source.digests.size) store.objects.learnDigests(source.contentId, digests);
    const value = digests.get(algorithm)?.toString("base64") ?? "";
    const checksum: Checksum = { algorithm, type: "FULL_OBJECT", value };
    const etag = etagOfDigests(digests);
    const named = { bucket, key, etag, headers, metadata, checksum, partCount: undefined };
    return store.objects.set(named, source.contentId, "ObjectCreated:Copy");
  });
}

function wishedAlgorithm(name: string | undefined): Algorithm | undefined {
  if (name === undefined) return undefined;
  const algorithm = algorithmNamed(name);
  if (!algorithm) throw unknownAlgorithm();
  return algorithm;
}

function checkCopyable(call: Call, source: Entry, replaces: boolean, wish: Algorithm | undefined): void {
  if (source.sizeBytes > MAX_PUT_BYTES)
    throw new S3Error(
      "InvalidRequest",
      `The specified copy source is larger than the maximum allowable size for a copy source: ${MAX_PUT_BYTES}`,
    );
  const onItself = source.bucket === call.bucket && source.key === call.key;
  const changes = replaces || call.headers["x-amz-storage-class"] !== undefined;
  if (onItself && !changes && (wish === undefined || wish === source.checksum.algorithm))
    throw new S3Error(
      "InvalidRequest",
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    );
}

/** Those that a copy has; of a content that was put in one piece they are known. */
function wholeDigests({ digests }: Entry): readonly Algorithm[] {
  return digests.has("SHA256") ? ["SHA256"] : ["MD5", "SHA256"];
}

/** Digests of a content that were not computed when it was uploaded are computed by reading it once. */
async function learn(store: Store, entry: Entry, wanted: readonly Algorithm[]): Promise<Digests> {
  const missing = wanted.filter((algorithm) => !entry.digests.has(algorithm));
  if (missing.length === 0) return entry.digests;
  const running = new RunningDigests(missing);
  for await (const bytes of readPieces(store.files, store.objects.piecesOf(entry.contentId))) running.update(bytes);
  const digests = new Map([...entry.digests, ...running.digests()]);
  return digests;
}

function copyResult({ etag, modifiedAt, checksum }: Entry): string {
  return elements({
    ETag: etagHeader(etag),
    LastModified: new Date(modifiedAt).toISOString(),
    [`Checksum${checksum.algorithm}`]: checksum.value,
    ChecksumType: checksum.type,
  });
}
