import { ownerXml, requireBucket } from "./buckets.ts";
import { type Answer, type Call, etagHeader, type Store } from "./call.ts";
import { encoderOf, pageSize } from "./list.ts";
import { commonPrefix } from "./listing.ts";
import { etagOf } from "./parts.ts";
import { endUpload, type Part, partsOf, requireUpload, type Upload, uploadOf } from "./uploads.ts";
import { elements, wrap, xmlDocument } from "./xml.ts";

const OWNER = ownerXml();
const INITIATOR = OWNER.replaceAll("Owner>", "Initiator>");

export async function abortMultipartUpload(store: Store, call: Call): Promise<Answer> {
  requireBucket(store, call.bucket);
  await store.db.together(() => endUpload(store, requireUpload(store, call).id, new Set()));
  return { status: 204 };
}

export function listParts(store: Store, call: Call): Answer {
  requireBucket(store, call.bucket);
  const upload = requireUpload(store, call);
  const limit = pageSize(call.query, "max-parts");
  const marker = Number(call.query.get("part-number-marker") ?? 0) || 0;
  const rest = partsOf(store, upload.id).filter((part) => part.number > marker);
  const page = rest.slice(0, limit);
  const truncated = limit > 0 && rest.length > page.length;
  const head = elements({
    Bucket: call.bucket,
    Key: call.key,
    UploadId: upload.id,
    PartNumberMarker: marker,
    NextPartNumberMarker: page.at(-1)?.number ?? (truncated ? marker : 0),
    MaxParts: limit,
    IsTruncated: truncated,
    ChecksumAlgorithm: upload.algorithm,
    ChecksumType: upload.algorithm && upload.checksumType,
    StorageClass: "STANDARD",
  });
  return {
    status: 200,
    body: xmlDocument("ListPartsResult", head + OWNER + INITIATOR + page.map(partXml).join("")),
  };
}

function partXml(part: Part): string {
  const { algorithm } = part;
  return wrap(
    "Part",
    elements({
      PartNumber: part.number,
      LastModified: new Date(part.modifiedAt).toISOString(),
      ETag: etagHeader(etagOf(part)),
      Size: part.sizeBytes,
      ...(algorithm ? { [`Checksum${algorithm}`]: part.digests.get(algorithm)?.toString("base64") } : {}),
    }),
  );
}

type Found = { upload: Upload } | { prefix: string };

export function listMultipartUploads(store: Store, call: Call): Answer {
  requireBucket(store, call.bucket);
  const { query } = call;
  const encode = encoderOf(query);
  const [prefix, delimiter] = [query.get("prefix") ?? "", query.get("delimiter") ?? ""];
  const [keyMarker, idMarker] = [query.get("key-marker") ?? "", query.get("upload-id-marker") ?? ""];
  const limit = pageSize(query, "max-uploads");
  const { found, truncated } = findUploads(store, call, { prefix, delimiter, keyMarker, idMarker, limit });
  const last = found.at(-1);
  const nextKey = last && ("upload" in last ? last.upload.key : last.prefix);
  const head = elements({
    Bucket: call.bucket,
    KeyMarker: encode(keyMarker),
    UploadIdMarker: idMarker,
    NextKeyMarker: truncated ? encode(nextKey ?? "") : undefined,
    NextUploadIdMarker: truncated && last && "upload" in last ? last.upload.id : undefined,
    Prefix: encode(prefix),
    Delimiter: delimiter === "" ? undefined : encode(delimiter),
    EncodingType: query.get("encoding-type"),
    MaxUploads: limit,
    IsTruncated: truncated,
  });
  const uploads = found.flatMap((one) => ("upload" in one ? [uploadXml(one.upload, encode)] : []));
  const prefixes = found.flatMap((one) =>
    "prefix" in one ? [wrap("CommonPrefixes", elements({ Prefix: encode(one.prefix) }))] : [],
  );
  return { status: 200, body: xmlDocument("ListMultipartUploadsResult", head + uploads.join("") + prefixes.join("")) };
}

function uploadXml(upload: Upload, encode: (text: string) => string): string {
  const { key, id, startedAt, algorithm, checksumType } = upload;
  const values = elements({
    Key: encode(key),
    UploadId: id,
    StorageClass: "STANDARD",
    Initiated: new Date(startedAt).toISOString(),
    ChecksumAlgorithm: algorithm,
    ChecksumType: algorithm && checksumType,
  });
  return wrap("Upload", values + OWNER + INITIATOR);
}

/** In the order of keys, and of one key in the order in which they began. */
function findUploads(
  store: Store,
  { bucket }: Call,
  at: { prefix: string; delimiter: string; keyMarker: string; idMarker: string; limit: number },
): { found: Found[]; truncated: boolean } {
  const rows = store.db
    .statement("SELECT * FROM object_upload WHERE bucket = ? AND key >= ? AND key >= ? ORDER BY key, started_at, id")
    .all(bucket, at.prefix, at.keyMarker);
  const all = rows.map(uploadOf).filter((upload) => upload.key.startsWith(at.prefix));
  const marked = all.findIndex((upload) => upload.key === at.keyMarker && upload.id === at.idMarker);
  const found: Found[] = [];
  const seen = new Set([at.keyMarker]);
  for (const upload of marked < 0 ? all.filter(({ key }) => key !== at.keyMarker) : all.slice(marked + 1)) {
    const group = commonPrefix(upload.key, at.prefix, at.delimiter);
    if (group !== undefined && seen.has(group)) continue;
    if (found.length >= at.limit) return { found, truncated: at.limit > 0 };
    if (group !== undefined) seen.add(group);
    found.push(group === undefined ? { upload } : { prefix: group });
  }
  return { found, truncated: false };
}
