/**
 * Where the bytes of a client's path lie in the bucket, and what their name says of them: pure, without a library, small enough for a CloudFront Function.
 * Paths that name a hash lead to its blob; known pointers to themselves; anything else stays as it is and, since the bucket
 * holds nothing there, goes on to the `files` function with the path as it was asked for.
 */
const BY_HASH = /^\/(?:apt|yum|dir)\/[^/]+\/(?:.+\/)?by-hash\/SHA256\/([0-9a-f]{64})$/;
const POOL = /^\/(?:apt|yum|dir)\/[^/]+\/pool\/([0-9a-f]{64})\/[^/]+$/;
const REPODATA = /^\/yum\/[^/]+\/repodata\/([0-9a-f]{64})-[A-Za-z0-9._-]+$/;
const BLOB = /^\/blobs\/[0-9a-f]{2}\/([0-9a-f]{64})(?:\/[^/]*)?$/;
const POINTER =
  /^\/(apt\/[a-z0-9][a-z0-9._-]*\/(?:dists\/(?:[A-Za-z0-9][A-Za-z0-9._-]*\/)+(?:InRelease|Release|Release\.gpg)|key\.asc|key\.gpg|packhouse\.sources)|yum\/[a-z0-9][a-z0-9._-]*\/(?:repodata\/repomd\.xml(?:\.asc|\.key)?|key\.asc|key\.gpg|packhouse\.repo|mirrorlist)|dir\/[a-z0-9][a-z0-9._-]*\/(?:SHA256SUMS(?:\.asc)?|key\.asc|key\.gpg|index\.json|index\.html))$/;

const PATH_HEADER = "x-packhouse-path";
/** Answers that have a blob's headers: the whole, a part, and that it has not changed. */
const DESCRIBED = [200, 206, 304];

/** The key in the bucket, without a slash before it; undefined where only the `files` function knows. */
export function objectKeyFor(path: string): string | undefined {
  const hash = BY_HASH.exec(path) ?? POOL.exec(path) ?? REPODATA.exec(path) ?? BLOB.exec(path);
  if (hash) return `blobs/${(hash[1] as string).slice(0, 2)}/${hash[1]}`;
  const pointer = POINTER.exec(path);
  return pointer ? `pointers/${pointer[1]}` : undefined;
}

/** By the ending of a file's name; a blob itself knows none. Nothing that a browser would run is among them. */
const MEDIA_TYPES: Record<string, string> = {
  deb: "application/vnd.debian.binary-package",
  udeb: "application/vnd.debian.binary-package",
  ddeb: "application/vnd.debian.binary-package",
  rpm: "application/x-rpm",
  gz: "application/gzip",
  tgz: "application/gzip",
  bz2: "application/x-bzip2",
  xz: "application/x-xz",
  zst: "application/zstd",
  tar: "application/x-tar",
  zip: "application/zip",
  whl: "application/zip",
  jar: "application/java-archive",
  json: "application/json",
  dsc: "text/plain; charset=utf-8",
  changes: "text/plain; charset=utf-8",
  buildinfo: "text/plain; charset=utf-8",
  txt: "text/plain; charset=utf-8",
  asc: "application/pgp-signature",
};

/** What is told of a blob beside what the bucket tells: undefined keeps the bucket's. */
export type BlobHeaders = { readonly type: string | undefined; readonly disposition: string };

/** The headers that the file name in a blob's path decides; undefined where the path has none. */
export function blobHeadersFor(path: string): BlobHeaders | undefined {
  if (!POOL.test(path) && !BLOB.test(path)) return undefined;
  const parts = path.split("/");
  // A blob's own path ends with its hash.
  const name = parts.length < 5 ? undefined : decoded(parts[parts.length - 1] as string);
  if (name === undefined || name === "") return undefined;
  const ending = /\.([a-z0-9]{1,9})$/.exec(name.toLowerCase());
  const type = ending ? MEDIA_TYPES[ending[1] as string] : undefined;
  return { type, disposition: `attachment; ${filenameFor(name)}` };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (_) {
    return undefined;
  }
}

/** RFC 6266: as it is where no client reads it otherwise, else as RFC 8187 has it. */
function filenameFor(name: string): string {
  if (/^[A-Za-z0-9._+~:@^=-]+$/.test(name)) return `filename="${name}"`;
  const encoded = encodeURIComponent(name).replace(/['()*!]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`);
  return `filename*=UTF-8''${encoded}`;
}

type Headers = Record<string, { value: string }>;
type CloudFrontRequest = { uri: string; headers: Headers };
type CloudFrontResponse = { statusCode: number; headers: Headers };
type CloudFrontEvent = { request: CloudFrontRequest; response?: CloudFrontResponse };

/** The CloudFront Function on a viewer's request, and on its response. */
export function handler(event: CloudFrontEvent): CloudFrontRequest | CloudFrontResponse {
  return event.response === undefined ? rewritten(event.request) : described(event.request, event.response);
}

function rewritten(request: CloudFrontRequest): CloudFrontRequest {
  request.headers[PATH_HEADER] = { value: request.uri };
  const key = objectKeyFor(request.uri);
  if (key !== undefined) request.uri = `/${key}`;
  return request;
}

/** The request's path may be the rewritten one here: then the header has what was asked for. */
function described(request: CloudFrontRequest, response: CloudFrontResponse): CloudFrontResponse {
  if (!DESCRIBED.includes(response.statusCode)) return response;
  const asked = request.headers[PATH_HEADER];
  const told = blobHeadersFor(request.uri) ?? (asked && blobHeadersFor(asked.value));
  if (told === undefined) return response;
  if (told.type !== undefined) response.headers["content-type"] = { value: told.type };
  response.headers["content-disposition"] = { value: told.disposition };
  return response;
}
