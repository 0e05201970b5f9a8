import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttp, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { createFetcher, type Fetcher, type FetcherOptions } from "../../shared/upstream/fetch.ts";

/** An upstream's web server on this machine, and what it saw. Gone at the end of its test. */
export type UpstreamSite = {
  readonly origin: string;
  readonly port: number;
  /** Every request, as `GET /path`, with its headers. */
  readonly requests: { readonly line: string; readonly headers: IncomingMessage["headers"] }[];
  /** How many connections were made, and how many there are. */
  readonly connections: { made: number; open: number; most: number };
};

export type Certificate = { readonly key: string; readonly cert: string };

export type SiteOptions = { readonly address?: string; readonly port?: number; readonly certificate?: Certificate };

export async function openUpstream(
  answer: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>,
  { address = "127.0.0.1", port = 0, certificate }: SiteOptions = {},
): Promise<UpstreamSite> {
  const requests: UpstreamSite["requests"] = [];
  const listener: RequestListener = (request, response) => {
    requests.push({ line: `${request.method} ${request.url}`, headers: request.headers });
    void answer(request, response);
  };
  const server = certificate ? createHttps({ ...certificate }, listener) : createHttp(listener);
  return { ...(await listen(server, address, port, certificate ? "https" : "http")), requests };
}

/** A server that speaks what it likes: bytes in, bytes out. */
export async function openRaw(answer: (socket: Socket, nth: number) => void): Promise<Omit<UpstreamSite, "requests">> {
  let nth = 0;
  const server = createTcp((socket) => {
    nth++;
    answer(socket, nth);
  });
  return listen(server, "127.0.0.1", 0, "http");
}

async function listen(
  server: Server,
  address: string,
  wanted: number,
  scheme: string,
): Promise<Omit<UpstreamSite, "requests">> {
  const connections = { made: 0, open: 0, most: 0 };
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    connections.made++;
    connections.open++;
    connections.most = Math.max(connections.most, connections.open);
    socket.on("error", () => {});
    socket.once("close", () => {
      sockets.delete(socket);
      connections.open--;
    });
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(wanted, address, resolve);
  await promise;
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((done) => server.close(done));
  });
  const { port } = server.address() as AddressInfo;
  return { origin: `${scheme}://${address}:${port}`, port, connections };
}

/** A fetcher for upstreams on this machine, closed at the end of its test. */
export function openFetcher(options: Partial<FetcherOptions> = {}): Fetcher {
  const fetcher = createFetcher({
    allowPrivate: true,
    connectTimeoutMs: 10_000,
    idleTimeoutMs: 10_000,
    userAgent: "Packhouse/test",
    ...options,
  });
  onTestFinished(() => fetcher.close());
  return fetcher;
}

export async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString("latin1");
}

/** What was thrown; fails when nothing was. */
export async function thrownBy(run: Promise<unknown> | (() => Promise<unknown>)): Promise<unknown> {
  const missing = Symbol();
  const thrown = await (typeof run === "function" ? run() : run).then(
    () => missing,
    (error: unknown) => error,
  );
  if (thrown === missing) throw new Error("nothing was thrown");
  return thrown;
}

/** A certificate that vouches for itself, for these DNS names. */
export function certificateFor(...names: string[]): Certificate {
  const folder = mkdtempSync(join(tmpdir(), "packhouse-certificate-"));
  try {
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const san = names.map((name) => `DNS:${name}`).join(",");
    const made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert];
    const says = ["-days", "2", "-subj", `/CN=${names[0]}`, "-addext", `subjectAltName=${san}`];
    execFileSync("openssl", ["req", "-x509", ...made, ...says], { stdio: "pipe" });
    return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
