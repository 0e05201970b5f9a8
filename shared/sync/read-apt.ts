import { fieldOf } from "../apt/control.ts";
import { readPackages, type UpstreamChecksums, type UpstreamStanza } from "../apt/index-packages.ts";
import { type IndexCandidate, type PlannedIndex, planIndexes } from "../apt/index-plan.ts";
import { rewriteBinaryStanza } from "../apt/index-rewrite.ts";
import { type ParsedRelease, parseRelease } from "../apt/release.ts";
import { parseSha256 } from "../blob.ts";
import { decompressStream } from "../decompress-stream.ts";
import { AppError } from "../error.ts";
import { DIST_NAME } from "../repo/accepts.ts";
import { cleartextOf, verifyCleartext } from "../signing/verify.ts";
import type { Entry } from "../tree/entry.ts";
import { type AptPlace, aptKey, PACKAGES } from "../tree/layout.ts";
import type { Found, UnnamedFile, UpstreamRead } from "./found.ts";
import { globsOf } from "./globs.ts";
import {
  checkDetached,
  indexBytes,
  isAbsent,
  MOST_INDEX_BYTES,
  MOST_RATIO,
  named,
  type Pointer,
  pointerAt,
  type Site,
  type State,
  unless404,
  urlOf,
} from "./site.ts";
import type { Taken } from "./take.ts";

/**
 * Everything an apt upstream lists in the series asked for: each Release verified where a key is given, each index against the
 * Release that names it. "unchanged" when no Release changed since the last commit: then one request a series was made.
 */
export async function readApt(site: Site, before: State | undefined): Promise<UpstreamRead | "unchanged"> {
  const { upstream } = site;
  if (upstream.series === undefined) {
    throw new AppError(
      "unprocessable",
      'an apt upstream needs `series`, such as ["bookworm"], or ["./"] where it is flat',
    );
  }
  const series: Series[] = [];
  for (const name of upstream.series) series.push(await readRelease(site, name, before));
  if (before && series.every((one) => one.isOld)) return "unchanged";
  return { found: foundIn(site, series), carried: async () => [], pointers: series };
}

async function* foundIn(site: Site, series: readonly Series[]): AsyncGenerator<Found> {
  for (const one of series) yield* foundInSeries(site, one);
}

type Series = Pointer & {
  readonly name: string;
  /** The folder of its Release, relative to the upstream; ends in a slash where it is not empty. */
  readonly folder: string;
};

/** InRelease, or Release with its signature beside it where there is none. */
async function readRelease(site: Site, name: string, before: State | undefined): Promise<Series> {
  const folder = isFlat(name) ? name.replace(/^\.\/?/, "") : `dists/${name}/`;
  const inline = urlOf(site, `${folder}InRelease`);
  const signed = await unless404(() =>
    pointerAt(site, inline, before, (bytes, url) => named(url, () => signedText(site, bytes))),
  );
  const found =
    signed === "absent"
      ? await pointerAt(site, urlOf(site, `${folder}Release`), before, (bytes, url) =>
          named(url, () => detachedText(site, bytes, url)),
        )
      : signed;
  return { name, folder, ...found };
}

function signedText({ upstream }: Site, bytes: Uint8Array): Promise<string> {
  const signed = Buffer.from(bytes).toString("utf8");
  return upstream.key === undefined ? cleartextOf(signed) : verifyCleartext(signed, upstream.key);
}

async function detachedText(site: Site, bytes: Uint8Array, url: string): Promise<string> {
  await checkDetached(site, bytes, `${url}.gpg`);
  return Buffer.from(bytes).toString("utf8");
}

async function* foundInSeries(site: Site, series: Series): AsyncGenerator<Found> {
  const { upstream } = site;
  const release = await named(series.url, async () => parseRelease(await series.text()));
  const flat = isFlat(series.name);
  const planned = planIndexes(release, {
    flat,
    ...(upstream.components ? { components: upstream.components } : {}),
    ...(upstream.architectures ? { architectures: upstream.architectures } : {}),
  });
  const suite = flat ? flatSuite(release) : series.name.replace(/\/$/, "");
  const wanted = globsOf(upstream.include, upstream.exclude);
  for (const index of planned) {
    if (index.index !== "Packages") continue;
    const place = { suite, component: index.component === "" ? "main" : index.component };
    for await (const stanza of stanzasOf(site, series, index)) {
      if (wanted(stanza.name)) yield await binaryOf(site, place, stanza);
    }
  }
}

async function binaryOf(site: Site, place: AptPlace, stanza: UpstreamStanza): Promise<Found> {
  const [file] = stanza.files;
  if (!file) throw new AppError("unprocessable", `${stanza.name} ${stanza.version} (line ${stanza.line}) has no file`);
  const name = file.path.split("/").at(-1) ?? file.path;
  const url = urlOf(site, file.path);
  const known = await takenOf(site, { name, url, sizeBytes: file.sizeBytes }, file.checksums, stanza);
  if ("unknown" in known) return known;
  const { sha256, sizeBytes } = known;
  const entry: Entry = {
    key: aptKey(place, stanza.architecture, stanza.name, stanza.version),
    files: [{ name, sha256, sizeBytes }],
    chunks: {
      [PACKAGES]: rewriteBinaryStanza(stanza.stanza, { filename: `pool/${sha256}/${name}`, sizeBytes, sha256 }),
    },
  };
  return { entry, urls: [url] };
}

/** What a file is: by its SHA-256 where the index has it, else by what it turned out to be when it was read. */
async function takenOf(
  site: Site,
  file: UnnamedFile & { readonly sizeBytes: number },
  { sha256, sha512, sha1, md5 }: UpstreamChecksums,
  { name, version, line }: UpstreamStanza,
): Promise<Taken | { unknown: UnnamedFile }> {
  if (sha256 !== undefined) return { sha256: parseSha256(sha256), sizeBytes: file.sizeBytes };
  const [algorithm, value] = sha512
    ? (["sha512", sha512] as const)
    : sha1
      ? (["sha1", sha1] as const)
      : (["md5", md5] as const);
  if (value === undefined) {
    throw new AppError("unprocessable", `${name} ${version} has no checksum in its index (line ${line})`);
  }
  const unknown: UnnamedFile = { ...file, checksum: { algorithm, value } };
  return (await site.knownAs(unknown)) ?? { unknown };
}

/** An index in the best compression that is there, against the hash that names it. */
async function* stanzasOf(site: Site, series: Series, index: PlannedIndex): AsyncGenerator<UpstreamStanza> {
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
  const file = { url, sizeBytes, checksum: { algorithm: "sha256", value: sha256 } } as const;
  const bytes = indexBytes(site, file, sizeBytes);
  const limits = {
    maxBytes: Math.min(plain?.sizeBytes ?? MOST_INDEX_BYTES, MOST_INDEX_BYTES),
    maxRatio: MOST_RATIO,
    where: url,
  };
  yield* readPackages(decompressStream(candidate.compression, bytes, limits), { where: url, index });
}

function isFlat(series: string): boolean {
  return series === "." || series.startsWith("./") || series.endsWith("/");
}

/** A flat repository names no suite in its paths: its Release does, or it is called stable. */
function flatSuite(release: ParsedRelease): string {
  const named = fieldOf(release.fields, "Suite") ?? fieldOf(release.fields, "Codename") ?? "";
  return DIST_NAME.test(named) ? named : "stable";
}
