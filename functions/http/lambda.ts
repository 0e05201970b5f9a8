import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import { withoutTypos } from "./typos.ts";

/**
 * The request an HTTP API event stands for. Its `rawPath` arrives decoded once and is encoded again here; whatever a client
 * calls its body, the surfaces take JSON (curl calls it a form unless told otherwise).
 */
export function requestOf(event: APIGatewayProxyEventV2): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(event.headers)) {
    if (value !== undefined) headers.set(name, value);
  }
  const { method } = event.requestContext.http;
  const path = event.rawPath.split("/").map(encoded).join("/");
  const query = event.rawQueryString === "" ? "" : `?${event.rawQueryString}`;
  const url = `https://packhouse.invalid${path}${query}`;
  if (event.body === undefined || method === "GET" || method === "HEAD") return new Request(url, { method, headers });
  headers.set("content-type", "application/json");
  const body = Buffer.from(event.body, event.isBase64Encoded ? "base64" : "utf8").toString("utf8");
  return new Request(url, { method, headers, body: withoutTypos(body) });
}

/** A URL would take dots for a way up the path, encoded or not: encoded twice they arrive as a name, which is refused. */
function encoded(segment: string): string {
  return /^\.\.?$/.test(segment) ? segment.replaceAll(".", "%252E") : encodeURIComponent(segment);
}

export async function resultOf(response: Response): Promise<APIGatewayProxyStructuredResultV2> {
  const bytes = Buffer.from(await response.arrayBuffer());
  return {
    statusCode: response.status,
    headers: Object.fromEntries(response.headers),
    ...(bytes.length > 0 ? { body: bytes.toString("utf8"), isBase64Encoded: false } : {}),
  };
}
