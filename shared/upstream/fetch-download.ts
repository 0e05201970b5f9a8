import { createHash, type Hash, hash } from "node:crypto";
import type { Fetched, Fetcher } from "./fetch.ts";
import { tooLarge } from "./fetch-body.ts";
import { UpstreamError, UpstreamFault } from "./fetch-error.ts";
import { isWorthWaiting, pauseMs, type Retries } from "./fetch-retry.ts";
import { withoutCredentials } from "./fetch-url.ts";

export type Checksum = {
  readonly algorithm: "md5" | "sha1" | "sha224" | "sha256" | "sha384" | "sha512";
  /** In hex. */
  readonly value: string;
};

export type Download = Omit<Retries, "tries" | "sleep"> & {
  readonly maxBytes: number;
  readonly sizeBytes?: number | undefined;
  readonly checksum?: Checksum | undefined;
  readonly accept?: string | undefined;
  /** How many faults in a row end it; those a megabyte apart are not in a row. */
  readonly tries?: number | undefined;
};

type Progress = {
  readonly algorithm: string;
  readonly hash: Hash;
  gotBytes: number;
  /** No range has been refused yet. */
  resumable: boolean;
  /** What a range counts on: that the file is still the one whose first bytes came. */
  validator: string | undefined;
};

const TRIES = 5;
const PROGRESS_BYTES = 1024 * 1024;

/**
 * The bytes of a file that may be long. A fault in their midst is not seen: the rest is asked for, and where an upstream
 * gives only the whole, it is read again up to there and must be the same. **The bytes are right only when the iteration
 * has ended without an error**: size and checksum are known then.
 * @throws UpstreamError for a wrong size or checksum too, UpstreamFault when `tries` were in vain
 */
export function download(fetcher: Fetcher, url: string, want: Download): AsyncGenerator<Uint8Array, void, void> {
  return pieces(fetcher, url, want, 0);
}

/** `before`: how many faults there were already. */
async function* pieces(
  fetcher: Fetcher,
  url: string,
  want: Download,
  before: number,
): AsyncGenerator<Uint8Array, void, void> {
  const at = withoutCredentials(url);
  const { sizeBytes, checksum, tries = TRIES } = want;
  const algorithm = checksum?.algorithm ?? "sha256";
  const progress: Progress = {
    algorithm,
    hash: createHash(algorithm),
    gotBytes: 0,
    resumable: true,
    validator: undefined,
  };
  let faults = before;
  let faultAt = 0;
  for (;;) {
    try {
      for await (const chunk of attempt(fetcher, url, want, progress)) {
        progress.hash.update(chunk);
        progress.gotBytes += chunk.length;
        if (sizeBytes !== undefined && progress.gotBytes > sizeBytes) throw wrongSize(at, sizeBytes, "more");
        if (progress.gotBytes > want.maxBytes) throw tooLarge(at, want.maxBytes, "more");
        yield chunk;
      }
      break;
    } catch (error) {
      const { gotBytes } = progress;
      // All came; only the connection ended badly.
      if (error instanceof UpstreamFault && gotBytes > 0 && gotBytes === sizeBytes) break;
      if (isRangeRefused(error) && progress.resumable && gotBytes > 0) {
        progress.resumable = false;
        continue;
      }
      faults = gotBytes - faultAt >= PROGRESS_BYTES ? 1 : faults + 1;
      faultAt = gotBytes;
      if (!isWorthWaiting(error, want) || faults >= tries) throw error;
      const pause = pauseMs(error, faults, want);
      want.onFault?.(error, pause);
      await fetcher.sleep(pause, want.signal);
    }
  }
  const { gotBytes, hash } = progress;
  if (sizeBytes !== undefined && gotBytes !== sizeBytes) throw wrongSize(at, sizeBytes, `${gotBytes}`);
  const got = hash.digest("hex");
  if (checksum && got !== checksum.value.toLowerCase())
    throw wrongChecksum(at, checksum, `${got} (of ${gotBytes} bytes)`);
}

/**
 * The same of a file that is small enough for memory, at once: in one request that is read as it comes where all goes well, and as
 * above where it does not.
 */
export async function downloadWhole(fetcher: Fetcher, url: string, want: Download): Promise<Buffer> {
  const { tries = TRIES } = want;
  try {
    return await wholeAtOnce(fetcher, url, want);
  } catch (error) {
    if (!isWorthWaiting(error, want) || tries <= 1) throw error;
    const pause = pauseMs(error, 1, want);
    want.onFault?.(error, pause);
    await fetcher.sleep(pause, want.signal);
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of pieces(fetcher, url, want, 1)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function wholeAtOnce(fetcher: Fetcher, url: string, want: Download): Promise<Buffer> {
  const { maxBytes, sizeBytes, checksum, signal, accept } = want;
  const fetched = await fetcher.get(url, { maxBytes, signal, accept, encoded: checksum !== undefined });
  if (fetched.status === 304) throw new Error("not modified, though nobody asked");
  const at = withoutCredentials(url);
  if (sizeBytes !== undefined && fetched.sizeBytes !== undefined && fetched.sizeBytes !== sizeBytes) {
    fetched.cancel();
    throw wrongSize(at, sizeBytes, `${fetched.sizeBytes}`);
  }
  const bytes = await fetched.whole();
  if (sizeBytes !== undefined && bytes.length !== sizeBytes)
    throw wrongSize(at, sizeBytes, bytes.length > sizeBytes ? "more" : `${bytes.length}`);
  const got = checksum && hash(checksum.algorithm, bytes);
  if (checksum && got !== checksum.value.toLowerCase())
    throw wrongChecksum(at, checksum, `${got} (of ${bytes.length} bytes)`);
  return bytes;
}

/** One request for what is missing. */
async function* attempt(
  fetcher: Fetcher,
  url: string,
  want: Download,
  progress: Progress,
): AsyncGenerator<Uint8Array, void, void> {
  const { gotBytes: start, validator } = progress;
  // With neither validator nor checksum, nothing would tell that the rest is the rest of another file.
  const ranged = start > 0 && progress.resumable && (validator !== undefined || want.checksum !== undefined);
  const fetched = await fetcher.get(url, {
    // A server that knows no ranges sends the whole again.
    maxBytes: want.maxBytes,
    ...(ranged && { range: { start }, ifRange: validator }),
    signal: want.signal,
    accept: want.accept,
    encoded: want.checksum !== undefined,
  });
  if (fetched.status === 304) throw new Error("not modified, though nobody asked");
  const at = withoutCredentials(url);
  const wrong = wrongWith(fetched, at, want, progress);
  if (wrong) {
    fetched.cancel();
    throw wrong;
  }
  if (fetched.part) {
    yield* fetched.body;
    const { totalBytes } = fetched.part;
    // RFC 9110 15.3.7: a server may give less than was asked for.
    if (totalBytes !== undefined && progress.gotBytes < totalBytes)
      throw new UpstreamFault({ url: at, expected: `${totalBytes} bytes`, got: `the end after ${progress.gotBytes}` });
    return;
  }
  progress.validator = validatorOf(fetched);
  yield* start === 0 ? fetched.body : after(progress, fetched.body, at);
}

/** What the head of an answer already shows to be wrong with its body. */
function wrongWith(
  fetched: Fetched,
  at: string,
  { sizeBytes }: Download,
  { validator }: Progress,
): UpstreamError | undefined {
  const { part } = fetched;
  const now = validatorOf(fetched);
  // A server that does not know If-Range would have two files joined.
  if (part && validator !== undefined && now !== undefined && now !== validator)
    return new UpstreamError("range", { url: at, expected: `a part of ${validator}`, got: `a part of ${now}` });
  const total = part ? part.totalBytes : fetched.sizeBytes;
  if (sizeBytes !== undefined && total !== undefined && total !== sizeBytes)
    return wrongSize(at, sizeBytes, `${total}`);
  return undefined;
}

/** Of a whole that is read again, what follows the bytes that came before: those it must begin with. */
async function* after(
  { algorithm, hash, gotBytes }: Progress,
  body: AsyncIterable<Uint8Array>,
  at: string,
): AsyncGenerator<Uint8Array, void, void> {
  const before = hash.copy().digest("hex");
  const again = createHash(algorithm);
  let left = gotBytes;
  for await (const chunk of body) {
    if (left === 0) {
      yield chunk;
      continue;
    }
    const known = chunk.subarray(0, left);
    again.update(known);
    left -= known.length;
    if (left > 0) continue;
    if (again.digest("hex") !== before) throw changed(at, gotBytes, "others");
    if (known.length < chunk.length) yield chunk.subarray(known.length);
  }
  if (left > 0) throw changed(at, gotBytes, `only ${gotBytes - left}`);
}

/** RFC 9110 13.1.5: a strong ETag, or a date so long before the answer's that no second change can share it. */
function validatorOf({ etag, lastModified, headers }: Fetched): string | undefined {
  if (etag !== undefined) return etag.startsWith("W/") ? undefined : etag;
  if (lastModified === undefined) return undefined;
  const ageMs = Date.parse(headers.date ?? "") - Date.parse(lastModified);
  return ageMs >= 60_000 ? lastModified : undefined;
}

function isRangeRefused(error: unknown): boolean {
  return error instanceof UpstreamError && (error.reason === "range" || error.status === 416);
}

function wrongSize(at: string, sizeBytes: number, got: string): UpstreamError {
  return new UpstreamError("size", { url: at, expected: `${sizeBytes} bytes`, got });
}

function wrongChecksum(at: string, { algorithm, value }: Checksum, got: string): UpstreamError {
  return new UpstreamError("checksum", { url: at, expected: `${algorithm} ${value}`, got });
}

function changed(at: string, gotBytes: number, got: string): UpstreamError {
  return new UpstreamError("changed", { url: at, expected: `the ${gotBytes} bytes that came first again`, got });
}
