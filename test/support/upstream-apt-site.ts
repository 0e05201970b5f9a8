import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildSource, type SourceSpec } from "./upstream-apt-source.ts";
import { type FolderSite, serveFolder } from "./upstream-folder.ts";

export type AptSite = FolderSite & {
  add(filename: string, bytes: Uint8Array): void;
  /** Puts a source package made by dpkg-source into the pool; answers the names of its files. */
  addSource(source: SourceSpec): string[];
  remove(filename: string): void;
  /** A file of the suite that is no index, such as `main/i18n/Translation-en`; the next `index` lists it. */
  write(path: string, content: string | Uint8Array): void;
  /** Writes Packages, Sources and Release anew, as apt-ftparchive makes them. */
  index(options?: IndexOptions): void;
};

export type IndexOptions = {
  /** Copies under their hashes, which stay when there are newer ones. */
  readonly byHash?: boolean;
  /** A flat repository: indexes and Release in this folder, `.` for the root. */
  readonly flat?: string;
  /** What is done to each index before it is packed and listed. */
  readonly edit?: (index: string) => void;
};

/** Somebody else's apt repository, made by apt-ftparchive and served over HTTP. */
export async function startAptSite(): Promise<AptSite> {
  const site = await serveFolder();
  const { folder } = site;
  mkdirSync(join(folder, "pool"));
  // Whoever holds the site sets `meanwhile` on this object, which its server asks.
  return Object.assign(site, {
    add: (filename: string, bytes: Uint8Array) => writeFileSync(join(folder, "pool", filename), bytes),
    addSource: (source: SourceSpec) => buildSource(join(folder, "pool"), source),
    remove: (filename: string) => rmSync(join(folder, "pool", filename)),
    write(path: string, content: string | Uint8Array) {
      const file = join(folder, "dists/stable", path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
    },
    index: (options: IndexOptions = {}) => writeIndexes(folder, options),
  });
}

function writeIndexes(folder: string, { byHash = false, flat, edit = () => {} }: IndexOptions): void {
  const run = (command: string) => execFileSync("sh", ["-ec", command], { cwd: folder, stdio: "pipe" }).toString();
  const root = flat ?? "dists/stable";
  const indexes = {
    packages: flat === undefined ? `${root}/main/binary-amd64/Packages` : `${root}/Packages`,
    sources: flat === undefined ? `${root}/main/source/Sources` : `${root}/Sources`,
  };
  for (const [kind, index] of Object.entries(indexes)) {
    const text = run(`apt-ftparchive ${kind} pool`);
    if (kind === "sources" && text === "") continue;
    mkdirSync(dirname(join(folder, index)), { recursive: true });
    run(`rm -f ${index} ${index}.gz ${index}.xz`);
    writeFileSync(join(folder, index), text);
    edit(join(folder, index));
    run(`gzip -9nk ${index} && xz -k ${index}`);
  }
  rmSync(join(folder, root, "Release"), { force: true });
  const fields = { Suite: "stable", Components: "main", Architectures: "amd64", ...(byHash ? HASHED : {}) };
  const options = Object.entries(fields).map(([name, value]) => `-o APT::FTPArchive::Release::${name}=${value}`);
  const release = run(`apt-ftparchive ${options.join(" ")} release ${root}`);
  // What lies under hashes is listed by nobody.
  writeFileSync(join(folder, root, "Release"), release.replace(/^ .*\/by-hash\/.*\n/gm, ""));
  if (byHash) copyByHash(join(folder, root));
}

const HASHED = { "Acquire-By-Hash": "yes" };

function copyByHash(root: string): void {
  const [, list = ""] = /^SHA256:\n((?: .*\n)*)/m.exec(readFileSync(join(root, "Release"), "utf8")) ?? [];
  for (const line of list.split("\n").filter(Boolean)) {
    const [sha256 = "", , path = ""] = line.trim().split(/\s+/);
    const hashed = join(root, dirname(path), "by-hash/SHA256", sha256);
    mkdirSync(dirname(hashed), { recursive: true });
    if (!existsSync(hashed)) cpSync(join(root, path), hashed);
  }
}
