import { z } from "zod";
import { jsonIn, type Sha256, sha256Of } from "../blob.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { verifyDetached } from "../signing/verify.ts";
import { fetchBytes, fetchIfChanged } from "../upstream/fetch-bytes.ts";
import { UpstreamError } from "../upstream/fetch-error.ts";
import { withRetries } from "../upstream/fetch-retry.ts";
import type { UnnamedFile, UpstreamRead } from "./found.ts";
import { learnedOf } from "./learned.ts";
import { type Offered, type Taken, takeFile, withCredentialsOf } from "./take.ts";
import { addressOf, type Upstream } from "./upstream.ts";

const MOST_POINTER_BYTES = 16 * 1024 * 1024;
const MOST_SIGNATURE_BYTES = 1024 * 1024;
const POINTER_TRIES = 4;
/** Of one index, unpacked; Debian's largest has 60 MB. */
export const MOST_INDEX_BYTES = 2 * 1024 * 1024 * 1024;
export const MOST_RATIO = 500;

/** An upstream at its address, credentials and all. */
export type Site = {
  readonly ctx: Context;
  readonly upstream: Upstream;
  readonly address: string;
  /** What a file without a SHA-256 turned out to be when it was read; undefined before. */
  readonly knownAs: (file: UnnamedFile) => Promise<Taken | undefined>;
};

/** @throws AppError `unprocessable` where the path, which may be any string, is no URL */
export async function siteOf(ctx: Context, upstream: Upstream): Promise<Site> {
  // "http://" and a path behind it would be taken for a host's name.
  if (!URL.canParse(upstream.path)) {
    throw new AppError(
      "unprocessable",
      `the path ${JSON.stringify(upstream.path)} is no URL, such as https://example.org/repo`,
    );
  }
  return { ctx, upstream, address: await addressOf(ctx, upstream), knownAs: learnedOf(ctx, upstream) };
}

/**
 * An index of the upstream: taken into our store first, so that whoever reads it again (after a death, in another order) fetches
 * nothing. Its bytes are those that the checksum names.
 */
export async function* indexBytes({ ctx, address }: Site, file: Offered, maxBytes: number): AsyncGenerator<Uint8Array> {
  const { sha256 } = await takeFile(ctx, address, file, maxBytes);
  yield* await ctx.objects.openBlob(sha256);
}

const State = z.object({
  /** Of what was asked for: other settings make another tree of the same upstream. */
  settings: z.string(),
  releases: z.array(
    z.object({ url: z.string(), sha256: z.string(), etag: z.string().optional(), lastModified: z.string().optional() }),
  ),
  /** Addresses that have the same files, where a list named several. */
  mirrors: z.array(z.string()).default([]),
});
export type State = z.infer<typeof State>;
type ReleaseState = State["releases"][number];

/** Where a path of the upstream lies; without credentials. */
export function urlOf({ upstream }: Site, path: string): string {
  const root = upstream.path.replace(/\/+$/, "");
  // As nearly all are.
  if (/^[A-Za-z0-9._~+:@=/-]*$/.test(path)) return `${root}/${path}`;
  const encoded = path
    .split("/")
    .map((part) => encodeURIComponent(part).replace(/%(2B|7E|3A|40|3D)/g, decodeURIComponent));
  return `${root}/${encoded.join("/")}`;
}

export function saveState(
  { ctx, upstream }: Site,
  { pointers, mirrors = [] }: Pick<UpstreamRead, "pointers" | "mirrors">,
): Promise<Sha256> {
  const releases = pointers.map((one) => one.state);
  const state: State = { settings: settingsOf(upstream), releases, mirrors: [...mirrors] };
  return ctx.objects.putBlob(Buffer.from(JSON.stringify(state)));
}

export async function readState(ctx: Context, sha256: Sha256): Promise<State> {
  return State.parse(jsonIn(await ctx.objects.getBlob(sha256)));
}

/** What the pointers were at the last commit; undefined where other settings would make another tree of them. */
export async function lastState({ ctx, upstream }: Site): Promise<State | undefined> {
  if (upstream.synced === undefined) return undefined;
  const state = await readState(ctx, upstream.synced);
  return state.settings === settingsOf(upstream) ? state : undefined;
}

/** Whether the files that name all others are not what they were when this sync read them. */
export async function hasMoved({ ctx, address }: Site, { releases }: Pick<State, "releases">): Promise<boolean> {
  // Where there is none (listing pages), it may have been any of its files.
  if (releases.length === 0) return true;
  for (const { url, sha256 } of releases) {
    const { bytes } = await fetchBytes(ctx.fetcher, withCredentialsOf(address, url), { maxBytes: MOST_POINTER_BYTES });
    if (sha256Of(bytes) !== sha256) return true;
  }
  return false;
}

/** Of all settings that make another tree of the same upstream. */
export function settingsOf(upstream: Upstream): Sha256 {
  const { path, series, components, architectures, key, policy, include, exclude, extras } = upstream;
  return sha256Of(JSON.stringify([path, series, components, architectures, key, policy, include, exclude, extras]));
}

function stateOf(
  url: string,
  fetched: { bytes: Uint8Array; etag: string | undefined; lastModified: string | undefined },
): ReleaseState {
  const { etag, lastModified } = fetched;
  return { url, sha256: sha256Of(fetched.bytes), ...(etag ? { etag } : {}), ...(lastModified ? { lastModified } : {}) };
}

/** The file that names all others (Release, repomd.xml), as it was read. */
export type Pointer = {
  readonly url: string;
  readonly state: ReleaseState;
  readonly isOld: boolean;
  /** Its text, verified; asked for only where something changed. */
  readonly text: () => Promise<string>;
};

/** A file that may not have changed since the last commit; then it costs one request. */
export async function pointerAt(
  { ctx, address }: Site,
  url: string,
  before: State | undefined,
  textOf: (bytes: Uint8Array, url: string) => Promise<string>,
): Promise<Pointer> {
  const old = before?.releases.find((one) => one.url === url);
  const want = { maxBytes: MOST_POINTER_BYTES };
  const asked = withCredentialsOf(address, url);
  const validators = { etag: old?.etag, lastModified: old?.lastModified };
  const fetched = await withRetries(() => fetchIfChanged(ctx.fetcher, asked, { ...want, ...validators }), {
    tries: POINTER_TRIES,
    sleep: ctx.fetcher.sleep,
  });
  if (fetched) {
    const text = await textOf(fetched.bytes, url);
    const state = stateOf(url, fetched);
    return { url, state, isOld: old?.sha256 === state.sha256, text: async () => text };
  }
  if (!old) throw new Error("not modified, though nobody asked");
  // Another series changed: then this one is read whole too.
  const again = () => fetchBytes(ctx.fetcher, asked, want);
  const text = async () =>
    textOf((await withRetries(again, { tries: POINTER_TRIES, sleep: ctx.fetcher.sleep })).bytes, url);
  return { url, state: old, isOld: true, text };
}

/** Where a key is given, the signature beside a file must be one of its. */
export async function checkDetached({ ctx, upstream, address }: Site, bytes: Uint8Array, url: string): Promise<void> {
  if (upstream.key === undefined) return;
  const want = { maxBytes: MOST_SIGNATURE_BYTES };
  const signature = await withRetries(() => fetchBytes(ctx.fetcher, withCredentialsOf(address, url), want), {
    tries: POINTER_TRIES,
    sleep: ctx.fetcher.sleep,
  });
  await verifyDetached(bytes, signature.bytes, upstream.key);
}

/** What is wrong with a file is told with its address. */
export async function named<T>(url: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof AppError) || error instanceof UpstreamError) throw error;
    throw new AppError(error.kind, `${url}: ${error.message}`, { ...error.details, url });
  }
}

export async function unless404<T>(fetch: () => Promise<T>): Promise<T | "absent"> {
  try {
    return await fetch();
  } catch (error) {
    if (isAbsent(error)) return "absent";
    throw error;
  }
}

export function isAbsent(error: unknown): boolean {
  return error instanceof UpstreamError && (error.status === 404 || error.status === 403 || error.status === 410);
}
