import { createHash, createHmac } from "node:crypto";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { Sha256 } from "@aws-crypto/sha256-js";
import { SignatureV4 } from "@smithy/signature-v4";
import type { ObjectsEndpoint } from "./objects-endpoint.ts";

/** A request that the SDK would not send. `path` is what follows the endpoint's own; a body is sent as it is. */
export type RawRequest = {
  method?: string;
  path: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  payloadHash?: string;
};

export type RawResponse = {
  status: number;
  headers: IncomingMessage["headers"];
  text: string;
  code: string | undefined;
};

export type Signed = { method: string; path: string; headers: Record<string, string>; signature: string; date: string };

export async function sign(endpoint: ObjectsEndpoint, raw: RawRequest): Promise<Signed> {
  const url = new URL(endpoint.url);
  const signer = new SignatureV4({
    service: "s3",
    region: endpoint.region,
    credentials: endpoint.credentials,
    sha256: Sha256,
    uriEscapePath: false,
  });
  const path = `${url.pathname}${raw.path}`;
  const headers: Record<string, string> = {
    host: url.host,
    "x-amz-content-sha256": raw.payloadHash ?? "UNSIGNED-PAYLOAD",
    ...raw.headers,
  };
  const unsigned = {
    method: raw.method ?? "PUT",
    protocol: url.protocol,
    hostname: url.hostname,
    path,
    headers,
    query: raw.query ?? {},
  };
  const signed = await signer.sign(unsigned);
  const query = new URLSearchParams(raw.query).toString();
  return {
    method: unsigned.method,
    path: query === "" ? path : `${path}?${query}`,
    headers: signed.headers,
    signature: /Signature=([0-9a-f]+)/.exec(signed.headers.authorization ?? "")?.[1] ?? "",
    date: signed.headers["x-amz-date"] ?? "",
  };
}

export function open(endpoint: ObjectsEndpoint, signed: Signed): ClientRequest {
  const url = new URL(endpoint.url);
  const { method, path, headers } = signed;
  return request({ host: url.hostname, port: url.port, method, path, headers });
}

export function answerTo(sent: ClientRequest): Promise<RawResponse> {
  return new Promise((resolve, reject) => {
    sent.on("error", reject);
    sent.on("response", (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part) => parts.push(part));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(parts).toString("latin1");
        const code = /<Code>(.*?)<\/Code>/.exec(text)?.[1];
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, code });
      });
    });
  });
}

export async function send(
  endpoint: ObjectsEndpoint,
  raw: RawRequest,
  body: Buffer | string = "",
): Promise<RawResponse> {
  const framed = raw.headers?.["transfer-encoding"] === "chunked";
  const length: Record<string, string> = framed ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const signed = await sign(endpoint, { ...raw, headers: { ...length, ...raw.headers } });
  const sent = open(endpoint, signed);
  const answer = answerTo(sent);
  sent.end(body);
  return await answer;
}

/** `aws-chunked` without signatures. */
export function frame(chunks: readonly Buffer[], trailer?: string): Buffer {
  const parts = [...chunks, Buffer.alloc(0)].map((chunk) => {
    const head = Buffer.from(`${chunk.length.toString(16)}\r\n`);
    return chunk.length === 0 ? head : Buffer.concat([head, chunk, Buffer.from("\r\n")]);
  });
  return Buffer.concat([...parts, Buffer.from(`${trailer === undefined ? "" : `${trailer}\r\n`}\r\n`)]);
}

/** `aws-chunked` with the signatures of https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html */
export function frameSigned(
  endpoint: ObjectsEndpoint,
  { signature, date }: Signed,
  chunks: readonly Buffer[],
  trailer?: string,
): Buffer {
  const { secretAccessKey } = endpoint.credentials;
  const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest();
  const sha256 = (bytes: Buffer | string) => createHash("sha256").update(bytes).digest("hex");
  const day = date.slice(0, 8);
  const key = [endpoint.region, "s3", "aws4_request"].reduce(hmac, hmac(`AWS4${secretAccessKey}`, day));
  const scope = `${day}/${endpoint.region}/s3/aws4_request`;
  let previous = signature;
  const parts = [...chunks, Buffer.alloc(0)].map((chunk) => {
    previous = hmac(
      key,
      ["AWS4-HMAC-SHA256-PAYLOAD", date, scope, previous, sha256(""), sha256(chunk)].join("\n"),
    ).toString("hex");
    const head = Buffer.from(`${chunk.length.toString(16)};chunk-signature=${previous}\r\n`);
    return chunk.length === 0 ? head : Buffer.concat([head, chunk, Buffer.from("\r\n")]);
  });
  if (trailer === undefined) return Buffer.concat([...parts, Buffer.from("\r\n")]);
  const end = hmac(key, ["AWS4-HMAC-SHA256-TRAILER", date, scope, previous, sha256(`${trailer}\n`)].join("\n"));
  return Buffer.concat([...parts, Buffer.from(`${trailer}\r\nx-amz-trailer-signature:${end.toString("hex")}\r\n\r\n`)]);
}
