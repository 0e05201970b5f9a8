import type { Call } from "./call.ts";
import { type Algorithm, type Digests, RunningDigests } from "./checksums.ts";
import { ChunkedDecoder } from "./chunked.ts";
import { S3Error } from "./errors.ts";
import { algorithmsOf, type Claims, claimsOf, verifyClaims } from "./integrity.ts";

/** Where bytes go while they come; what comes next waits until `write` is done. */
export type Sink = { write(bytes: Uint8Array[]): Promise<void> };

export type Received = {
  sizeBytes: number;
  digests: Digests;
  /** The checksum that the client gave with the bytes, and that they have. */
  claimed: Algorithm | undefined;
};

const WRITE_AT_ONCE = 256 * 1_024;
const STREAMING = {
  "STREAMING-UNSIGNED-PAYLOAD-TRAILER": { signed: false, trailer: true },
  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": { signed: true, trailer: false },
  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": { signed: true, trailer: true },
} as const;

type Framing = { decoder: ChunkedDecoder | undefined; sizeBytes: number };

function isStreaming(mode: string): mode is keyof typeof STREAMING {
  return mode in STREAMING;
}

function framingOf(call: Call): Framing {
  const mode = call.signature.payloadHash;
  const length = call.headers["content-length"];
  const framed = /(^|,)\s*aws-chunked\s*(,|$)/i.test(call.headers["content-encoding"] ?? "");
  if (isStreaming(mode)) {
    const decoded = call.headers["x-amz-decoded-content-length"];
    if (decoded === undefined) throw missingLength();
    const { signed, trailer } = STREAMING[mode];
    if (trailer !== (call.headers["x-amz-trailer"] !== undefined))
      throw new S3Error("InvalidRequest", `x-amz-trailer does not fit x-amz-content-sha256 ${mode}`);
    return { decoder: new ChunkedDecoder(signed ? call.signature.chunks : undefined), sizeBytes: lengthOf(decoded) };
  }
  if (framed || call.headers["x-amz-trailer"] !== undefined)
    throw new S3Error(
      "InvalidArgument",
      "aws-chunked encoding is not supported with the specified x-amz-content-sha256 value",
    );
  if (mode !== "UNSIGNED-PAYLOAD" && !/^[0-9a-f]{64}$/i.test(mode))
    throw new S3Error(
      "InvalidArgument",
      "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
    );
  if (length === undefined) throw missingLength();
  return { decoder: undefined, sizeBytes: lengthOf(length) };
}

function lengthOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new S3Error("InvalidArgument", "A length is not a number");
  return Number(text);
}

function missingLength(): S3Error {
  return new S3Error("MissingContentLength", "You must provide the Content-Length HTTP header.");
}

/**
 * Streams the request's body into `sink`, unframed, and verifies everything the client said about it.
 * @param ownChecksum whether `x-amz-checksum-…` is about this body (in CompleteMultipartUpload it is about the object).
 */
export async function receive(
  call: Call,
  sink: Sink,
  {
    algorithms,
    maxBytes,
    ownChecksum = true,
  }: {
    algorithms: readonly Algorithm[] | ((claims: Claims) => readonly Algorithm[]);
    maxBytes: number;
    ownChecksum?: boolean;
  },
): Promise<Received> {
  const { decoder, sizeBytes } = framingOf(call);
  if (sizeBytes > maxBytes)
    throw new S3Error("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", {
      ProposedSize: sizeBytes,
      MaxSizeAllowed: maxBytes,
    });
  const { "content-md5": md5 = undefined } = call.headers;
  const claims = claimsOf(
    ownChecksum ? call.headers : md5 === undefined ? {} : { "content-md5": md5 },
    call.signature.payloadHash,
  );
  const wanted = typeof algorithms === "function" ? algorithms(claims) : algorithms;
  const running = new RunningDigests([...wanted, ...algorithmsOf(claims)]);
  let received = 0;
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  const flush = async () => {
    const writing = sink.write(waiting.slice());
    for (const bytes of waiting) running.update(bytes);
    waiting = [];
    waitingBytes = 0;
    await writing;
  };
  for await (const chunk of call.body) {
    for (const bytes of decoder ? decoder.push(viewOf(chunk)) : [chunk]) {
      received += bytes.length;
      if (received > sizeBytes) throw incomplete();
      waiting.push(bytes);
      waitingBytes += bytes.length;
    }
    if (waitingBytes >= WRITE_AT_ONCE) await flush();
  }
  if (waitingBytes > 0) await flush();
  decoder?.end();
  if (received !== sizeBytes) throw incomplete();
  const digests = running.digests();
  const claimed = verifyClaims(claims, digests, decoder?.trailers ?? new Map());
  return { sizeBytes, digests, claimed };
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function incomplete(): S3Error {
  return new S3Error(
    "IncompleteBody",
    "You did not provide the number of bytes specified by the Content-Length HTTP header",
  );
}

/** A small body whole, as text. */
export async function receiveText(
  call: Call,
  maxBytes: number,
  ownChecksum = true,
): Promise<{ text: string; received: Received }> {
  const parts: Uint8Array[] = [];
  const received = await receive(
    call,
    { write: async (bytes) => void parts.push(...bytes) },
    { algorithms: [], maxBytes, ownChecksum },
  );
  return { text: Buffer.concat(parts).toString("utf8"), received };
}
