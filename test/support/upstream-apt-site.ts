import { execFileSync } from "node:child_process";
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type AptSite = {
  readonly url: string;
  readonly folder: string;
  /** The paths asked for since the last call, in order. */
  asked(): string[];
  add(filename: string, bytes: Uint8Array): void;
  remove(filename: string): void;
  /** Writes Packages and Release anew, as apt-ftparchive makes them. */
  index(): void;
  /** Answers in place of the file, by path. */
  readonly faults: Map<string, { status: number; body?: string | Buffer; times?: number }>;
  close(): Promise<void>;
};

/** Somebody else's apt repository, made by apt-ftparchive and served over HTTP. */
export async function startAptSite(): Promise<AptSite> {
  const folder = mkdtempSync(join(tmpdir(), "packhouse-site-"));
  mkdirSync(join(folder, "pool"));
  mkdirSync(join(folder, "dists/stable/main/binary-amd64"), { recursive: true });
  let asked: string[] = [];
  const faults: AptSite["faults"] = new Map();
  const server = createServer((request, response) => {
    const path = decodeURIComponent((request.url ?? "/").slice(1));
    asked.push(path);
    const fault = faults.get(path);
    if (fault) {
      if (fault.times !== undefined && --fault.times <= 0) faults.delete(path);
      response.writeHead(fault.status).end(fault.body ?? "");
      return;
    }
    const file = join(folder, path);
    if (path.includes("..") || !existsSync(file) || !statSync(file).isFile()) {
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
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    folder,
    faults,
    asked() {
      const before = asked;
      asked = [];
      return before;
    },
    add: (filename, bytes) => writeFileSync(join(folder, "pool", filename), bytes),
    remove: (filename) => rmSync(join(folder, "pool", filename)),
    index() {
      const run = (command: string) => execFileSync("sh", ["-ec", command], { cwd: folder });
      const indexes = join(folder, "dists/stable/main/binary-amd64");
      for (const name of readdirSync(indexes)) rmSync(join(indexes, name));
      run("apt-ftparchive packages pool > dists/stable/main/binary-amd64/Packages");
      run("gzip -9nk dists/stable/main/binary-amd64/Packages && xz -k dists/stable/main/binary-amd64/Packages");
      rmSync(join(folder, "dists/stable/Release"), { force: true });
      run(
        "apt-ftparchive -o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Components=main -o APT::FTPArchive::Release::Architectures=amd64 release dists/stable > Release.new && mv Release.new dists/stable/Release",
      );
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
