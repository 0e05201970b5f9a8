import type { IncomingMessage, ServerResponse } from "node:http";
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";

/** Lambda's own limit of an event. */
const MOST_BODY_BYTES = 6 * 1024 * 1024;

export type HttpHandler = (event: APIGatewayProxyEventV2) => Promise<APIGatewayProxyStructuredResultV2>;

/** Calls a function as an HTTP API does: the path decoded once, header names in lower case, the body whole. */
export async function callFunction(
  handler: HttpHandler,
  request: IncomingMessage,
  response: ServerResponse,
  extraHeaders: Readonly<Record<string, string>> = {},
): Promise<void> {
  if (request.method === "TRACE" || request.method === "TRACK") {
    // CloudFront refuses these itself; no function could be asked, since no Request may have them.
    response.writeHead(405, { allow: "GET, HEAD, OPTIONS, PUT, PATCH, POST, DELETE", connection: "close" }).end();
    return;
  }
  const body = await bodyOf(request);
  if (body === undefined) {
    response.writeHead(413, { "content-type": "application/json", connection: "close" });
    response.end('{"message":"Request Entity Too Large"}');
    return;
  }
  const event = eventOf(request, body, extraHeaders);
  if (!event) {
    response.writeHead(400, { "content-type": "application/json" });
    response.end('{"message":"Bad Request"}');
    return;
  }
  const result = await handler(event);
  response.writeHead(result.statusCode ?? 200, withoutLength(result.headers ?? {}));
  response.end(
    request.method === "HEAD" || result.body === undefined
      ? undefined
      : Buffer.from(result.body, result.isBase64Encoded ? "base64" : "utf8"),
  );
}

function eventOf(
  request: IncomingMessage,
  body: Buffer,
  extraHeaders: Readonly<Record<string, string>>,
): APIGatewayProxyEventV2 | undefined {
  const [path = "/", query = ""] = splitOnce(request.url ?? "/");
  const rawPath = decoded(path);
  if (rawPath === undefined) return undefined;
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(",") : value;
  }
  const method = request.method ?? "GET";
  const now = new Date();
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath,
    rawQueryString: query,
    headers: { ...headers, ...extraHeaders },
    requestContext: {
      accountId: "000000000000",
      apiId: "local",
      domainName: request.headers.host ?? "",
      domainPrefix: "local",
      http: {
        method,
        path: rawPath,
        protocol: `HTTP/${request.httpVersion}`,
        sourceIp: request.socket.remoteAddress ?? "",
        userAgent: request.headers["user-agent"] ?? "",
      },
      requestId: "local",
      routeKey: "$default",
      stage: "$default",
      time: now.toISOString(),
      timeEpoch: now.getTime(),
    },
    ...(body.length > 0 ? { body: body.toString("utf8") } : {}),
    isBase64Encoded: false,
  };
}

function splitOnce(url: string): [string, string] {
  const at = url.indexOf("?");
  return at < 0 ? [url, ""] : [url.slice(0, at), url.slice(at + 1)];
}

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MOST_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function withoutLength(headers: Readonly<Record<string, string | number | boolean>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => name.toLowerCase() !== "content-length")
      .map(([name, value]) => [name, String(value)]),
  );
}
