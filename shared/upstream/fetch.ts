import { lookup } from "node:dns/promises";
import { setTimeout as sleepFor } from "node:timers/promises";
import { forbiddenKindOf } from "./address.ts";
import { bodyOf, discard, lengthOf, tooLarge, wholeOf } from "./fetch-body.ts";
import { type Answer, createConnections } from "./fetch-connection.ts";
import { isPassing, retryAfterOf, UpstreamError, UpstreamFault } from "./fetch-error.ts";
import { type Asked, headersFor, type Part, partOf, refuseEncoding, type Validators } from "./fetch-headers.ts";
import { createSlots } from "./fetch-slots.ts";
import { shown, type Target, targetOf } from "./fetch-url.ts";

export type FetcherOptions = {
  /** Upstreams may lie at addresses that are not public: in the own network, on this machine. */
  readonly allowPrivate: boolean;
  readonly maxPerHost?: number | undefined;
  /** For the name, the connection and TLS together. */
  readonly connectTimeoutMs: number;
  /** The longest silence, before the answer and within it. */
  readonly idleTimeoutMs: number;
  readonly userAgent: string;
  /** PEM certificates of authorities that are trusted beside the usual ones. */
  readonly ca?: readonly string[] | undefined;
  readonly resolve?: ((hostname: string) => Promise<readonly string[]>) | undefined;
  /** What kind of address may not be connected to, in place of what `allowPrivate` says. */
  readonly forbidden?: ((address: string) => string | undefined) | undefined;
  readonly now?: (() => Date) | undefined;
  readonly sleep?: Sleep | undefined;
};

export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>;

export type Want = Asked & {
  /** Of the body. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
  /** A hash will tell whether the bytes are right: no Content-Encoding is refused. */
  readonly encoded?: boolean | undefined;
  /** A HEAD in place of the GET: `sizeBytes` is that of the body which does not come. */
  readonly head?: boolean | undefined;
};

export type NotModified = { readonly status: 304 };

export type Fetched = {
  readonly status: 200 | 206;
  /** After redirects, without credentials. */
  readonly finalUrl: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  /** Of the body, where the upstream tells it. */
  readonly sizeBytes: number | undefined;
  /** What of the whole the body is, of a 206. */
  readonly part: Part | undefined;
  /** To be read once, and to its end or its iterator's `return` (a `for await` sees to it); unread, it is to be cancelled. */
  readonly body: AsyncIterable<Uint8Array>;
  /** All of the body, in its place: for what is small enough for memory. */
  whole(): Promise<Buffer>;
  /** Ends a body that nobody will read; until then it counts among its host's connections. */
  cancel(): void;
};

/** The one way to an upstream. */
export type Fetcher = {
  /**
   * A GET, along up to five redirects.
   * @throws UpstreamError when the upstream, or its address, is wrong for good; UpstreamFault when it may go better later;
   * the signal's reason when it is aborted. The body throws the same.
   */
  get(url: string, want: Validators & Want): Promise<Fetched | NotModified>;
  readonly sleep: Sleep;
  close(): void;
};

const MAX_REDIRECTS = 5;
const REDIRECTS = [301, 302, 303, 307, 308];
const MAX_PER_HOST = 4;

async function resolveBySystem(hostname: string): Promise<string[]> {
  return (await lookup(hostname, { all: true, order: "verbatim" })).map(({ address }) => address);
}

export const sleepUntilAborted: Sleep = async (ms, signal) => {
  await sleepFor(ms, undefined, { signal }).catch((error: unknown) => {
    throw signal?.aborted ? signal.reason : error;
  });
};

export function createFetcher(options: FetcherOptions): Fetcher {
  const { idleTimeoutMs, maxPerHost = MAX_PER_HOST, now = () => new Date() } = options;
  const slots = createSlots(maxPerHost);
  const connections = createConnections({
    connectTimeoutMs: options.connectTimeoutMs,
    idleTimeoutMs,
    maxPerHost,
    ca: options.ca ?? [],
    resolve: options.resolve ?? resolveBySystem,
    forbidden: options.forbidden ?? (options.allowPrivate ? () => undefined : forbiddenKindOf),
  });

  /** One request, counted among its host's until its body has ended. */
  async function ask(target: Target, want: Want, at: string): Promise<Answer> {
    const { url, authorization } = target;
    const release = await slots.acquire(url.hostname, want.signal);
    try {
      const headers = {
        ...headersFor(want, options.userAgent),
        ...(authorization && { Authorization: authorization }),
      };
      const answer = await connections.request(url, { headers, at, signal: want.signal, head: want.head });
      // By then the agent has the connection back, for the next in the row to use.
      answer.once("close", release);
      return answer;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** What an answer that is no success means. */
  function failureOf(answer: Answer, want: Want, at: string): Error {
    const status = answer.statusCode ?? 0;
    const got = `${status} ${answer.statusMessage ?? ""}`.trim().slice(0, 100);
    const failure = { url: at, expected: want.range ? "206 or 200" : "200", got, status };
    if (!isPassing(status)) return new UpstreamError("status", failure);
    return new UpstreamFault(failure, { retryAfterMs: retryAfterOf(answer.headers["retry-after"], now().getTime()) });
  }

  async function follow(first: Target, want: Want): Promise<{ answer: Answer; url: URL; at: string }> {
    let target = first;
    for (let redirects = 0; ; redirects++) {
      const at = shown(target.url, first.url);
      const answer = await ask(target, want, at);
      const location = REDIRECTS.includes(answer.statusCode ?? 0) ? answer.headers.location : undefined;
      if (location === undefined) return { answer, url: target.url, at };
      await discard(answer);
      if (redirects === MAX_REDIRECTS)
        throw new UpstreamError("redirect", {
          url: at,
          expected: `at most ${MAX_REDIRECTS} redirects`,
          got: "another",
        });
      target = redirected(target, location, first, at);
    }
  }

  return {
    async get(text, want) {
      const first = targetOf(text);
      const { answer, url, at } = await follow(first, want);
      try {
        const { statusCode: status } = answer;
        const conditional = want.etag !== undefined || want.lastModified !== undefined;
        if (status === 304 && conditional) {
          await discard(answer);
          return { status };
        }
        if (status !== 200 && !(status === 206 && want.range)) {
          const failure = failureOf(answer, want, at);
          await discard(answer);
          throw failure;
        }
        if (!want.encoded) refuseEncoding(answer, [first.url.pathname, url.pathname], at);
        const part = status === 206 && want.range ? partOf(answer, want.range, at) : undefined;
        const sizeBytes = lengthOf(answer);
        if (sizeBytes !== undefined && sizeBytes > want.maxBytes) throw tooLarge(at, want.maxBytes, `${sizeBytes}`);
        const limits = { maxBytes: want.maxBytes, idleTimeoutMs, at, signal: want.signal };
        return {
          status,
          finalUrl: url.href,
          get headers() {
            return headersOf(answer);
          },
          etag: answer.headers.etag,
          lastModified: answer.headers["last-modified"],
          sizeBytes,
          part,
          body: bodyOf(answer, limits),
          whole: () => wholeOf(answer, limits),
          cancel: () => void answer.destroy(),
        };
      } catch (error) {
        answer.destroy();
        throw error;
      }
    },
    sleep: options.sleep ?? sleepUntilAborted,
    close: () => connections.close(),
  };
}

/**
 * Where a redirect leads. Credentials stay with the origin they were given for, and are not taken up again on the way back
 * to it: it was a stranger who chose that path. Those that a redirect itself brings are nobody's, and left out.
 */
function redirected(from: Target, location: string, first: Target, at: string): Target {
  // Node reads headers as Latin-1; servers write UTF-8 there, as browsers know.
  const bytes = Buffer.from(location, "latin1");
  const utf8 = bytes.toString("utf8");
  const text = utf8.includes("\ufffd") ? location : utf8;
  if (!URL.canParse(text, from.url.href))
    throw new UpstreamError("redirect", { url: at, expected: "a URL to be redirected to", got: "no URL" });
  const absolute = new URL(text, from.url.href);
  const { url } = targetOf(absolute.href, shown(absolute, first.url));
  if (first.url.protocol === "https:" && url.protocol === "http:")
    throw new UpstreamError("scheme", { url: shown(url, first.url), expected: "https, as it began", got: "http" });
  return { url, authorization: url.origin === from.url.origin ? from.authorization : undefined };
}

function headersOf(answer: Answer): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(answer.headersDistinct).map(([name, values]) => [name, (values ?? []).join(", ")]),
  );
}
