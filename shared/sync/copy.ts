import pMap from "p-map";
import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { UpstreamError, UpstreamFault } from "../upstream/fetch-error.ts";
import type { WantedFile } from "./batch.ts";
import { heldOf } from "./held.ts";
import { rememberLearned } from "./learned.ts";
import { fetchSmall, isSmall, type Offered, takeFile, takeMissing } from "./take.ts";
import { addressOf, type Upstream } from "./upstream.ts";

/** Each is a connection at either end. */
const LARGE_AT_ONCE = 4;
/**
 * Small files are stored in groups: so many requests at once wait for the store together, while the files of the next group come.
 * They are in memory meanwhile, 16 MB of them at most.
 */
const GROUP_FILES = 32;
const GROUPS_AT_ONCE = 2;

/** From where the files of one upstream come. */
type From = {
  readonly ctx: Context;
  readonly upstream: Upstream;
  /** With credentials. */
  readonly address: string;
  readonly mirrors: readonly string[];
};

/**
 * Copies what is not ours yet, and remembers what turned out to be the SHA-256 of files that came without. Of `mirrors`, what the
 * first does not give is asked of the others. What came before one that fails is stored.
 */
export async function copyFiles(
  ctx: Context,
  upstream: Upstream,
  { files, mirrors }: { files: readonly WantedFile[]; mirrors: readonly string[] },
): Promise<{ packages: number; bytes: number }> {
  const from = { ctx, upstream, address: await addressOf(ctx, upstream), mirrors };
  const held = await heldOf(
    ctx,
    files.flatMap((file) => hashOf(file) ?? []),
  );
  const sizeOf = (file: WantedFile) => ("sha256" in file ? held.get(file.sha256) : undefined);
  const missing = files.filter((file) => sizeOf(file) === undefined);
  const large = missing.filter((file) => !isSmall(file));
  const small = missing.filter(isSmall);
  const groups = Array.from({ length: Math.ceil(small.length / GROUP_FILES) }, (_, index) =>
    small.slice(index * GROUP_FILES, (index + 1) * GROUP_FILES),
  );
  const copied = [
    ...(await pMap(large, (file) => copyLarge(from, file), { concurrency: LARGE_AT_ONCE })),
    ...(await pMap(groups, (group) => copySmall(from, group), { concurrency: GROUPS_AT_ONCE })),
  ];
  const there = files.map((file) => sizeOf(file) ?? 0);
  return { packages: files.length, bytes: [...copied, ...there].reduce((sum, size) => sum + size, 0) };
}

async function copyLarge(from: From, file: WantedFile): Promise<number> {
  const { ctx, upstream, address } = from;
  const known = hashOf(file) !== undefined;
  const taken = await fromAny(from, file, (one) => (known ? takeMissing : takeFile)(ctx, address, one));
  if ("name" in file) await rememberLearned(ctx, upstream, file, taken);
  return taken.sizeBytes;
}

async function copySmall(from: From, group: readonly WantedFile[]): Promise<number> {
  const { ctx, upstream, address } = from;
  const fetched = await Promise.allSettled(
    group.map(async (file) => ({ file, bytes: await fromAny(from, file, (one) => fetchSmall(ctx, address, one)) })),
  );
  const came = fetched.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  await Promise.all(
    came.map(async ({ file, bytes }) => {
      const sha256 = await ctx.objects.putBlob(bytes, hashOf(file));
      if ("name" in file) await rememberLearned(ctx, upstream, file, { sha256, sizeBytes: bytes.length });
    }),
  );
  for (const one of fetched) if (one.status === "rejected") throw one.reason;
  return came.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

/** Where the index tells it. */
function hashOf(file: WantedFile): Sha256 | undefined {
  return "sha256" in file ? file.sha256 : undefined;
}

function offered(file: WantedFile): Offered {
  return "sha256" in file ? { ...file, checksum: { algorithm: "sha256", value: file.sha256 } } : file;
}

async function fromAny<T>(
  { mirrors: [first, ...others] }: From,
  wanted: WantedFile,
  get: (file: Offered) => Promise<T>,
): Promise<T> {
  const file = offered(wanted);
  try {
    return await get(file);
  } catch (error) {
    if (!(error instanceof UpstreamError) && !(error instanceof UpstreamFault)) throw error;
    if (first === undefined || !file.url.startsWith(first)) throw error;
    for (const other of others) {
      const url = `${other}${file.url.slice(first.length)}`;
      const got = await get({ ...file, url }).catch(() => undefined);
      if (got !== undefined) return got;
    }
    throw error;
  }
}
