import { createHash } from "node:crypto";
import { z } from "zod";
import { receiveText } from "./body.ts";
import { requireBucket } from "./buckets.ts";
import { type Answer, type Call, etagHeader, type Store } from "./call.ts";
import { ALGORITHMS, type Algorithm, type Checksum, type Digests, RunningDigests } from "./checksums.ts";
import { checkWrite } from "./conditions.ts";
import { combineCrc, isCrc } from "./crc.ts";
import { malformedXml, S3Error } from "./errors.ts";
import { checksumClaim } from "./integrity.ts";
import { etagOf } from "./parts.ts";
import { DEFAULT_ALGORITHM } from "./put.ts";
import { endUpload, type Part, partsOf, requireUpload, type Upload } from "./uploads.ts";
import { elements, parseXml, xmlDocument } from "./xml.ts";

const MAX_XML_BYTES = 2 * 1_024 ** 2;
const MIN_PART_BYTES = 5 * 1_024 ** 2;

const NamedPart = z.looseObject({ PartNumber: z.coerce.number().int().min(1).max(10_000), ETag: z.string() });
const Request = z.object({ CompleteMultipartUpload: z.object({ Part: z.array(NamedPart).min(1).max(10_000) }) });
type NamedPart = z.infer<typeof NamedPart>;

/** The object is its parts' files, one after the other: nothing is copied. */
export async function completeMultipartUpload(store: Store, call: Call): Promise<Answer> {
  const { bucket, key } = call;
  requireBucket(store, bucket);
  requireUpload(store, call);
  const { text } = await receiveText(call, MAX_XML_BYTES, false);
  const named = namedParts(text);
  // Reserved before: a number that came within a transaction would be given again if that failed.
  const id = store.files.nextId();
  const entry = await store.db.together(() => {
    requireBucket(store, bucket);
    const upload = requireUpload(store, call);
    const parts = chosenParts(upload, partsOf(store, upload.id), named);
    checkSizes(call, parts);
    const checksum = checksumOf(upload, parts);
    checkWholeChecksum(call, checksum);
    checkWrite(store.objects.find(bucket, key), call.headers);
    endUpload(store, upload.id, new Set(parts.map((part) => part.number)));
    const { headers, metadata } = upload;
    const fields = { bucket, key, etag: joinedEtag(parts), headers, metadata, checksum, partCount: parts.length };
    const digests: Digests =
      checksum.type === "FULL_OBJECT"
        ? new Map([[checksum.algorithm, Buffer.from(checksum.value, "base64")]])
        : new Map();
    return store.objects.set(fields, { id, pieces: parts, digests }, "ObjectCreated:CompleteMultipartUpload");
  });
  const { checksum } = entry;
  const values = elements({
    Location: `http://${call.headers.host ?? ""}${call.url.split("?")[0] ?? ""}`,
    Bucket: bucket,
    Key: key,
    ETag: etagHeader(entry.etag),
    [`Checksum${checksum.algorithm}`]: checksum.value,
    ChecksumType: checksum.type,
  });
  return { status: 200, body: xmlDocument("CompleteMultipartUploadResult", values) };
}

function namedParts(text: string): NamedPart[] {
  try {
    return Request.parse(parseXml(text)).CompleteMultipartUpload.Part;
  } catch {
    throw malformedXml();
  }
}

function chosenParts(upload: Upload, uploaded: readonly Part[], named: readonly NamedPart[]): Part[] {
  const byNumber = new Map(uploaded.map((part) => [part.number, part]));
  let previous = 0;
  return named.map((wanted) => {
    if (wanted.PartNumber <= previous)
      throw new S3Error(
        "InvalidPartOrder",
        "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
        { UploadId: upload.id },
      );
    previous = wanted.PartNumber;
    const part = byNumber.get(wanted.PartNumber);
    const etag = wanted.ETag.trim().replace(/^"|"$/g, "");
    if (!part || etag !== etagOf(part) || !hasChecksums(upload, part, wanted))
      throw new S3Error(
        "InvalidPart",
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
        { UploadId: upload.id, PartNumber: wanted.PartNumber, ETag: etag },
      );
    return part;
  });
}

/** A composite checksum is one of the parts' checksums, so the client has to name them. */
function hasChecksums(upload: Upload, part: Part, named: NamedPart): boolean {
  if (upload.checksumType === "COMPOSITE" && upload.algorithm && named[`Checksum${upload.algorithm}`] === undefined)
    throw new S3Error(
      "InvalidRequest",
      `The upload was created using a ${upload.algorithm.toLowerCase()} checksum. The complete request must include the checksum for each part. It was missing for part ${part.number} in the request.`,
    );
  return ALGORITHMS.every((algorithm) => {
    const claimed = named[`Checksum${algorithm}`];
    return claimed === undefined || claimed === part.digests.get(algorithm)?.toString("base64");
  });
}

function checkSizes(call: Call, parts: readonly Part[]): void {
  for (const part of parts.slice(0, -1)) {
    if (part.sizeBytes < MIN_PART_BYTES)
      throw new S3Error("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", {
        ProposedSize: part.sizeBytes,
        MinSizeAllowed: MIN_PART_BYTES,
        PartNumber: part.number,
        ETag: etagOf(part),
      });
  }
  const claimed = call.headers["x-amz-mp-object-size"];
  const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  if (claimed !== undefined && Number(claimed) !== sizeBytes)
    throw new S3Error(
      "InvalidRequest",
      `The provided 'x-amz-mp-object-size' header value ${claimed} does not match what was computed: ${sizeBytes}`,
    );
}

/** MD5 of the parts' MD5s, and how many they are. */
function joinedEtag(parts: readonly Part[]): string {
  const hash = createHash("md5");
  for (const part of parts) hash.update(part.digests.get("MD5") ?? "");
  return `${hash.digest("hex")}-${parts.length}`;
}

function checksumOf({ algorithm = DEFAULT_ALGORITHM, checksumType }: Upload, parts: readonly Part[]): Checksum {
  const digests = parts.map((part) => {
    const digest = part.digests.get(algorithm);
    if (!digest) throw new Error(`part ${part.number} has no ${algorithm}`);
    return { digest, sizeBytes: part.sizeBytes };
  });
  if (checksumType === "COMPOSITE" || !isCrc(algorithm))
    return compositeOf(
      algorithm,
      digests.map(({ digest }) => digest),
    );
  const whole = digests.reduce((sum, next) => ({
    digest: combineCrc(algorithm, sum.digest, next.digest, next.sizeBytes),
    sizeBytes: sum.sizeBytes + next.sizeBytes,
  }));
  return { algorithm, type: "FULL_OBJECT", value: whole.digest.toString("base64") };
}

function compositeOf(algorithm: Algorithm, digests: readonly Buffer[]): Checksum {
  const running = new RunningDigests([algorithm]);
  for (const digest of digests) running.update(digest);
  const value = running.digests().get(algorithm)?.toString("base64") ?? "";
  return { algorithm, type: "COMPOSITE", value: `${value}-${digests.length}` };
}

/** What the request's own headers say of the whole object. */
function checkWholeChecksum(call: Call, checksum: Checksum): void {
  const type = call.headers["x-amz-checksum-type"];
  if (type !== undefined && type !== checksum.type)
    throw new S3Error(
      "InvalidRequest",
      `The upload was created using the ${checksum.type} checksum mode. The complete request must use the same checksum mode.`,
    );
  // A composite one may come with the number of parts behind it.
  const bare = Object.entries(call.headers).map(([name, value]) => [name, value.replace(/-\d+$/, "")]);
  const claim = checksumClaim(Object.fromEntries(bare));
  const digest = checksum.value.replace(/-\d+$/, "");
  if (claim && (claim.algorithm !== checksum.algorithm || claim.digest.toString("base64") !== digest))
    throw new S3Error("BadDigest", `The ${claim.algorithm} you specified did not match the calculated checksum.`);
}
