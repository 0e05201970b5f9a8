import { z } from "zod";
import { receiveText } from "./body.ts";
import { requireBucket } from "./buckets.ts";
import { type Answer, type Call, checkKey, type Store } from "./call.ts";
import { checkDelete } from "./conditions.ts";
import { asS3Error, malformedXml, S3Error } from "./errors.ts";
import { elements, parseXml, wrap, xmlDocument } from "./xml.ts";

const MAX_XML_BYTES = 2 * 1_024 ** 2;
const MAX_KEYS = 1_000;

const Request = z.object({
  Delete: z.object({
    Quiet: z.string().optional(),
    Object: z
      .array(z.object({ Key: z.string().min(1), ETag: z.string().optional(), VersionId: z.string().optional() }))
      .min(1)
      .max(MAX_KEYS),
  }),
});

function checkVersion(versionId: string | undefined): void {
  if (versionId !== undefined && versionId !== "null")
    throw new S3Error("NoSuchVersion", "The specified version does not exist.");
}

/** A key that is not there is as good as deleted. */
export async function deleteObject(store: Store, call: Call): Promise<Answer> {
  const { bucket, key } = call;
  requireBucket(store, bucket);
  checkVersion(call.query.get("versionId"));
  await store.db.together(() => {
    checkDelete(store.objects.find(bucket, key), call.headers["if-match"]);
    store.objects.remove(bucket, key);
  });
  return { status: 204 };
}

export async function deleteObjects(store: Store, call: Call): Promise<Answer> {
  requireBucket(store, call.bucket);
  const { text, received } = await receiveText(call, MAX_XML_BYTES);
  if (call.headers["content-md5"] === undefined && received.claimed === undefined)
    throw new S3Error("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*");
  const request = requestOf(text);
  const quiet = request.Quiet?.trim() === "true";
  // One transaction: a commit reaches the disk, which a thousand of them would feel.
  const results = await store.db.together(() =>
    request.Object.map(({ Key, ETag, VersionId }) => {
      try {
        checkKey(Key);
        checkVersion(VersionId);
        checkDelete(store.objects.find(call.bucket, Key), ETag);
        store.objects.remove(call.bucket, Key);
        return quiet ? "" : wrap("Deleted", elements({ Key, VersionId }));
      } catch (error) {
        if (!(error instanceof S3Error)) throw error;
        const { code, message } = asS3Error(error);
        return wrap("Error", elements({ Key, VersionId, Code: code, Message: message }));
      }
    }),
  );
  return { status: 200, body: xmlDocument("DeleteResult", results.join("")) };
}

function requestOf(text: string): z.infer<typeof Request>["Delete"] {
  try {
    return Request.parse(parseXml(text)).Delete;
  } catch {
    throw malformedXml();
  }
}
