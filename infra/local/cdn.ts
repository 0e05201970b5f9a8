import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { type BlobHeaders, blobHeadersFor, objectKeyFor } from "../../functions/edge.ts";
import { callFunction, type HttpHandler } from "./lambda-http.ts";
import { rangeOf } from "./s3/range.ts";
import type { ObjectStore, StoredObject } from "./s3/store.ts";

const CLIENT_PATH = /^\/(?:apt|yum|dir|blobs)\//;

export function isClientPath(url: string): boolean {
  return CLIENT_PATH.test(url);
}

/**
 * What CloudFront does: maps the path by the edge function, serves the object from the bucket, and asks the `files` function
 * for what the bucket does not have.
 */
export async function serveClient(
  { store, bucket, files }: { store: ObjectStore; bucket: string; files: HttpHandler },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // As the response headers policy there: whoever answers.
  response.setHeader("x-content-type-options", "nosniff");
  response.setHeader("content-security-policy", "sandbox");
  if (request.method !== "GET" && request.method !== "HEAD") {
    const headers = { allow: "GET, HEAD", "content-type": "text/plain", "cache-control": "no-store" };
    response.writeHead(405, headers).end("only GET and HEAD\n");
    return;
  }
  const path = (request.url ?? "/").split("?")[0] ?? "/";
  const key = objectKeyFor(path);
  const object = key === undefined ? undefined : store.open(bucket, key);
  if (!object) return callFunction(files, request, response, { "x-packhouse-path": path });
  await serveObject(object, blobHeadersFor(path), request, response);
}

async function serveObject(
  object: StoredObject,
  named: BlobHeaders | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const etag = `"${object.eTag}"`;
  const headers: Record<string, string> = {
    "content-type": named?.type ?? object.contentType,
    ...(named ? { "content-disposition": named.disposition } : {}),
    etag,
    "last-modified": object.lastModified.toUTCString(),
    "accept-ranges": "bytes",
    ...(object.cacheControl === undefined ? {} : { "cache-control": object.cacheControl }),
  };
  if (isUnchanged(request, etag, object.lastModified)) {
    response.writeHead(304, headers).end();
    return;
  }
  const range = wantedRange(request, etag, object);
  if (range === "unsatisfiable") {
    response.writeHead(416, { ...headers, "content-range": `bytes */${object.sizeBytes}` }).end();
    return;
  }
  const length = range ? range.end - range.start + 1 : object.sizeBytes;
  response.writeHead(range ? 206 : 200, {
    ...headers,
    "content-length": String(length),
    ...(range ? { "content-range": `bytes ${range.start}-${range.end}/${object.sizeBytes}` } : {}),
  });
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  // A client that goes away is no fault.
  await pipeline(object.stream(range), response).catch(() => response.destroy());
}

/** RFC 9110 13.2.2: If-None-Match decides where there is one, else If-Modified-Since. */
function isUnchanged(request: IncomingMessage, etag: string, lastModified: Date): boolean {
  const match = request.headers["if-none-match"];
  if (match !== undefined) {
    return match.trim() === "*" || match.split(",").some((one) => one.trim().replace(/^W\//, "") === etag);
  }
  const since = Date.parse(request.headers["if-modified-since"] ?? "");
  return !Number.isNaN(since) && Math.floor(lastModified.getTime() / 1000) * 1000 <= since;
}

function wantedRange(request: IncomingMessage, etag: string, object: StoredObject) {
  const condition = request.headers["if-range"];
  if (condition !== undefined && condition !== etag && condition !== object.lastModified.toUTCString())
    return undefined;
  try {
    return rangeOf(request.headers.range, object.sizeBytes);
  } catch {
    return "unsatisfiable" as const;
  }
}
