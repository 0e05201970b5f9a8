import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import { contentTypeOf } from "../shared/objects/keys.ts";
import { resolvePath } from "../shared/publication/resolve.ts";
import { context } from "./context.ts";
import { objectKeyFor } from "./edge.ts";

/** Small enough to answer; what is larger is redirected to. */
const MOST_INLINE_BYTES = 1024 * 1024;
const LASTING = "public, max-age=31536000, immutable";
const SHORT_LIVED = "public, max-age=0, s-maxage=2, must-revalidate";

/** What a client asked for and the bucket does not have under the rewritten path. */
export async function handler(event: APIGatewayProxyEventV2): Promise<APIGatewayProxyStructuredResultV2> {
  const ctx = context();
  const path = decoded(event.headers["x-packhouse-path"] ?? event.rawPath);
  if (path === undefined) return missing();
  try {
    // A path that the edge maps to an object is missing there: nobody else has it either.
    const mapped = objectKeyFor(path);
    const found = mapped?.startsWith("blobs/") ? undefined : await resolvePath(ctx, path);
    if (!found) return missing();
    const size = await ctx.objects.blobSize(found.sha256);
    if (size === undefined) return missing();
    const cacheControl = found.lasting ? LASTING : SHORT_LIVED;
    if (size > MOST_INLINE_BYTES || !isText(found.filename)) {
      const location = `${ctx.publicUrl}/blobs/${found.sha256.slice(0, 2)}/${found.sha256}/${encodeURIComponent(found.filename.split("/").at(-1) ?? "")}`;
      return { statusCode: 302, headers: { location, "cache-control": cacheControl, ...HARMLESS } };
    }
    const bytes = Buffer.from(await ctx.objects.getBlob(found.sha256));
    const etag = `"${found.sha256}"`;
    const headers = { etag, "cache-control": cacheControl, "content-type": contentTypeOf(found.filename), ...HARMLESS };
    if (event.headers["if-none-match"] === etag) return { statusCode: 304, headers };
    const head = event.requestContext.http.method === "HEAD";
    return { statusCode: 200, headers, ...(head ? {} : { body: bytes.toString("base64"), isBase64Encoded: true }) };
  } catch (error) {
    process.stderr.write(`${JSON.stringify({ level: "error", path, message: String(error) })}\n`);
    // apt takes 503 as final for this run, and keeps what it has.
    return { statusCode: 503, headers: { "cache-control": "no-store", "retry-after": "1" }, body: "try again\n" };
  }
}

const HARMLESS = { "x-content-type-options": "nosniff", "content-security-policy": "sandbox" };

function missing(): APIGatewayProxyStructuredResultV2 {
  return {
    statusCode: 404,
    headers: { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" },
    body: "there is nothing here\n",
  };
}

function isText(filename: string): boolean {
  return !filename.endsWith(".gz") && !filename.includes(".deb") && !filename.endsWith(".rpm");
}

/** The header carries the path as the client wrote it. */
function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}
