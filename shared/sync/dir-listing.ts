import pMap from "p-map";
import { SUMS } from "../tree/layout.ts";
import { fileFound, type Wanted } from "./dir-file.ts";
import { type Heads, headsWithin, tooLate } from "./dir-head.ts";
import type { ListedFile } from "./dir-walk.ts";
import type { Found } from "./found.ts";
import { rememberLearned } from "./learned.ts";
import type { Site } from "./site.ts";

const PARALLEL = 8;
/** Files of which results are held at a time. */
const AT_ONCE = 1000;

/** What listing pages name: known by what tells each file from what it was, or to be read. */
export async function* foundInListing(
  site: Site,
  pages: AsyncIterable<ListedFile[]>,
  wanted: Wanted,
): AsyncGenerator<Found> {
  const heads = headsWithin(site);
  for await (const page of pages) {
    const files = page.filter(({ path }) => wanted.file(path));
    for (let start = 0; start < files.length; start += AT_ONCE) {
      const found = await pMap(files.slice(start, start + AT_ONCE), (file) => foundIn(site, heads, file), {
        concurrency: PARALLEL,
      });
      for (const one of found) if (one !== "absent") yield one;
    }
  }
}

/** No zone is further than this from another: a date that is older by what any clock says has passed. */
const PASSED_MS = 27 * 60 * 60_000;

/**
 * What a listing shows tells a file from what it was, once its minute has passed: then nothing is asked. Else its head tells; and
 * where not even that is sure (a file that was written this second), what was read in this very sync holds for it alone.
 */
async function foundIn(site: Site, heads: Heads, { path, url, shown }: ListedFile): Promise<Found | "absent"> {
  const hasPassed = shown && site.ctx.now().getTime() - shown.at.getTime() > PASSED_MS;
  const asShown = hasPassed ? `${shown.at.toISOString()} ${shown.size}` : undefined;
  const told = asShown && (await site.knownAs({ name: path, url, version: asShown }));
  if (told) return fileFound(path, url, told);
  const head = await heads(url);
  if (head === "absent") return "absent";
  if (head === "late") {
    if (!shown) throw tooLate(site, "dates", `a ${SUMS} would tell all in one request`);
    return { unknown: { name: path, url, ...(asShown === undefined ? {} : { version: asShown }) } };
  }
  const { sizeBytes, version } = head;
  const file = { name: path, url, ...(sizeBytes === undefined ? {} : { sizeBytes }) };
  const asTold = version === undefined ? undefined : await site.knownAs({ ...file, version });
  // From now on the listing alone tells.
  if (asTold && asShown) await rememberLearned(site.ctx, site.upstream, { ...file, version: asShown }, asTold);
  const known = asTold ?? (await site.knownAs(file));
  if (known) return fileFound(path, url, known);
  const named = asShown ?? version;
  return { unknown: { ...file, ...(named === undefined ? {} : { version: named }) } };
}
