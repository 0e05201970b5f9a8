import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { LocalDatabase } from "../database.ts";
import { type SigV4Credentials, verifySigV4 } from "../sigv4.ts";
import { makeBucket } from "./buckets.ts";
import {
  type Answer,
  type Call,
  requestId,
  requestOf,
  type Signature,
  type Store,
  type StoreRequest,
  targetOf,
  withQueryHeaders,
} from "./call.ts";
import { asS3Error, refused, type S3Error } from "./errors.ts";
import { refuseUnknownWishes } from "./fields.ts";
import { openDataFiles } from "./files.ts";
import * as garbage from "./garbage.ts";
import { contentBody } from "./get.ts";
import { type Created, openObjects } from "./objects.ts";
import type { ByteRange } from "./range.ts";
import { operationOf } from "./router.ts";
import { createTables } from "./schema.ts";
import type { SmallLimits } from "./small.ts";

export type { Created } from "./objects.ts";
export type { ByteRange } from "./range.ts";

export type ObjectStoreOptions = {
  db: LocalDatabase;
  /** Holds `data/` and `incoming/`; no other process may use it. */
  folder: string;
  region: string;
  credentials: SigV4Credentials;
  /** The path of the endpoint, which is part of what clients sign. */
  pathPrefix?: string;
  /** Further values of the Host header (`host` or `host:port`) under which clients may have signed. */
  publicHosts?: readonly string[];
  /** Called inside the transaction that makes the object visible: what it writes to `db` is as durable as the object. */
  onCreated?: (created: Created) => void;
  /** Told of every error that is not the client's. */
  onFault?: (error: unknown) => void;
  /** Which bodies lie in the database. */
  small?: SmallLimits;
  now?: () => Date;
};

export type StoredObject = {
  sizeBytes: number;
  /** Without quotes. */
  eTag: string;
  lastModified: Date;
  contentType: string;
  cacheControl: string | undefined;
  contentEncoding: string | undefined;
  contentDisposition: string | undefined;
  metadata: Readonly<Record<string, string>>;
  /** Hex; undefined for an object that was uploaded in parts. */
  sha256: string | undefined;
  stream(range?: ByteRange): Readable;
};

export type ObjectStore = {
  handle(req: IncomingMessage, res: ServerResponse): void;
  /** The same for a request that came over no socket; undefined where nobody waits for it. Never throws. */
  answer(request: StoreRequest): Promise<Answer | undefined>;
  /** Does nothing when it exists. */
  createBucket(name: string): void;
  /** For reading in this process, without a signature. */
  open(bucket: string, key: string): StoredObject | undefined;
  /** Removes data files that no key has needed for that long. */
  sweepGarbage(olderThanMs: number): void;
  /** The smallest number of a data file above `floor` that the database refers to and that is not there whole. */
  missingData(floor?: number): number | undefined;
  close(): void;
};

/** An S3 endpoint over a folder: bytes in numbered files that never change, all else in the database. */
export function createObjectStore(options: ObjectStoreOptions): ObjectStore {
  const { db, folder, region, credentials, pathPrefix = "/_s3", publicHosts = [], onFault = console.error } = options;
  const now = options.now ?? (() => new Date());
  createTables(db);
  const files = openDataFiles(folder, db, options.small);
  garbage.sweepOrphans(db, files);
  const objects = openObjects(db, files, now, options.onCreated);
  const store: Store = { db, files, objects, buckets: new Set(), region, now };

  async function callOf(request: StoreRequest, id: string): Promise<Call> {
    const { method, url, headers: sent, body } = request;
    const target = targetOf(url, pathPrefix);
    const signature = request.isOurs ? { payloadHash: sent["x-amz-content-sha256"] ?? "" } : await verified(request);
    const headers = withQueryHeaders(sent, target.query);
    return { method, url, body, ...target, headers, requestId: id, signature };
  }

  async function verified({ method, url, headers }: StoreRequest): Promise<Signature> {
    const options = { service: "s3", region, credentials, now: now(), hosts: publicHosts };
    const verdict = await verifySigV4({ method, url, headers }, options);
    if (!verdict.ok) throw refused(verdict);
    return verdict;
  }

  async function answer(request: StoreRequest): Promise<Answer | undefined> {
    const id = requestId();
    try {
      const call = await callOf(request, id);
      const operation = operationOf(call);
      refuseUnknownWishes(call.headers);
      return whole(await operation(store, call), id);
    } catch (error) {
      if (request.isGone()) return undefined;
      const answered = asS3Error(error);
      if (answered !== error) onFault(error);
      return whole(errorAnswer(answered, request, id), id);
    }
  }

  async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    try {
      const answered = await answer(requestOf(req));
      if (answered) await send(res, answered);
    } catch (error) {
      onFault(error);
      if (res.headersSent) res.destroy();
      else res.writeHead(500).end();
    } finally {
      // Node reads away a body that nobody began to read; one that was given up half-way it leaves to us. Without this
      // the next request on the connection would never be seen.
      if (!req.complete && !req.destroyed) req.resume();
    }
  }

  return {
    handle: (req, res) => void serve(req, res).catch(() => res.destroy()),
    answer,
    createBucket: (name) => void makeBucket(store, name),
    open: (bucket, key) => openObject(store, bucket, key),
    sweepGarbage: (olderThanMs) => garbage.sweepGarbage(db, files, now(), olderThanMs),
    missingData: (floor = 0) => garbage.missingData(db, files, floor),
    close: () => undefined,
  };
}

function errorAnswer(error: S3Error, { method, url }: StoreRequest, id: string): Answer {
  const path = url.split("?")[0] ?? "/";
  const bodyless = method === "HEAD" || error.status === 304;
  return { status: error.status, headers: error.headers, ...(bodyless ? {} : { body: error.toXml(path, id) }) };
}

/** With the headers that every answer has. */
function whole({ status, headers, body }: Answer, id: string): Answer {
  const all: Record<string, string> = { "x-amz-request-id": id, "x-amz-id-2": "packhouse" };
  if (typeof body === "string") {
    all["content-type"] = "application/xml";
    all["content-length"] = String(Buffer.byteLength(body));
  } else if (body === undefined && status === 200) all["content-length"] = "0";
  Object.assign(all, headers);
  return body === undefined ? { status, headers: all } : { status, headers: all, body };
}

async function send(res: ServerResponse, { status, headers, body }: Answer): Promise<void> {
  res.writeHead(status, headers);
  if (body === undefined || typeof body === "string" || body instanceof Uint8Array) {
    res.end(body);
    return;
  }
  try {
    await pipeline(body, res);
  } catch (error) {
    // The client went away, or a file broke off: what was promised cannot be kept, so the connection ends.
    res.destroy();
    if (!isHangUp(error)) throw error;
  }
}

function isHangUp(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_STREAM_PREMATURE_CLOSE";
}

function openObject(store: Store, bucket: string, key: string): StoredObject | undefined {
  const entry = store.objects.find(bucket, key);
  if (!entry) return undefined;
  return {
    sizeBytes: entry.sizeBytes,
    eTag: entry.etag,
    lastModified: new Date(entry.modifiedAt),
    contentType: entry.headers["content-type"] ?? "binary/octet-stream",
    cacheControl: entry.headers["cache-control"],
    contentEncoding: entry.headers["content-encoding"],
    contentDisposition: entry.headers["content-disposition"],
    metadata: entry.metadata,
    sha256: entry.digests.get("SHA256")?.toString("hex"),
    stream(range) {
      const body = contentBody(store, store.objects.piecesOf(entry.contentId), range);
      return body instanceof Uint8Array ? Readable.from([body], { objectMode: false }) : body;
    },
  };
}
