import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import type { Sha256 } from "../shared/blob.ts";
import type { Context } from "../shared/context.ts";
import { contentTypeOf } from "../shared/objects/keys.ts";
import { type Resolved, resolvePath } from "../shared/publication/resolve.ts";
import { askForCopy, canBeHad, redirectTo, untilCopied } from "../shared/sync/on-demand.ts";
import { context } from "./context.ts";
import { objectKeyFor } from "./edge.ts";

/** Small enough to answer; what is larger is redirected to. */
const MOST_INLINE_BYTES = 1024 * 1024;
/** The HTTP API gives up after 30 s. */
const LONGEST_WAIT_MS = 25_000;
const LASTING = "public, max-age=31536000, immutable";
const SHORT_LIVED = "public, max-age=0, s-maxage=2, must-revalidate";
const NEVER = "no-store";
/** Kinds of file that a client takes for bytes. */
const BINARY = /\.(?:gz|tgz|xz|txz|bz2|zst|lz4|lzma|zip|jar|whl|deb|udeb|ddeb|rpm|iso|img|bin|exe|png|jpe?g|gif|pdf)$/;

type Answer = APIGatewayProxyStructuredResultV2;

/** What a client asked for and the bucket does not have under the rewritten path. */
export async function handler(event: APIGatewayProxyEventV2): Promise<Answer> {
  return answerTo(context(), event, LONGEST_WAIT_MS);
}

/** `waitMs`: how long a client may be kept waiting for a file that has to be copied first. */
export async function answerTo(ctx: Context, event: APIGatewayProxyEventV2, waitMs: number): Promise<Answer> {
  const until = Date.now() + waitMs;
  const asked = event.headers["x-packhouse-path"];
  // The HTTP API has decoded the path itself.
  const path = asked === undefined ? event.rawPath : decoded(asked);
  try {
    const found = path === undefined ? undefined : await resolvePath(ctx, path);
    if (!found) return missing();
    const sizeBytes = await ctx.objects.blobSize(found.sha256);
    if (sizeBytes === undefined) return await elsewhere(ctx, found, until);
    // The edge would have found it: it came in between, and will be found there from now on.
    const isRace = objectKeyFor(asked ?? "")?.startsWith("blobs/") ?? false;
    const cacheControl = isRace ? NEVER : found.lasting ? LASTING : SHORT_LIVED;
    if (isRace || sizeBytes > MOST_INLINE_BYTES || BINARY.test(found.filename))
      return redirect(ours(ctx, found), cacheControl);
    return await inline(ctx, found, event, cacheControl);
  } catch (error) {
    process.stderr.write(`${JSON.stringify({ level: "error", path, message: String(error) })}\n`);
    return later(1);
  }
}

/** A package whose bytes are not ours yet: with the upstream, or in a moment with us. */
async function elsewhere(ctx: Context, { held, ...found }: Resolved, until: number): Promise<Answer> {
  if (!held || !canBeHad(held)) return missing();
  const location = await redirectTo(ctx, held);
  if (location !== undefined) {
    await askForCopy(ctx, held);
    return redirect(location, NEVER);
  }
  if (await untilCopied(ctx, held, until - Date.now())) return redirect(ours(ctx, found), NEVER);
  return later(10);
}

async function inline(
  ctx: Context,
  { sha256, filename }: Resolved,
  event: APIGatewayProxyEventV2,
  cacheControl: string,
): Promise<Answer> {
  const etag = `"${sha256}"`;
  const headers = { etag, "cache-control": cacheControl, "content-type": contentTypeOf(filename), ...HARMLESS };
  if (isHeld(event.headers["if-none-match"], etag)) return { statusCode: 304, headers };
  if (event.requestContext.http.method === "HEAD") return { statusCode: 200, headers };
  const bytes = Buffer.from(await ctx.objects.getBlob(sha256));
  return { statusCode: 200, headers, body: bytes.toString("base64"), isBase64Encoded: true };
}

/** RFC 9110 13.1.2: a list, compared weakly; `*` is whatever there is. */
function isHeld(ifNoneMatch: string | undefined, etag: string): boolean {
  const tags = ifNoneMatch?.split(",").map((one) => one.trim().replace(/^W\//, "")) ?? [];
  return tags.includes(etag) || tags.includes("*");
}

function ours(ctx: Context, { sha256, filename }: { sha256: Sha256; filename: string }): string {
  const name = encodeURIComponent(filename.split("/").at(-1) ?? "");
  return `${ctx.publicUrl}/blobs/${sha256.slice(0, 2)}/${sha256}/${name}`;
}

const HARMLESS = { "x-content-type-options": "nosniff", "content-security-policy": "sandbox" };
const PLAIN = { "content-type": "text/plain; charset=utf-8", "cache-control": NEVER, ...HARMLESS };

function redirect(location: string, cacheControl: string): Answer {
  return { statusCode: 302, headers: { location, "cache-control": cacheControl, ...HARMLESS } };
}

function missing(): Answer {
  return { statusCode: 404, headers: PLAIN, body: "there is nothing here\n" };
}

/** apt takes 503 as final for this run, and keeps what it has. */
function later(seconds: number): Answer {
  return { statusCode: 503, headers: { ...PLAIN, "retry-after": String(seconds) }, body: "try again\n" };
}

/** The header carries the path as the client wrote it. */
function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}
