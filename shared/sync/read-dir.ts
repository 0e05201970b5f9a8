import pMap from "p-map";
import { readSums, type SumsEntry } from "../dir/sums.ts";
import { AppError } from "../error.ts";
import { cleartextOf, verifyCleartext } from "../signing/verify.ts";
import { SUMS } from "../tree/layout.ts";
import { foundInBucket } from "./dir-bucket.ts";
import { fileFound, type Wanted, wantedOf } from "./dir-file.ts";
import { headOf } from "./dir-head.ts";
import { sizesBefore } from "./dir-sizes.ts";
import { type ListedFile, walkListing } from "./dir-walk.ts";
import type { Found, UpstreamRead } from "./found.ts";
import { rememberLearned } from "./learned.ts";
import { checkDetached, isAbsent, named, pointerAt, type Site, type State, unless404, urlOf } from "./site.ts";

const PARALLEL = 8;

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
    pointerAt(site, urlOf(site, SUMS), before, (bytes, url) => textOf(site, bytes, url)),
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
      {
        url: path,
      },
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

/** Where a key is given, the sums are signed by it: in themselves, or in a file beside them. */
async function textOf(site: Site, bytes: Uint8Array, url: string): Promise<string> {
  const text = Buffer.from(bytes).toString("utf8");
  const { key } = site.upstream;
  if (text.startsWith("-----BEGIN PGP SIGNED MESSAGE-----")) {
    return named(url, () => (key === undefined ? cleartextOf(text) : verifyCleartext(text, key)));
  }
  if (key !== undefined) await checkSignature(site, bytes, url);
  return text;
}

/** GnuPG's own names, and those of Ubuntu's and Debian's images. */
const SIGNATURES = [".asc", ".gpg", ".sign", ".sig"];

async function checkSignature(site: Site, bytes: Uint8Array, url: string): Promise<void> {
  for (const suffix of SIGNATURES) {
    try {
      await named(`${url}${suffix}`, () => checkDetached(site, bytes, `${url}${suffix}`));
      return;
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }
  throw new AppError(
    "unprocessable",
    `${url}: a key was given, and no signature lies beside it (looked for ${SIGNATURES.map((suffix) => SUMS + suffix).join(", ")})`,
    { url },
  );
}

/** Sums tell no sizes: a file is read to learn its own, or, where bytes are to come on demand, asked for it. */
async function* foundInSums(site: Site, listed: readonly SumsEntry[]): AsyncGenerator<Found> {
  const isOnDemand = site.upstream.policy === "on_demand";
  const held = isOnDemand ? await sizesBefore(site) : new Map<string, number>();
  const foundOf = async ({ path, sha256 }: SumsEntry): Promise<Found> => {
    const url = urlOf(site, path);
    const unknown = { name: path, url, checksum: { algorithm: "sha256", value: sha256 } } as const;
    const known = await site.knownAs(unknown);
    if (known) return fileFound(path, url, known);
    if (!isOnDemand) return { unknown };
    const head = held.has(sha256) ? undefined : await headOf(site, url);
    if (head === "absent") throw new AppError("unprocessable", `${url}: listed in ${SUMS}, and not there`, { url });
    const sizeBytes = held.get(sha256) ?? head?.sizeBytes;
    return sizeBytes === undefined ? { unknown } : fileFound(path, url, { sha256, sizeBytes });
  };
  for (let start = 0; start < listed.length; start += AT_ONCE) {
    yield* await pMap(listed.slice(start, start + AT_ONCE), foundOf, { concurrency: PARALLEL });
  }
}

const AT_ONCE = 1000;

async function* foundInListing(site: Site, pages: AsyncIterable<ListedFile[]>, wanted: Wanted): AsyncGenerator<Found> {
  for await (const page of pages) {
    const files = page.filter(({ path }) => wanted.file(path));
    for (let start = 0; start < files.length; start += AT_ONCE) {
      const found = await pMap(files.slice(start, start + AT_ONCE), (file) => foundIn(site, file), {
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
async function foundIn(site: Site, { path, url, shown }: ListedFile): Promise<Found | "absent"> {
  const hasPassed = shown && site.ctx.now().getTime() - shown.at.getTime() > PASSED_MS;
  const asShown = hasPassed ? `${shown.at.toISOString()} ${shown.size}` : undefined;
  const told = asShown && (await site.knownAs({ name: path, url, version: asShown }));
  if (told) return fileFound(path, url, told);
  const head = await headOf(site, url);
  if (head === "absent") return "absent";
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
