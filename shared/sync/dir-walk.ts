import pMap from "p-map";
import { type ListingEntry, readAutoindex } from "../dir/autoindex.ts";
import { faultOfPath } from "../dir/upstream-path.ts";
import { AppError } from "../error.ts";
import { fetchBytes } from "../upstream/fetch-bytes.ts";
import { UpstreamError } from "../upstream/fetch-error.ts";
import { withRetries } from "../upstream/fetch-retry.ts";
import type { Wanted } from "./dir-file.ts";
import { TRIES } from "./dir-head.ts";
import { named, type Site } from "./site.ts";
import { withCredentialsOf } from "./take.ts";

export type ListedFile = Pick<ListingEntry, "url" | "shown"> & { readonly path: string };

type Folder = { readonly path: string; readonly url: string; readonly depth: number };
type Page = { readonly folder: Folder; readonly entries: readonly ListingEntry[] };

const MOST_PAGE_BYTES = 16 * 1024 * 1024;
const PAGES_AT_ONCE = 8;
/** Pages are many and small, but no page's sum may fill the memory. */
const MOST_WAITING = 100_000;

export type WalkLimits = { readonly pages: number; readonly files: number; readonly depth: number };
export const WALK_LIMITS: WalkLimits = { pages: 10_000, files: 1_000_000, depth: 32 };

/**
 * The files below the address, as its listing pages name them: a page's at a time. The first page is read before this returns; it
 * may lie elsewhere (a redirect), and then all else is looked for below that place. Nothing above it or on another host is asked.
 * @throws AppError for a page that is none, or too many of them: a link that leads in a circle looks like folders without end
 */
export async function walkListing(
  site: Site,
  wanted: Pick<Wanted, "folder">,
  limits: WalkLimits = WALK_LIMITS,
): Promise<AsyncGenerator<ListedFile[]>> {
  const root = await pageAt(site, { path: "", url: `${site.upstream.path.replace(/\/+$/, "")}/`, depth: 0 });
  return walk(site, root, wanted, limits);
}

async function* walk(
  site: Site,
  root: Page,
  wanted: Pick<Wanted, "folder">,
  limits: WalkLimits,
): AsyncGenerator<ListedFile[]> {
  const waiting: Folder[] = [];
  let pages = 1;
  let files = 0;
  let read: readonly Page[] = [root];
  const tooMany = (what: string) =>
    new AppError("unprocessable", `${site.upstream.path}: more than ${what} in its listings (${LEAVE_OUT})`);
  while (read.length > 0) {
    for (const { folder, entries } of read) {
      const found = entries.map((entry) => ({ ...entry, path: folder.path + entry.name }));
      const listed = found.filter(({ isDirectory }) => !isDirectory);
      files += listed.length;
      if (files > limits.files) throw tooMany(`${limits.files} files`);
      yield listed.map(checked);
      for (const { path, url, isDirectory } of found) {
        if (!isDirectory || !wanted.folder(path)) continue;
        if (folder.depth >= limits.depth) throw tooDeep(url, limits);
        waiting.push({ path: `${path}/`, url, depth: folder.depth + 1 });
      }
      if (waiting.length > MOST_WAITING) throw tooMany(`${MOST_WAITING} folders`);
    }
    // The deepest first: few wait.
    const next = waiting.splice(-PAGES_AT_ONCE);
    pages += next.length;
    if (pages > limits.pages) throw tooMany(`${limits.pages} folders`);
    read = await pMap(next, (folder) => pageAt(site, folder), { concurrency: PAGES_AT_ONCE });
  }
}

const LEAVE_OUT = "does a link lead in a circle? `exclude` leaves out a folder by its name";

function tooDeep(url: string, { depth }: WalkLimits): AppError {
  return new AppError("unprocessable", `${url}: folders within ${depth} others (${LEAVE_OUT})`, { url });
}

/** Each name was found harmless; the whole path may be too long. */
function checked(file: ListedFile): ListedFile {
  const fault = faultOfPath(file.path);
  if (fault === undefined) return file;
  throw new AppError("unprocessable", `${file.url}: the path is refused: ${fault}`, { url: file.url });
}

async function pageAt({ ctx, address }: Site, folder: Folder): Promise<Page> {
  const { fetcher } = ctx;
  const { finalUrl, bytes } = await withRetries(
    () => fetchBytes(fetcher, withCredentialsOf(address, folder.url), { maxBytes: MOST_PAGE_BYTES }),
    { tries: TRIES, sleep: fetcher.sleep },
  );
  if (folder.depth > 0 && finalUrl !== new URL(folder.url).href) {
    throw new UpstreamError("redirect", {
      url: folder.url,
      expected: "the listing of this folder",
      got: `a redirect to ${new URL(finalUrl).origin}${new URL(finalUrl).pathname}`,
    });
  }
  const text = Buffer.from(bytes).toString("utf8");
  return { folder, entries: await named(folder.url, async () => readAutoindex(text, finalUrl)) };
}
