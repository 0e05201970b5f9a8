import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

/** What comes instead of an answer: other bytes, or nothing at all. Undefined lets it pass. */
export type Tamper = (path: string, body: Buffer) => Buffer | "missing" | undefined;

/** An HTTP proxy between a client and Packhouse: it sees each request, and can lie. */
export type ClientProxy = {
  readonly url: string;
  /** The paths asked for, with the status of the answer, in their order. */
  readonly seen: string[];
  tamper: Tamper | undefined;
  close(): Promise<void>;
};

export async function openProxy(): Promise<ClientProxy> {
  const server = createServer((asked, response) => {
    void forward(proxy, asked, response).catch((error: unknown) => {
      response.writeHead(502, { "content-type": "text/plain" }).end(`${error}\n`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy: ClientProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: [],
    tamper: undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return proxy;
}

async function forward(proxy: ClientProxy, asked: IncomingMessage, response: ServerResponse): Promise<void> {
  // A client of a proxy asks for the whole URL.
  const url = new URL(asked.url ?? "");
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const { method, headers } = asked;
    request(url, { method, headers, agent: false }, resolve).on("error", reject).end();
  });
  const body = await buffer(answer);
  const changed = answer.statusCode === 200 ? proxy.tamper?.(url.pathname, body) : undefined;
  const status = changed === "missing" ? 404 : (answer.statusCode ?? 502);
  const sent = changed === "missing" ? Buffer.from("nothing\n") : (changed ?? body);
  proxy.seen.push(`${status} ${url.pathname}`);
  const { "transfer-encoding": _, connection: __, ...headers } = answer.headers;
  const length = asked.method === "HEAD" || status === 304 ? {} : { "content-length": String(sent.length) };
  response.writeHead(status, { ...headers, ...length }).end(sent);
}

/** One bit of the byte in the middle. */
export function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const middle = Math.floor(copy.length / 2);
  copy.writeUInt8(copy.readUInt8(middle) ^ 1, middle);
  return copy;
}
