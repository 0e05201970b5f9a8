import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** A whole request to an AWS endpoint with a JSON protocol; header names are in lower case. */
export type AwsRequest = {
  method: string;
  /** Path and query as they came. */
  url: string;
  headers: Record<string, string>;
  body: Uint8Array;
};

/** What a signature is worth: none at all, wrong (or made with other keys), or too old. */
export type Verdict = "valid" | "missing" | "invalid" | "expired";
export type VerifyAws = (request: AwsRequest, service: "dynamodb" | "sqs") => Promise<Verdict> | Verdict;

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
