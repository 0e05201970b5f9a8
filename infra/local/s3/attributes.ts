import type { Answer, Call, Store } from "./call.ts";
import { checkRead } from "./conditions.ts";
import { invalidArgument } from "./errors.ts";
import { requireEntry } from "./get.ts";
import type { Entry } from "./objects.ts";
import { element, elements, wrap, xmlDocument } from "./xml.ts";

const KNOWN = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];

export function getObjectAttributes(store: Store, call: Call): Answer {
  const entry = requireEntry(store, call.bucket, call.key, call.query.get("versionId"));
  checkRead(entry, call.headers);
  const asked = (call.headers["x-amz-object-attributes"] ?? "").split(",").map((name) => name.trim());
  if (asked.some((name) => !KNOWN.includes(name)))
    throw invalidArgument("Invalid attribute name specified.", "x-amz-object-attributes", asked.join(","));
  const parts = KNOWN.filter((name) => asked.includes(name)).map((name) => attribute(name, entry));
  return {
    status: 200,
    headers: { "last-modified": new Date(entry.modifiedAt).toUTCString() },
    body: xmlDocument("GetObjectAttributesResponse", parts.join("")),
  };
}

function attribute(name: string, { etag, checksum, partCount, sizeBytes }: Entry): string {
  switch (name) {
    case "ETag":
      return element(name, etag);
    case "Checksum": {
      // Here, and only here, S3 leaves the number of parts away.
      const value = checksum.value.replace(/-\d+$/, "");
      return wrap(name, elements({ [`Checksum${checksum.algorithm}`]: value, ChecksumType: checksum.type }));
    }
    case "ObjectParts":
      return partCount === undefined ? "" : wrap(name, elements({ PartsCount: partCount }));
    case "StorageClass":
      return element(name, "STANDARD");
    default:
      return element(name, sizeBytes);
  }
}
