import { getObjectAttributes } from "./attributes.ts";
import {
  createBucket,
  deleteBucket,
  getBucketLocation,
  getBucketVersioning,
  headBucket,
  listBuckets,
} from "./buckets.ts";
import type { Call, Operation } from "./call.ts";
import { completeMultipartUpload } from "./complete.ts";
import { copyObject } from "./copy.ts";
import { deleteObject, deleteObjects } from "./delete.ts";
import { notImplemented, S3Error } from "./errors.ts";
import { getObject, headObject } from "./get.ts";
import { listObjectsV1, listObjectsV2 } from "./list.ts";
import { createMultipartUpload, uploadPart, uploadPartCopy } from "./parts.ts";
import { putObject } from "./put.ts";
import { abortMultipartUpload, listMultipartUploads, listParts } from "./upload-list.ts";

/** What S3 has and this endpoint has not; a request for it must not be mistaken for one without it. */
const NOT_HERE = new Set(
  (
    "accelerate acl analytics cors encryption intelligent-tiering inventory legal-hold lifecycle logging metadataConfiguration " +
    "metadataTable metrics notification object-lock ownershipControls policy policyStatus publicAccessBlock renameObject " +
    "replication requestPayment restore retention select session tagging torrent versions website append"
  ).split(" "),
);

function methodNotAllowed(call: Call): S3Error {
  return new S3Error("MethodNotAllowed", "The specified method is not allowed against this resource.", {
    Method: call.method,
  });
}

/** The operation that a request asks for. @throws S3Error when there is none. */
export function operationOf(call: Call): Operation {
  for (const name of call.query.keys()) if (NOT_HERE.has(name)) throw notImplemented(name);
  if (call.bucket === "") {
    if (call.method === "GET" && call.key === "") return listBuckets;
    throw methodNotAllowed(call);
  }
  return (call.key === "" ? bucketOperation : objectOperation)(call);
}

function bucketOperation(call: Call): Operation {
  const has = (name: string) => call.query.has(name);
  switch (call.method) {
    case "GET":
      if (has("location")) return getBucketLocation;
      if (has("versioning")) return getBucketVersioning;
      if (has("uploads")) return listMultipartUploads;
      return call.query.get("list-type") === "2" ? listObjectsV2 : listObjectsV1;
    case "HEAD":
      return headBucket;
    case "PUT":
      if (has("versioning")) throw notImplemented("versioning");
      return createBucket;
    case "DELETE":
      return deleteBucket;
    case "POST":
      if (has("delete")) return deleteObjects;
      throw notImplemented("POST");
    default:
      throw methodNotAllowed(call);
  }
}

function objectOperation(call: Call): Operation {
  const has = (name: string) => call.query.has(name);
  const copies = call.headers["x-amz-copy-source"] !== undefined;
  switch (call.method) {
    case "GET":
      if (has("attributes")) return getObjectAttributes;
      return has("uploadId") ? listParts : getObject;
    case "HEAD":
      return headObject;
    case "PUT":
      if (has("uploadId") || has("partNumber")) return copies ? uploadPartCopy : uploadPart;
      return copies ? copyObject : putObject;
    case "POST":
      if (has("uploads")) return createMultipartUpload;
      if (has("uploadId")) return completeMultipartUpload;
      throw methodNotAllowed(call);
    case "DELETE":
      return has("uploadId") ? abortMultipartUpload : deleteObject;
    default:
      throw methodNotAllowed(call);
  }
}
