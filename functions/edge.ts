/**
 * Where the bytes of a client's path lie in the bucket: pure, without a library, small enough for a CloudFront Function.
 * Paths that name a hash lead to its blob; known pointers to themselves; anything else stays as it is and, since the bucket
 * holds nothing there, goes on to the `files` function with the path as it was asked for.
 */
const BY_HASH = /^\/(?:apt|yum|dir)\/[^/]+\/(?:.+\/)?by-hash\/SHA256\/([0-9a-f]{64})$/;
const POOL = /^\/(?:apt|yum|dir)\/[^/]+\/pool\/([0-9a-f]{64})\/[^/]+$/;
const REPODATA = /^\/yum\/[^/]+\/repodata\/([0-9a-f]{64})-[A-Za-z0-9._-]+$/;
const BLOB = /^\/blobs\/[0-9a-f]{2}\/([0-9a-f]{64})(?:\/[^/]*)?$/;
const POINTER =
  /^\/(apt\/[a-z0-9][a-z0-9._-]*\/(?:dists\/(?:[A-Za-z0-9][A-Za-z0-9._-]*\/)+(?:InRelease|Release|Release\.gpg)|key\.asc|key\.gpg|packhouse\.sources)|yum\/[a-z0-9][a-z0-9._-]*\/(?:repodata\/repomd\.xml(?:\.asc|\.key)?|key\.asc|key\.gpg|packhouse\.repo|mirrorlist)|dir\/[a-z0-9][a-z0-9._-]*\/(?:SHA256SUMS(?:\.asc)?|key\.asc|key\.gpg|index\.json|index\.html))$/;

/** The key in the bucket, without a slash before it; undefined where only the `files` function knows. */
export function objectKeyFor(path: string): string | undefined {
  const hash = BY_HASH.exec(path) ?? POOL.exec(path) ?? REPODATA.exec(path) ?? BLOB.exec(path);
  if (hash) return `blobs/${(hash[1] as string).slice(0, 2)}/${hash[1]}`;
  const pointer = POINTER.exec(path);
  return pointer ? `pointers/${pointer[1]}` : undefined;
}

type CloudFrontRequest = { uri: string; headers: Record<string, { value: string }> };

/** The CloudFront Function on a viewer's request. */
export function handler(event: { request: CloudFrontRequest }): CloudFrontRequest {
  const request = event.request;
  request.headers["x-packhouse-path"] = { value: request.uri };
  const key = objectKeyFor(request.uri);
  if (key !== undefined) request.uri = `/${key}`;
  return request;
}
