import { spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream, existsSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { openUpstream, type UpstreamSite } from "./upstream-site.ts";

export type ListingStyle = "nginx" | "apache" | "bare";

export type DirSite = UpstreamSite & {
  /** With a slash at its end. */
  readonly url: string;
  /** `METHOD path` of each request since the last call. */
  asked(): string[];
  /** Answers in place of a file or page, by decoded path without the slash before it. */
  readonly faults: Map<string, (request: IncomingMessage, response: ServerResponse) => void>;
};

/** Long enough ago that what a listing shows of it is final. */
export const LONG_AGO = new Date("2025-03-04T05:06:07Z");

export function put(folder: string, path: string, bytes: string | Uint8Array, at: Date = LONG_AGO): void {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes);
  utimesSync(file, at, at);
}

/** A folder as a web server lists it: with dates and sizes as nginx and Apache write them, or with names alone. */
export async function serveDir(folder: string, style: ListingStyle): Promise<DirSite> {
  const faults: DirSite["faults"] = new Map();
  let asked: string[] = [];
  const site = await openUpstream((request, response) => {
    const path = decodeURIComponent((request.url ?? "/").slice(1));
    asked.push(`${request.method} ${path}`);
    const fault = faults.get(path);
    if (fault) return fault(request, response);
    const file = join(folder, path);
    if (path.includes("..") || !existsSync(file)) return void response.writeHead(404).end("none\n");
    if (statSync(file).isDirectory()) return sendListing(folder, path, style, response);
    const { size, mtime } = statSync(file);
    const seconds = Math.floor(mtime.getTime() / 1000);
    const headers = {
      "content-length": String(size),
      "last-modified": new Date(seconds * 1000).toUTCString(),
      etag: `"${seconds.toString(16)}-${size.toString(16)}"`,
    };
    if (request.headers["if-none-match"] === headers.etag) response.writeHead(304, headers).end();
    else if (request.method === "HEAD") response.writeHead(200, headers).end();
    else createReadStream(file).pipe(response.writeHead(200, headers));
  });
  return {
    ...site,
    url: `${site.origin}/`,
    faults,
    asked() {
      const before = asked;
      asked = [];
      return before;
    },
  };
}

function sendListing(folder: string, path: string, style: ListingStyle, response: ServerResponse): void {
  if (path !== "" && !path.endsWith("/")) return void response.writeHead(301, { location: `/${path}/` }).end();
  const rows = readdirSync(join(folder, path)).map((name) => {
    const file = join(folder, path, name);
    const stat = existsSync(file) ? statSync(file) : { isDirectory: () => false, mtime: LONG_AGO, size: 7 };
    const isDirectory = stat.isDirectory();
    const href = encodeURIComponent(name) + (isDirectory ? "/" : "");
    return row(style, href, isDirectory, stat.mtime.toISOString(), stat.size);
  });
  const page = `<html><head><title>Index of /${path}</title></head><body><h1>Index of /${path}</h1>`;
  response
    .writeHead(200, { "content-type": "text/html" })
    .end(`${page}<hr><pre><a href="../">../</a>\n${rows.join("\n")}\n</pre></body></html>`);
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function row(style: ListingStyle, href: string, isDirectory: boolean, iso: string, size: number): string {
  const [year, month, day] = iso.slice(0, 10).split("-");
  const minute = iso.slice(11, 16);
  const link = `<a href="${href}">a name</a>`;
  if (style === "bare") return `<li>${link}</li>`;
  if (style === "nginx") {
    return `${link}          ${day}-${MONTHS[Number(month) - 1]}-${year} ${minute}      ${isDirectory ? "-" : size}`;
  }
  const rounded = size < 1024 ? String(size) : `${(size / 1024).toFixed(1)}K`;
  return `<tr><td>${link}</td><td align="right">${year}-${month}-${day} ${minute}  </td><td align="right">${isDirectory ? "  - " : rounded}</td></tr>`;
}

/** The same by the real `python3 -m http.server`; ended with its test. `asked` as of a DirSite. */
export async function servePython(folder: string): Promise<{ readonly url: string; asked(): string[] }> {
  const server = spawn("python3", ["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"], { cwd: folder });
  onTestFinished(() => void server.kill());
  let log = "";
  server.stderr.on("data", (chunk) => {
    log += chunk;
  });
  const [line] = await once(server.stdout, "data");
  return {
    url: `${/http:\/\/[^/]+\//.exec(String(line))?.[0]}`,
    asked() {
      const lines = [...log.matchAll(/"(GET|HEAD) \/(\S*) HTTP/g)];
      log = "";
      return lines.map(([, method, path = ""]) => `${method} ${decodeURIComponent(path)}`);
    },
  };
}
