import { z } from "zod";
import { fieldOf } from "../apt/control.ts";
import { readPackages, type UpstreamStanza } from "../apt/index-packages.ts";
import { type IndexCandidate, type PlannedIndex, planIndexes } from "../apt/index-plan.ts";
import { rewriteBinaryStanza } from "../apt/index-rewrite.ts";
import { type ParsedRelease, parseRelease } from "../apt/release.ts";
import { parseSha256, type Sha256, sha256Of } from "../blob.ts";
import type { Context } from "../context.ts";
import { decompressStream } from "../decompress-stream.ts";
import { AppError } from "../error.ts";
import { DIST_NAME } from "../repo/accepts.ts";
import { cleartextOf, verifyCleartext, verifyDetached } from "../signing/verify.ts";
import type { Entry } from "../tree/entry.ts";
import { type AptPlace, aptKey, PACKAGES } from "../tree/layout.ts";
import { fetchBytes, fetchIfChanged } from "../upstream/fetch-bytes.ts";
import { download } from "../upstream/fetch-download.ts";
import { UpstreamError } from "../upstream/fetch-error.ts";
import { withCredentialsOf } from "./batch.ts";
import { globsOf } from "./globs.ts";
import type { UpstreamRead } from "./read.ts";
import { addressOf, type Upstream } from "./upstream.ts";

const MOST_RELEASE_BYTES = 16 * 1024 * 1024;
const MOST_SIGNATURE_BYTES = 1024 * 1024;
/** Of one index, unpacked; Debian's largest has 60 MB. */
const MOST_INDEX_BYTES = 512 * 1024 * 1024;
const MOST_RATIO = 500;

const State = z.object({
  /** Of what was asked for: other settings make another tree of the same upstream. */
  settings: z.string(),
  releases: z.array(
    z.object({ url: z.string(), sha256: z.string(), etag: z.string().optional(), lastModified: z.string().optional() }),
  ),
});
type State = z.infer<typeof State>;
type ReleaseState = State["releases"][number];

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
  const state: State = { settings: settingsOf(upstream), releases: series.map((one) => one.state) };
  if (before && series.every((one) => one.isOld)) return "unchanged";
  const entries = new Map<string, Entry>();
  for (const one of series) await collect(site, one, entries);
  return { entries: [...entries.values()], state: await ctx.objects.putBlob(Buffer.from(JSON.stringify(state))) };
}

type Site = { readonly ctx: Context; readonly upstream: Upstream; readonly address: string };

type Series = {
  readonly name: string;
  /** The folder of its Release, relative to the upstream; ends in a slash where it is not empty. */
  readonly folder: string;
  readonly url: string;
  readonly state: ReleaseState;
  readonly isOld: boolean;
  /** The text of the Release; asked for only where something changed. */
  readonly text: () => Promise<string>;
};

/** InRelease, or Release with its signature beside it where there is none. */
async function readRelease(site: Site, name: string, before: State | undefined): Promise<Series> {
  const folder = isFlat(name) ? name.replace(/^\.\/?/, "") : `dists/${name}/`;
  const inline = urlOf(site, `${folder}InRelease`);
  const signed = await unless404(() =>
    releaseAt(site, inline, before, (bytes, url) => named(url, () => signedText(site, bytes))),
  );
  const found =
    signed === "absent"
      ? await releaseAt(site, urlOf(site, `${folder}Release`), before, (bytes, url) =>
          named(url, () => detachedText(site, bytes, url)),
        )
      : signed;
  return { name, folder, ...found };
}

/** A Release file that may not have changed; its text is only read, and verified, where something has. */
async function releaseAt(
  { ctx, address }: Site,
  url: string,
  before: State | undefined,
  textOf: (bytes: Uint8Array, url: string) => Promise<string>,
): Promise<Pick<Series, "url" | "state" | "isOld" | "text">> {
  const old = before?.releases.find((one) => one.url === url);
  const want = { maxBytes: MOST_RELEASE_BYTES };
  const asked = withCredentialsOf(address, url);
  const fetched = await fetchIfChanged(ctx.fetcher, asked, {
    ...want,
    etag: old?.etag,
    lastModified: old?.lastModified,
  });
  if (fetched) {
    const text = await textOf(fetched.bytes, url);
    const state = stateOf(url, fetched);
    return { url, state, isOld: old?.sha256 === state.sha256, text: async () => text };
  }
  if (!old) throw new Error("not modified, though nobody asked");
  // Another series changed: then this one is read whole too.
  const text = async () => textOf((await fetchBytes(ctx.fetcher, asked, want)).bytes, url);
  return { url, state: old, isOld: true, text };
}

function signedText({ upstream }: Site, bytes: Uint8Array): Promise<string> {
  const signed = Buffer.from(bytes).toString("utf8");
  return upstream.key === undefined ? cleartextOf(signed) : verifyCleartext(signed, upstream.key);
}

async function detachedText({ ctx, upstream, address }: Site, bytes: Uint8Array, url: string): Promise<string> {
  if (upstream.key !== undefined) {
    const asked = withCredentialsOf(address, `${url}.gpg`);
    const signature = await fetchBytes(ctx.fetcher, asked, { maxBytes: MOST_SIGNATURE_BYTES });
    await verifyDetached(bytes, signature.bytes, upstream.key);
  }
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

/** Where a path of the upstream lies; without credentials. */
function urlOf({ upstream }: Site, path: string): string {
  const encoded = path
    .split("/")
    .map((part) => encodeURIComponent(part).replace(/%(2B|7E|3A|40|3D)/g, decodeURIComponent));
  return `${upstream.path.replace(/\/+$/, "")}/${encoded.join("/")}`;
}

function isFlat(series: string): boolean {
  return series === "." || series.startsWith("./") || series.endsWith("/");
}

/** A flat repository names no suite in its paths: its Release does, or it is called stable. */
function flatSuite(release: ParsedRelease): string {
  const named = fieldOf(release.fields, "Suite") ?? fieldOf(release.fields, "Codename") ?? "";
  return DIST_NAME.test(named) ? named : "stable";
}

function stateOf(
  url: string,
  fetched: { bytes: Uint8Array; etag: string | undefined; lastModified: string | undefined },
): ReleaseState {
  const { etag, lastModified } = fetched;
  return { url, sha256: sha256Of(fetched.bytes), ...(etag ? { etag } : {}), ...(lastModified ? { lastModified } : {}) };
}

async function lastState({ ctx, upstream }: Site): Promise<State | undefined> {
  if (upstream.synced === undefined) return undefined;
  const state = State.parse(JSON.parse(Buffer.from(await ctx.objects.getBlob(upstream.synced)).toString("utf8")));
  return state.settings === settingsOf(upstream) ? state : undefined;
}

function settingsOf({ path, series, components, architectures, key, policy, include, exclude }: Upstream): Sha256 {
  return sha256Of(JSON.stringify([path, series, components, architectures, key, policy, include, exclude]));
}

/** What is wrong with a file is told with its address. */
async function named<T>(url: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof AppError) || error instanceof UpstreamError) throw error;
    throw new AppError(error.kind, `${url}: ${error.message}`, { ...error.details, url });
  }
}

async function unless404<T>(fetch: () => Promise<T>): Promise<T | "absent"> {
  try {
    return await fetch();
  } catch (error) {
    if (isAbsent(error)) return "absent";
    throw error;
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof UpstreamError && (error.status === 404 || error.status === 403 || error.status === 410);
}
