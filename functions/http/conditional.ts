import { createHash } from "node:crypto";

/** An ETag of what stays the same while words as "3 seconds ago" change: so it is weak (RFC 9110 8.8.1). */
export function weakTag(...parts: readonly string[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return `W/"${hash.digest("base64url").slice(0, 27)}"`;
}

/** RFC 9110 13.1.2: a list, compared weakly; `*` is whatever there is. */
export function isHeld(ifNoneMatch: string | undefined, tag: string): boolean {
  const tags = ifNoneMatch?.split(",").map((one) => bare(one.trim())) ?? [];
  return tags.includes("*") || tags.includes(bare(tag));
}

function bare(tag: string): string {
  return tag.replace(/^W\//, "");
}
