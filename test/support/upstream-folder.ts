import { createReadStream, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type FolderSite = {
  readonly url: string;
  readonly folder: string;
  /** The paths asked for since the last call, in order. */
  asked(): string[];
  /** Answers in place of the file, by path. */
  readonly faults: Map<string, { status: number; body?: string | Buffer; times?: number }>;
  /** Told of each request before it is answered; true where it has answered itself. May be replaced. */
  meanwhile: (path: string, request: IncomingMessage, response: ServerResponse) => boolean;
  close(): Promise<void>;
};

/** A folder served over HTTP, as a plain web server does, with its ETags. */
export async function serveFolder(folder = mkdtempSync(join(tmpdir(), "packhouse-site-"))): Promise<FolderSite> {
  let asked: string[] = [];
  const faults: FolderSite["faults"] = new Map();
  const server = createServer((request, response) => {
    const path = decodeURIComponent((request.url ?? "/").slice(1));
    asked.push(path);
    if (site.meanwhile(path, request, response)) return;
    const fault = faults.get(path);
    if (fault) {
      if (fault.times !== undefined && --fault.times <= 0) faults.delete(path);
      response.writeHead(fault.status).end(fault.body ?? "");
    } else serveFile(join(folder, path), request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const site: FolderSite = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    folder,
    faults,
    meanwhile: () => false,
    asked() {
      const before = asked;
      asked = [];
      return before;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return site;
}

function serveFile(file: string, request: IncomingMessage, response: ServerResponse): void {
  if (file.includes("..") || !existsSync(file) || !statSync(file).isFile()) {
    response.writeHead(404).end("none\n");
    return;
  }
  const { size, mtime } = statSync(file);
  const headers = {
    "content-length": String(size),
    "last-modified": mtime.toUTCString(),
    etag: `"${mtime.getTime()}"`,
  };
  if (request.headers["if-none-match"] === headers.etag) response.writeHead(304, headers).end();
  else createReadStream(file).pipe(response.writeHead(200, headers));
}
