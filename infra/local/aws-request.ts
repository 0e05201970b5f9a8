import { createHash, randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type SigV4Credentials, verifySigV4 } from "./sigv4.ts";

/** A whole request to an AWS endpoint with a JSON protocol; header names are in lower case. */
export type AwsRequest = {
  method: string;
  /** Path and query as they came. */
  url: string;
  headers: Record<string, string>;
  body: Uint8Array;
};

/** What is answered, over whatever way; the body is JSON. */
export type AwsAnswer = { status: number; headers: Record<string, string>; body: Buffer };

export type AwsCredentials = SigV4Credentials;

/** What a signature is worth: none at all, or wrong (made with other keys, for something else, or too old). */
export type Verdict = "valid" | "missing" | "invalid";

/** Other users of the machine can reach the endpoints' ports: only who holds our credentials is answered. */
export function verifierOf(credentials: AwsCredentials, region: string) {
  return async (request: AwsRequest, service: "dynamodb" | "sqs" | "scheduler"): Promise<Verdict> => {
    const signed = request.headers.authorization !== undefined || /[?&]X-Amz-Signature=/.test(request.url);
    if (!signed) return "missing";
    const bodySha256 = createHash("sha256").update(request.body).digest("hex");
    const { method, url, headers } = request;
    const verdict = await verifySigV4({ method, url, headers, bodySha256 }, { service, region, credentials });
    return verdict.ok ? "valid" : "invalid";
  };
}

/** Undefined when the body is longer than `maxBytes`. */
export async function readAwsRequest(request: IncomingMessage, maxBytes: number): Promise<AwsRequest | undefined> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of request) {
    sizeBytes += chunk.length;
    if (sizeBytes <= maxBytes) chunks.push(chunk);
  }
  if (sizeBytes > maxBytes) return undefined;
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(",") : (value ?? ""),
    ]),
  );
  return { method: request.method ?? "GET", url: request.url ?? "/", headers, body: Buffer.concat(chunks) };
}

export function requestId(): string {
  return randomUUID();
}

export function awsAnswer(status: number, output: unknown, headers: Record<string, string> = {}): AwsAnswer {
  const body = Buffer.from(JSON.stringify(output));
  return {
    status,
    headers: { ...headers, "content-type": "application/x-amz-json-1.0", "x-amzn-requestid": requestId() },
    body,
  };
}

export function respond(response: ServerResponse, { status, headers, body }: AwsAnswer): void {
  response.writeHead(status, { ...headers, "content-length": body.length });
  response.end(body);
}
