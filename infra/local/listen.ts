import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { AppError } from "../../shared/error.ts";

export type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export type Listening = {
  readonly port: number;
  /** Without a slash at its end. */
  readonly url: string;
  /** Takes no new connection, and ends those that are open still after a moment. */
  close(): Promise<void>;
};

/** An upload of gigabytes over a slow line is one request. */
const LONGEST_REQUEST_MS = 6 * 3_600_000;
const CLOSING_MS = 3_000;

/** Serves HTTP on an address; port 0 means any free one. @throws AppError in one line that says why it cannot */
export async function listen(host: string, port: number, answer: Answer): Promise<Listening> {
  const server: Server = createServer((request, response) => {
    void Promise.resolve(answer(request, response)).catch((error: unknown) => {
      console.error(error);
      if (response.headersSent) response.destroy();
      else response.writeHead(500, { "content-type": "text/plain" }).end("something went wrong on our side\n");
    });
  });
  server.requestTimeout = LONGEST_REQUEST_MS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(host, port, error)));
    server.listen(port, host, resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  return {
    port: bound,
    url: `http://${hostIn(host)}:${bound}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), CLOSING_MS).unref();
      }),
  };
}

function listenError(host: string, port: number, error: NodeJS.ErrnoException): Error {
  const why: Record<string, string> = {
    EADDRINUSE: "another program uses it; choose another with PACKHOUSE_PORT",
    EACCES: "permission denied; choose one above 1023 with PACKHOUSE_PORT",
    EADDRNOTAVAIL: "this machine does not have that address; see PACKHOUSE_HOST",
    ENOTFOUND: "no such host; see PACKHOUSE_HOST",
  };
  return new AppError("unavailable", `cannot listen on ${host}:${port}: ${why[error.code ?? ""] ?? error.message}`);
}

/** How this machine reaches what listens there. */
function hostIn(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
