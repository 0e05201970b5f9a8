import { fieldOf } from "../apt/control.ts";
import { readPackages, type UpstreamStanza } from "../apt/index-packages.ts";
import { type IndexCandidate, type PlannedIndex, planIndexes } from "../apt/index-plan.ts";
import { rewriteBinaryStanza } from "../apt/index-rewrite.ts";
import { type ParsedRelease, parseRelease } from "../apt/release.ts";
import { parseSha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { decompressStream } from "../decompress-stream.ts";
import { AppError } from "../error.ts";
import { DIST_NAME } from "../repo/accepts.ts";
import { cleartextOf, verifyCleartext } from "../signing/verify.ts";
import type { Entry } from "../tree/entry.ts";
import { type AptPlace, aptKey, PACKAGES } from "../tree/layout.ts";
import { download } from "../upstream/fetch-download.ts";
import { withCredentialsOf } from "./batch.ts";
import { globsOf } from "./globs.ts";
import type { UpstreamRead } from "./read.ts";
import {
  checkDetached,
  isAbsent,
  lastState,
  MOST_INDEX_BYTES,
  MOST_RATIO,
  named,
  type Pointer,
  pointerAt,
  type Site,
  type State,
  saveState,
  unless404,
  urlOf,
} from "./site.ts";
import { addressOf, type Upstream } from "./upstream.ts";

/**
 * Everything an apt upstream lists in the series asked for: each Release verified where a key is given, each index against the
 * Release that names it. "unchanged" when no Release changed since the last commit: then one request a series was made.
 */
export async function readApt(ctx: Context, upstream: Upstream): Promise<UpstreamRead | "unchanged"> {
  if (upstream.series === undefined) {
    throw new AppError(
      "unprocessable",
      'an apt upstream needs `series`, such as ["bookworm"], or ["./"] where it is flat',
    );
  }
  const site: Site = { ctx, upstream, address: await addressOf(ctx, upstream) };
  const before = await lastState(site);
  const series: Series[] = [];
  for (const name of upstream.series) series.push(await readRelease(site, name, before));
  if (before && series.every((one) => one.isOld)) return "unchanged";
  const entries = new Map<string, Entry>();
  for (const one of series) await collect(site, one, entries);
  return { entries: [...entries.values()], state: await saveState(site, series) };
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

async function collect(site: Site, series: Series, entries: Map<string, Entry>): Promise<void> {
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
      if (wanted(stanza.name)) addEntry(site, place, stanza, entries);
    }
  }
}

function addEntry(site: Site, place: AptPlace, stanza: UpstreamStanza, entries: Map<string, Entry>): void {
  const [file] = stanza.files;
  const hash = file?.checksums.sha256;
  if (!file || hash === undefined) {
    throw new AppError(
      "unprocessable",
      `${stanza.name} ${stanza.version} has no SHA256 in its index (line ${stanza.line})`,
    );
  }
  const sha256 = parseSha256(hash);
  const name = file.path.split("/").at(-1) ?? file.path;
  const { sizeBytes } = file;
  const key = aptKey(place, stanza.architecture, stanza.name, stanza.version);
  const held = entries.get(key);
  if (held?.files[0]?.sha256 === sha256) return;
  const entry: Entry = {
    // An upstream that has both keeps both.
    key: held ? `${key}${encodeURIComponent(`#${sha256}`)}` : key,
    files: [{ name, sha256, sizeBytes, url: urlOf(site, file.path) }],
    chunks: {
      [PACKAGES]: rewriteBinaryStanza(stanza.stanza, { filename: `pool/${sha256}/${name}`, sizeBytes, sha256 }),
    },
  };
  entries.set(entry.key, entry);
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
  const bytes = download(site.ctx.fetcher, withCredentialsOf(site.address, url), {
    maxBytes: candidate.sizeBytes,
    sizeBytes: candidate.sizeBytes,
    checksum: { algorithm: "sha256", value: candidate.sha256 },
  });
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
