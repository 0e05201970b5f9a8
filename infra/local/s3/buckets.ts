import { z } from "zod";
import { receiveText } from "./body.ts";
import type { Answer, Call, Store } from "./call.ts";
import { malformedXml, S3Error } from "./errors.ts";
import { numberOf, textOf } from "./schema.ts";
import { element, elements, parseXml, wrap, xmlDocument } from "./xml.ts";

const OWNER = wrap("Owner", elements({ ID: "packhouse", DisplayName: "packhouse" }));
const MAX_XML_BYTES = 64 * 1_024;

export function ownerXml(): string {
  return OWNER;
}

export function hasBucket(store: Store, name: string): boolean {
  if (store.buckets.has(name)) return true;
  const found = store.db.statement("SELECT 1 AS there FROM object_bucket WHERE name = ?").get(name) !== undefined;
  if (found) store.buckets.add(name);
  return found;
}

export function requireBucket(store: Store, name: string): void {
  if (!hasBucket(store, name))
    throw new S3Error("NoSuchBucket", "The specified bucket does not exist", { BucketName: name });
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
function checkName(name: string): void {
  const good = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) && !name.includes("..") && !/^\d+(\.\d+){3}$/.test(name);
  if (!good) throw new S3Error("InvalidBucketName", "The specified bucket is not valid.", { BucketName: name });
}

/** @returns whether it was made now. */
export function makeBucket(store: Store, name: string): boolean {
  checkName(name);
  const { changes } = store.db.transaction(() =>
    store.db.statement("INSERT OR IGNORE INTO object_bucket VALUES (?, ?)").run(name, store.now().getTime()),
  );
  return Number(changes) === 1;
}

export async function createBucket(store: Store, call: Call): Promise<Answer> {
  checkName(call.bucket);
  if (call.headers["content-length"] !== undefined && call.headers["content-length"] !== "0") {
    const { text } = await receiveText(call, MAX_XML_BYTES);
    const place = locationOf(text);
    if (place !== undefined && place !== store.region)
      throw new S3Error(
        "IllegalLocationConstraintException",
        `The ${place} location constraint is incompatible for the region specific endpoint this request was sent to.`,
      );
  }
  if (!makeBucket(store, call.bucket))
    throw new S3Error(
      "BucketAlreadyOwnedByYou",
      "Your previous request to create the named bucket succeeded and you already own it.",
      { BucketName: call.bucket },
    );
  return { status: 200, headers: { location: `/${call.bucket}` } };
}

const Configuration = z.object({
  CreateBucketConfiguration: z.object({ LocationConstraint: z.string().optional() }).or(z.literal("")),
});

function locationOf(text: string): string | undefined {
  try {
    const { CreateBucketConfiguration: configuration } = Configuration.parse(parseXml(text));
    return configuration === "" ? undefined : configuration.LocationConstraint;
  } catch {
    throw malformedXml();
  }
}

export function headBucket(store: Store, call: Call): Answer {
  requireBucket(store, call.bucket);
  return { status: 200, headers: { "x-amz-bucket-region": store.region, "x-amz-access-point-alias": "false" } };
}

export function deleteBucket(store: Store, call: Call): Answer {
  const { bucket } = call;
  store.db.transaction(() => {
    requireBucket(store, bucket);
    if (store.db.statement("SELECT 1 AS used FROM object_entry WHERE bucket = ? LIMIT 1").get(bucket))
      throw new S3Error("BucketNotEmpty", "The bucket you tried to delete is not empty", { BucketName: bucket });
    const parts = store.db
      .statement("SELECT data_id FROM object_part WHERE upload_id IN (SELECT id FROM object_upload WHERE bucket = ?)")
      .all(bucket);
    for (const part of parts) store.objects.discard(numberOf(part, "data_id"));
    store.db
      .statement("DELETE FROM object_part WHERE upload_id IN (SELECT id FROM object_upload WHERE bucket = ?)")
      .run(bucket);
    store.db.statement("DELETE FROM object_upload WHERE bucket = ?").run(bucket);
    store.db.statement("DELETE FROM object_bucket WHERE name = ?").run(bucket);
    store.buckets.delete(bucket);
  });
  return { status: 204 };
}

export function getBucketLocation(store: Store, call: Call): Answer {
  requireBucket(store, call.bucket);
  // The first region's name is the empty one.
  return { status: 200, body: xmlDocument("LocationConstraint", store.region === "us-east-1" ? "" : store.region) };
}

/** Versions are never kept here, which an empty configuration says. */
export function getBucketVersioning(store: Store, call: Call): Answer {
  requireBucket(store, call.bucket);
  return { status: 200, body: xmlDocument("VersioningConfiguration", "") };
}

export function listBuckets(store: Store, call: Call): Answer {
  const prefix = call.query.get("prefix") ?? "";
  const buckets = store.db
    .statement("SELECT name, created_at FROM object_bucket ORDER BY name")
    .all()
    .filter((row) => textOf(row, "name").startsWith(prefix))
    .map((row) =>
      wrap(
        "Bucket",
        elements({ Name: textOf(row, "name"), CreationDate: new Date(numberOf(row, "created_at")).toISOString() }) +
          element("BucketRegion", store.region),
      ),
    );
  return {
    status: 200,
    body: xmlDocument("ListAllMyBucketsResult", OWNER + wrap("Buckets", buckets.join(""))),
  };
}
