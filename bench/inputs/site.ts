import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { join, normalize } from "node:path";
import { z } from "zod";

/** A folder served over HTTP as a plain web server does, conditional requests too. */
export type Site = { readonly url: string /** Requests since the last look. */; taken(): string[]; close(): void };

export async function openSite(folder: string): Promise<Site> {
  let requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const path = join(folder, normalize(decodeURIComponent(new URL(request.url ?? "/", "http://site").pathname)));
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found?.isFile()) return void response.writeHead(404).end();
    const etag = `"${found.size.toString(16)}-${found.mtimeMs.toString(16)}"`;
    if (request.headers["if-none-match"] === etag) return void response.writeHead(304, { etag }).end();
    response.writeHead(200, { etag, "content-length": found.size, "last-modified": found.mtime.toUTCString() });
    if (request.method === "HEAD") response.end();
    else createReadStream(path).pipe(response);
  });
  server.keepAliveTimeout = 30_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = z.object({ port: z.number() }).parse(server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    taken() {
      const last = requests;
      requests = [];
      return last;
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
