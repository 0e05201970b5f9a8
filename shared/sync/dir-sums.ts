import pMap from "p-map";
import type { SumsEntry } from "../dir/sums.ts";
import { AppError } from "../error.ts";
import { cleartextOf, verifyCleartext } from "../signing/verify.ts";
import { SUMS } from "../tree/layout.ts";
import { fileFound } from "./dir-file.ts";
import { headsWithin, tooLate } from "./dir-head.ts";
import { sizesBefore } from "./dir-sizes.ts";
import type { Found } from "./found.ts";
import { checkDetached, isAbsent, named, type Site, urlOf } from "./site.ts";

const PARALLEL = 8;

/** Where a key is given, the sums are signed by it: in themselves, or in a file beside them. */
export async function textOfSums(site: Site, bytes: Uint8Array, url: string): Promise<string> {
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
export async function* foundInSums(site: Site, listed: readonly SumsEntry[]): AsyncGenerator<Found> {
  const isOnDemand = site.upstream.policy === "on_demand";
  const heads = headsWithin(site);
  const held = isOnDemand ? await sizesBefore(site) : new Map<string, number>();
  const foundOf = async ({ path, sha256 }: SumsEntry): Promise<Found> => {
    const url = urlOf(site, path);
    const unknown = { name: path, url, checksum: { algorithm: "sha256", value: sha256 } } as const;
    const known = await site.knownAs(unknown);
    if (known) return fileFound(path, url, known);
    if (!isOnDemand) return { unknown };
    const head = held.has(sha256) ? undefined : await heads(url);
    if (head === "late") throw tooLate(site, "sizes", "the policy immediate asks for none");
    if (head === "absent") throw new AppError("unprocessable", `${url}: listed in ${SUMS}, and not there`, { url });
    const sizeBytes = held.get(sha256) ?? head?.sizeBytes;
    return sizeBytes === undefined ? { unknown } : fileFound(path, url, { sha256, sizeBytes });
  };
  for (let start = 0; start < listed.length; start += AT_ONCE) {
    yield* await pMap(listed.slice(start, start + AT_ONCE), foundOf, { concurrency: PARALLEL });
  }
}

const AT_ONCE = 1000;
