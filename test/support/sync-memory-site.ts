import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import type { Fetcher } from "../../shared/upstream/fetch.ts";
import { UpstreamError } from "../../shared/upstream/fetch-error.ts";

export type SiteFiles = ReadonlyMap<string, Buffer>;

/** An upstream that answers from memory; `filesFor` is asked with each path, and may have others each time. */
export function fetcherOver(origin: string, filesFor: (path: string) => SiteFiles): Fetcher {
  return {
    async get(url, want) {
      const path = decodeURIComponent(url.slice(origin.length + 1));
      const bytes = filesFor(path).get(path);
      if (!bytes) throw new UpstreamError("status", { url, expected: "200", got: "404 Not Found", status: 404 });
      const etag = `"${createHash("md5").update(bytes).digest("hex")}"`;
      if (want.etag === etag) return { status: 304 };
      return {
        status: 200,
        finalUrl: url,
        headers: {},
        etag,
        lastModified: undefined,
        sizeBytes: bytes.length,
        part: undefined,
        body: (async function* () {
          yield bytes;
        })(),
        whole: async () => bytes,
        cancel: () => {},
      };
    },
    sleep: async () => {},
    close: () => {},
  };
}

/** An apt repository of packages (whatever their bytes are), and a translation of what they are. */
export function aptFilesOf(packages: Readonly<Record<string, string>>, sum: "SHA256" | "MD5sum" = "SHA256"): SiteFiles {
  const files = new Map<string, Buffer>();
  const stanzas = Object.entries(packages).map(([name, text]) => {
    const bytes = Buffer.from(text);
    files.set(`pool/${name}.deb`, bytes);
    const hash = createHash(sum === "SHA256" ? "sha256" : "md5")
      .update(bytes)
      .digest("hex");
    const fields = `Package: ${name}\nVersion: 1\nArchitecture: amd64\n`;
    return `${fields}Filename: pool/${name}.deb\nSize: ${bytes.length}\n${sum}: ${hash}\n`;
  });
  const listed: [string, Buffer][] = [
    ["main/binary-amd64/Packages.gz", gzipSync(stanzas.join("\n"))],
    ["main/i18n/Translation-en", Buffer.from(Object.keys(packages).join("\n"))],
  ];
  const lines = listed.map(([path, bytes]) => {
    files.set(`dists/stable/${path}`, bytes);
    return ` ${createHash("sha256").update(bytes).digest("hex")} ${bytes.length} ${path}\n`;
  });
  const release = `Suite: stable\nArchitectures: amd64\nComponents: main\nSHA256:\n${lines.join("")}`;
  files.set("dists/stable/Release", Buffer.from(release));
  return files;
}
