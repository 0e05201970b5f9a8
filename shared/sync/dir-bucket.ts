import { faultOfPath } from "../dir/upstream-path.ts";
import type { ForeignObject } from "../objects/foreign.ts";
import { withRetries } from "../upstream/fetch-retry.ts";
import { fileFound, type Wanted } from "./dir-file.ts";
import { TRIES } from "./dir-head.ts";
import { bucketAt, refused } from "./dir-open.ts";
import type { Found } from "./found.ts";
import type { Site } from "./site.ts";

const MOST_OBJECTS = 1_000_000;

/** What lies below a prefix of somebody's bucket, told from what it was by ETag and size. The first page is read at once. */
export async function foundInBucket(site: Site, wanted: Wanted): Promise<AsyncGenerator<Found>> {
  const { ctx, upstream } = site;
  if (upstream.credentials) throw refused(upstream.path, "a bucket is read with this service's own credentials alone");
  const { bucket, key } = bucketAt(upstream.path);
  const prefix = key === "" || key.endsWith("/") ? key : `${key}/`;
  const pageAfter = (after?: string) =>
    withRetries(() => ctx.foreign.list(bucket, prefix, after), { tries: TRIES, sleep: ctx.fetcher.sleep });
  const first = await pageAfter();

  return (async function* () {
    let page = first;
    for (let seen = 0; ; ) {
      seen += page.objects.length;
      if (seen > MOST_OBJECTS) throw refused(upstream.path, `more than ${MOST_OBJECTS} objects`);
      for (const object of page.objects) {
        const path = object.key.slice(prefix.length);
        // What consoles make for an empty folder.
        if (path === "" || (path.endsWith("/") && object.sizeBytes === 0)) continue;
        if (wanted.file(path)) yield await foundOf(site, path, bucket, object);
      }
      if (page.next === undefined) return;
      page = await pageAfter(page.next);
    }
  })();
}

async function foundOf(
  site: Site,
  path: string,
  bucket: string,
  { key, sizeBytes, etag }: ForeignObject,
): Promise<Found> {
  const url = `s3://${bucket}/${key.split("/").map(encodeURIComponent).join("/")}`;
  const fault = path.split("/").some((name) => name === "" || name === ".")
    ? "it has an empty name"
    : faultOfPath(path);
  if (fault !== undefined) throw refused(url, `the path is refused: ${fault}`);
  const file = { name: path, url, sizeBytes, version: `${etag} ${sizeBytes}` };
  const known = await site.knownAs(file);
  return known ? fileFound(path, url, known) : { unknown: file };
}
