import { readPackages, type UpstreamStanza } from "../apt/index-packages.ts";
import type { IndexCandidate, PlannedIndex } from "../apt/index-plan.ts";
import { decompressStream } from "../decompress-stream.ts";
import { AppError } from "../error.ts";
import type { Series } from "./read-apt-release.ts";
import { indexBytes, isAbsent, MOST_INDEX_BYTES, MOST_RATIO, type Site, urlOf } from "./site.ts";

/** An index in the best compression that is there, against the hash that names it. */
export async function* stanzasIn(site: Site, series: Series, index: PlannedIndex): AsyncGenerator<UpstreamStanza> {
  let missing: unknown;
  for (const candidate of index.candidates) {
    for (const path of [candidate.byHashPath, candidate.path]) {
      if (path === undefined) continue;
      try {
        yield* stanzasAt(site, `${series.folder}${path}`, candidate, index);
        return;
      } catch (error) {
        if (!isAbsent(error)) throw error;
        missing = error;
      }
    }
  }
  throw (
    missing ?? new AppError("unprocessable", `the Release of ${series.name} lists no ${index.index} that can be read`)
  );
}

async function* stanzasAt(
  site: Site,
  path: string,
  candidate: IndexCandidate,
  { index, plain }: PlannedIndex,
): AsyncGenerator<UpstreamStanza> {
  const url = urlOf(site, path);
  const { sizeBytes, sha256 } = candidate;
  if (sizeBytes > MOST_INDEX_BYTES) {
    throw new AppError("unprocessable", `${url} has ${sizeBytes} bytes, over the ${MOST_INDEX_BYTES} of an index`, {
      url,
    });
  }
  const file = { url, sizeBytes, checksum: { algorithm: "sha256", value: sha256 } } as const;
  const bytes = indexBytes(site, file, sizeBytes);
  const limits = {
    maxBytes: Math.min(plain?.sizeBytes ?? MOST_INDEX_BYTES, MOST_INDEX_BYTES),
    maxRatio: MOST_RATIO,
    where: url,
  };
  yield* readPackages(decompressStream(candidate.compression, bytes, limits), { where: url, index });
}
