import { readSums } from "../dir/sums.ts";
import { AppError } from "../error.ts";
import { SUMS } from "../tree/layout.ts";
import { foundInBucket } from "./dir-bucket.ts";
import { wantedOf } from "./dir-file.ts";
import { foundInListing } from "./dir-listing.ts";
import { foundInSums, textOfSums } from "./dir-sums.ts";
import { walkListing } from "./dir-walk.ts";
import type { UpstreamRead } from "./found.ts";
import { pointerAt, type Site, type State, unless404, urlOf } from "./site.ts";

/**
 * The files of a plain directory. Where it has a SHA256SUMS, those that are listed there ("unchanged" when it did not change since
 * the last commit: then one request was made). Else those that its listing pages name, which tell nothing of having changed: all
 * are read at each sync, and what of the files changed is told by dates, lengths and ETags. Or those below `s3://bucket/prefix`.
 */
export async function readDir(site: Site, before: State | undefined): Promise<UpstreamRead | "unchanged"> {
  const { path, include, exclude, key } = site.upstream;
  const wanted = wantedOf({ include, exclude });
  const carried = async () => [];
  const scheme = schemeOf(path);
  if (scheme === "s3") {
    if (key !== undefined) throw unsigned(path, "nothing in a bucket is read as signed");
    return { found: await foundInBucket(site, wanted), carried, pointers: [] };
  }
  const pointer = await unless404(() =>
    pointerAt(site, urlOf(site, SUMS), before, (bytes, url) => textOfSums(site, bytes, url)),
  );
  if (pointer === "absent") {
    if (key !== undefined) throw unsigned(path, `there is no ${SUMS}`);
    return { found: foundInListing(site, await walkListing(site, wanted), wanted), carried, pointers: [] };
  }
  if (before && pointer.isOld) return "unchanged";
  const listed = readSums(await pointer.text(), pointer.url).filter((one) => wanted.file(one.path));
  return { found: foundInSums(site, listed), carried, pointers: [pointer] };
}

const SCHEMES = ["http", "https", "s3"] as const;

function schemeOf(path: string): (typeof SCHEMES)[number] {
  const fail = (what: string) =>
    new AppError(
      "unprocessable",
      `${path.slice(0, 200)}: ${what}; a directory is followed at http://, https:// or s3://`,
      { url: path },
    );
  const [, named = ""] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(path) ?? [];
  const scheme = SCHEMES.find((known) => known === named.toLowerCase());
  if (scheme === undefined) throw fail(named === "" ? "that is no URL" : `${named} is not followed`);
  if (scheme !== "s3" && !URL.canParse(path)) throw fail("that is no URL");
  if (scheme !== "s3" && /[?#]/.test(path)) throw fail("an address below which files lie has no `?` and no `#`");
  return scheme;
}

function unsigned(path: string, what: string): AppError {
  return new AppError("unprocessable", `${path}: a key was given, and ${what}: nothing is signed by it`, { url: path });
}
