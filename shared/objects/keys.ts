import type { Sha256 } from "../blob.ts";
import type { RepoType } from "../store/keys.ts";

/** Every object in the bucket is one of these; where it lies, its type and its caching are exhaustive matches on it. */
export type ObjectKey =
  | { readonly kind: "incoming"; readonly uploadId: string }
  | { readonly kind: "blob"; readonly sha256: Sha256 }
  | { readonly kind: "pointer"; readonly type: RepoType; readonly repo: string; readonly path: string };

export const INCOMING_PREFIX = "incoming/";

/** Hex and [A-Za-z0-9._-/] only, so that no client or cache ever re-encodes it. */
export function pathOf(key: ObjectKey): string {
  switch (key.kind) {
    case "incoming":
      return `${INCOMING_PREFIX}${key.uploadId}`;
    case "blob":
      return `blobs/${key.sha256.slice(0, 2)}/${key.sha256}`;
    case "pointer":
      return `pointers/${key.type}/${key.repo}/${key.path}`;
    default:
      return key satisfies never;
  }
}

const IMMUTABLE = "public, max-age=31536000, immutable";
const SHORT_LIVED = "public, max-age=0, s-maxage=2, must-revalidate";

export function cacheControlOf(key: ObjectKey): string {
  switch (key.kind) {
    case "incoming":
      return "no-store";
    case "blob":
      return IMMUTABLE;
    case "pointer":
      return SHORT_LIVED;
    default:
      return key satisfies never;
  }
}

/** What a client is told a pointer is. Blobs are told apart by the path that leads to them, see functions/edge.ts. */
export function contentTypeOf(path: string): string {
  if (path.endsWith(".xml")) return "text/xml; charset=utf-8";
  if (path.endsWith(".html")) return "text/html; charset=utf-8";
  if (path.endsWith(".json")) return "application/json";
  if (path.endsWith(".asc") || path.endsWith(".key")) return "application/pgp-keys";
  if (path.endsWith(".gpg")) return "application/octet-stream";
  return "text/plain; charset=utf-8";
}
