import { createHash } from "node:crypto";
import { AppError } from "../error.ts";
import { fetchBytes } from "../upstream/fetch-bytes.ts";
import { UpstreamError, UpstreamFault } from "../upstream/fetch-error.ts";
import { type ExpectedRepomd, readMetalink, readMirrorlist } from "../yum/metalink.ts";
import { checkDetached, isAbsent, named, type Pointer, pointerAt, type Site, type State } from "./site.ts";
import { withCredentialsOf } from "./take.ts";

const REPOMD = "repodata/repomd.xml";
const MOST_LIST_BYTES = 4 * 1024 * 1024;
/** Of a list, so many are asked, and so many are kept for what the first does not give. */
const MOST_ASKED = 20;
const MOST_MIRRORS = 4;

/** Where a yum upstream lies: its repomd.xml, the address that its paths are relative to, and other addresses of the same. */
export type YumBase = { readonly pointer: Pointer; readonly base: string; readonly mirrors: readonly string[] };

/**
 * Finds the repomd.xml of an upstream whose path is a base URL, a mirrorlist or a metalink: what looks like a list is asked first,
 * anything else only where there is no repomd.xml below it. "unchanged" when it is that of the last commit.
 */
export async function yumBaseOf(site: Site, before: State | undefined): Promise<YumBase | "unchanged"> {
  const { path } = site.upstream;
  if (!looksLikeList(path)) {
    try {
      return await atBase(site, path, before);
    } catch (error) {
      if (!isAbsent(error)) throw error;
      return fromList(site, before, error);
    }
  }
  return fromList(site, before, undefined);
}

function looksLikeList(path: string): boolean {
  if (!URL.canParse(path)) return false;
  const url = new URL(path);
  return url.search !== "" || /(?:mirrorlist|metalink|mirrors)[^/]*$/.test(url.pathname);
}

/** `absent`: why there is no repomd.xml below the path, which is told where the path is no list either. */
async function fromList(site: Site, before: State | undefined, absent: unknown): Promise<YumBase | "unchanged"> {
  const { path } = site.upstream;
  const asked = withCredentialsOf(site.address, path);
  const { bytes } = await fetchBytes(site.ctx.fetcher, asked, { maxBytes: MOST_LIST_BYTES }).catch((error) => {
    throw absent ?? error;
  });
  const text = Buffer.from(bytes).toString("utf8");
  if (/^\s*(?:<\?xml[^>]*>\s*)?(?:<!--[\s\S]*?-->\s*)*<metalink[\s>]/.test(text)) {
    return fromMetalink(site, before, bytes);
  }
  let urls: string[];
  try {
    urls = readMirrorlist(text, path);
  } catch (error) {
    throw absent ?? error;
  }
  return fromMirrors(site, before, { urls, repomds: [] });
}

async function fromMetalink(site: Site, before: State | undefined, bytes: Uint8Array): Promise<YumBase | "unchanged"> {
  const { urls, repomds } = readMetalink(bytes, site.upstream.path);
  const newest = repomds[0]?.checksums.find(({ type }) => type === "sha256")?.value;
  if (newest !== undefined && before?.releases.some(({ sha256 }) => sha256 === newest)) return "unchanged";
  return fromMirrors(site, before, { urls, repomds });
}

/** The first that answers, and where there is a metalink, with one of the files that it names: the newest, if any has it. */
async function fromMirrors(
  site: Site,
  before: State | undefined,
  { urls, repomds }: { urls: readonly string[]; repomds: readonly ExpectedRepomd[] },
): Promise<YumBase | "unchanged"> {
  let wrong: unknown;
  let older: YumBase | undefined;
  for (const base of urls.slice(0, MOST_ASKED)) {
    try {
      const found = await atBase(site, base, before, repomds);
      if (found === "unchanged") return found;
      const mirrors = [base, ...urls.filter((one) => one !== base)].slice(0, MOST_MIRRORS);
      if (repomds.length === 0 || isNewest(found, repomds)) return { ...found, mirrors };
      older ??= { ...found, mirrors };
    } catch (error) {
      if (!(error instanceof UpstreamError) && !(error instanceof UpstreamFault)) throw error;
      wrong ??= error;
    }
  }
  if (older) return older;
  throw (
    wrong ?? new AppError("unprocessable", `${site.upstream.path}: none of its mirrors has the repomd.xml it names`)
  );
}

type AtBase = YumBase & { readonly bytes: Uint8Array | undefined };

async function atBase(
  site: Site,
  base: string,
  before: State | undefined,
  expected: readonly ExpectedRepomd[] = [],
): Promise<AtBase | "unchanged"> {
  const url = `${base.replace(/\/+$/, "")}/${REPOMD}`;
  let read: Uint8Array | undefined;
  const pointer = await pointerAt(site, url, before, (bytes) =>
    named(url, async () => {
      read = bytes;
      if (expected.length > 0 && !expected.some((one) => isThat(bytes, one))) {
        throw new UpstreamError("checksum", { url, expected: "a repomd.xml that the metalink names", got: "another" });
      }
      await checkDetached(site, bytes, `${url}.asc`);
      return Buffer.from(bytes).toString("utf8");
    }),
  );
  if (before && pointer.isOld) return "unchanged";
  return { pointer, base, mirrors: [], bytes: read };
}

function isNewest({ bytes }: AtBase, [newest]: readonly ExpectedRepomd[]): boolean {
  return newest !== undefined && bytes !== undefined && isThat(bytes, newest);
}

/** By the strongest checksum that is named. */
function isThat(bytes: Uint8Array, { checksums }: ExpectedRepomd): boolean {
  const [best] = [...checksums].sort((a, b) => b.value.length - a.value.length);
  return best !== undefined && createHash(best.type).update(bytes).digest("hex") === best.value;
}
