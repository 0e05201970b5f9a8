import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { createSecureContext, getCACertificates, TLSSocket } from "node:tls";
import { UpstreamError, UpstreamFault } from "./fetch-error.ts";

// Over node:http and not fetch or undici: an agent's `lookup` is the very place where a name becomes the address that is
// connected to, bodies come as they were sent (fetch decodes Content-Encoding, which breaks the hash of a .gz), and it is
// no dependency more.

/** The head of an answer; its body is a stream that somebody must read or destroy. */
export type Answer = IncomingMessage;

export type ConnectionOptions = {
  /** Why no connection may go to an address; undefined where it may. */
  readonly forbidden: (address: string) => string | undefined;
  readonly resolve: (hostname: string) => Promise<readonly string[]>;
  /** For the name, the connection and TLS together. */
  readonly connectTimeoutMs: number;
  /** From the request to the first line of the answer. */
  readonly idleTimeoutMs: number;
  readonly maxPerHost: number;
  /** PEM certificates of authorities that are trusted beside the usual ones. */
  readonly ca: readonly string[];
};

export type Ask = {
  readonly headers: Readonly<Record<string, string>>;
  /** How errors name the URL. */
  readonly at: string;
  readonly signal: AbortSignal | undefined;
  /** HEAD in place of GET. */
  readonly head?: boolean | undefined;
};

export type Connections = {
  /**
   * Sends a GET and resolves with the head of whatever answer comes. Aborting the signal also ends the answer's body.
   * @throws UpstreamError for a forbidden address or a bad certificate, UpstreamFault for all else that goes wrong
   */
  request(url: URL, ask: Ask): Promise<Answer>;
  close(): void;
};

/** A server that keeps connections says so for 5 s or more (Apache's default); one that is about to close is not used. */
const KEEP_FREE_MS = 4_000;

/** Node's 250 ms give up on an address across an ocean, and then on the host if its other addresses lead nowhere. */
const ATTEMPT_MS = 2_000;

export function createConnections(options: ConnectionOptions): Connections {
  const { connectTimeoutMs, idleTimeoutMs } = options;
  const trust = options.ca.length
    ? { secureContext: createSecureContext({ ca: [...getCACertificates("default"), ...options.ca] }) }
    : {};
  const kept = { keepAlive: true, maxFreeSockets: options.maxPerHost, timeout: KEEP_FREE_MS };
  const agents = {
    "http:": { kept: new HttpAgent(kept), once: new HttpAgent() },
    "https:": { kept: new HttpsAgent({ ...kept, ...trust }), once: new HttpsAgent(trust) },
  };

  function send(url: URL, ask: Ask, use: "kept" | "once"): Promise<Answer> {
    const secure = url.protocol === "https:";
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const request = (secure ? httpsRequest : httpRequest)({
      hostname: hostOf(url),
      port: url.port,
      path: url.pathname + url.search,
      method: ask.head ? "HEAD" : "GET",
      headers: ask.headers,
      agent: agents[secure ? "https:" : "http:"][use],
      // The name is resolved once, here, for a new connection; one that is kept went to an address that passed.
      lookup: lookupFor(ask.at, options),
      // No option of Node's environment turns it off.
      rejectUnauthorized: true,
      // Read by net.connect, though RequestOptions do not name it.
      ...{ autoSelectFamilyAttemptTimeout: ATTEMPT_MS },
    });

    const late = (expected: string, ms: number) =>
      setTimeout(() => {
        request.destroy(new UpstreamFault({ url: ask.at, expected: `${expected} within ${ms} ms`, got: "none" }));
      }, ms);
    let timer = late("a connection", connectTimeoutMs);
    const abort = () => request.destroy(errorOf(ask.signal?.reason));
    let isSettled = false;
    const settle = () => {
      isSettled = true;
      clearTimeout(timer);
      ask.signal?.removeEventListener("abort", abort);
    };
    ask.signal?.addEventListener("abort", abort, { once: true });

    request.once("socket", (socket) => {
      const connected = () => {
        clearTimeout(timer);
        timer = late("an answer", idleTimeoutMs);
      };
      if (request.reusedSocket) connected();
      else socket.once(secure ? "secureConnect" : "connect", connected);
    });
    request.once("response", (response) => {
      settle();
      endWith(ask.signal, response);
      resolve(response);
    });
    request.on("error", (error) => {
      settle();
      // A server may close a kept connection just as it is used again (after a function slept, it surely has): no fault.
      const stale = request.reusedSocket && use === "kept" && isReset(error);
      reject(ask.signal?.aborted ? ask.signal.reason : stale ? STALE : failureOf(error, request.socket, ask.at));
    });
    // An answer that is none (101, for another protocol) ends it without an error.
    request.once("close", () => {
      if (isSettled) return;
      settle();
      reject(new UpstreamFault({ url: ask.at, expected: "an answer", got: "the end" }));
    });
    request.end();
    return promise;
  }

  return {
    async request(url, ask) {
      ask.signal?.throwIfAborted();
      refuseLiteral(hostOf(url), ask.at, options);
      return await send(url, ask, "kept").catch((error: unknown) => {
        if (error === STALE) return send(url, ask, "once");
        throw error;
      });
    },
    close() {
      for (const { kept, once } of Object.values(agents)) {
        kept.destroy();
        once.destroy();
      }
    },
  };
}

const STALE = Symbol("the connection that was kept is closed");

function isReset(error: Error): boolean {
  return "code" in error && (error.code === "ECONNRESET" || error.code === "EPIPE");
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

/** An address in the URL never meets `lookup`. RFC 6761 6.3: localhost is the loopback, whatever a resolver says. */
function refuseLiteral(host: string, at: string, { forbidden }: ConnectionOptions): void {
  const address = isIP(host) ? host : /(^|\.)localhost$/.test(host) ? "127.0.0.1" : undefined;
  const kind = address === undefined ? undefined : forbidden(address);
  if (kind !== undefined)
    throw new UpstreamError("address", { url: at, expected: "a public address", got: `${host} (${kind})` });
}

/**
 * Resolves a name to those of its addresses that may be connected to. Others beside them are passed over and not held
 * against the host: one in two networks has addresses of both, and nothing is won by naming an address that is not used.
 * An error tells only of what kind they are: names and addresses of an inner network are no stranger's business.
 */
function lookupFor(at: string, { forbidden, resolve }: ConnectionOptions): LookupFunction {
  const allowed = async (hostname: string) => {
    const judged = (await resolve(hostname)).map((address) => ({ address, kind: forbidden(address) }));
    if (judged.length === 0) throw new UpstreamFault({ url: at, expected: "an address of the host", got: "none" });
    const addresses = judged.filter(({ kind }) => kind === undefined).map(({ address }) => address);
    if (addresses.length > 0) return addresses.map((address) => ({ address, family: isIP(address) }));
    const kinds = [...new Set(judged.map(({ kind }) => kind))].join(" and ");
    throw new UpstreamError("address", { url: at, expected: "a public address", got: `one that is ${kinds}` });
  };
  return (hostname, { all }, callback) => {
    allowed(hostname).then(
      (addresses) => {
        const [first] = addresses;
        if (all || !first) callback(null, addresses);
        else callback(null, first.address, first.family);
      },
      (error: Error) => callback(error, ""),
    );
  };
}

function endWith(signal: AbortSignal | undefined, response: Answer): void {
  const abort = () => response.destroy(errorOf(signal?.reason));
  signal?.addEventListener("abort", abort, { once: true });
  response.once("close", () => signal?.removeEventListener("abort", abort));
  // A body that breaks off while nobody reads it is told to the next who does.
  response.on("error", () => {});
}

function failureOf(error: Error, socket: unknown, at: string): Error {
  if (error instanceof UpstreamError || error instanceof UpstreamFault) return error;
  const got = error instanceof AggregateError ? error.errors.map(String).join("; ") : error.message;
  if (socket instanceof TLSSocket && socket.authorizationError)
    return new UpstreamError("certificate", { url: at, expected: "a certificate that proves the host", got });
  return new UpstreamFault({ url: at, expected: "an answer", got }, { cause: error });
}

function errorOf(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
