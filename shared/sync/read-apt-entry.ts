import type { UpstreamFile, UpstreamStanza } from "../apt/index-packages.ts";
import { rewriteBinaryStanza, rewriteSourceStanza } from "../apt/index-rewrite.ts";
import { parseSha256 } from "../blob.ts";
import { AppError } from "../error.ts";
import type { FileRef } from "../tree/entry.ts";
import { type AptPlace, aptKey, PACKAGES, SOURCE, SOURCES } from "../tree/layout.ts";
import type { Found, UnnamedFile } from "./found.ts";
import { type Site, urlOf } from "./site.ts";

/** A file of a stanza with where it lies. */
type Placed = { readonly file: FileRef; readonly url: string };

/** What a stanza of `Packages` comes to. */
export async function* binaryOf(site: Site, place: AptPlace, stanza: UpstreamStanza): AsyncGenerator<Found> {
  const [listed] = stanza.files;
  if (!listed) throw refuse(stanza, "has no file");
  const known = await placedOf(site, stanza, listed);
  if ("unknown" in known) return yield known;
  const { file, url } = known;
  const { name, sha256, sizeBytes } = file;
  const ours = { filename: `pool/${sha256}/${name}`, sizeBytes, sha256 };
  const text = rewriteBinaryStanza(stanza.stanza, ours, stanza.fields);
  yield {
    entry: {
      key: aptKey(place, stanza.architecture, stanza.name, stanza.version),
      files: [file],
      chunks: { [PACKAGES]: text },
    },
    urls: [url],
  };
}

/** What a stanza of `Sources` comes to: an entry when all of its files are known, else those that are not. */
export async function* sourceOf(site: Site, place: AptPlace, stanza: UpstreamStanza): AsyncGenerator<Found> {
  const known: Placed[] = [];
  for (const listed of stanza.files) {
    const one = await placedOf(site, stanza, listed);
    if ("unknown" in one) yield one;
    else known.push(one);
  }
  if (known.length < stanza.files.length) return;
  const dsc = known.find(({ file }) => file.name.endsWith(".dsc"));
  if (!dsc) throw refuse(stanza, "lists no .dsc");
  // It names the package among our own, so it is the entry's first file; the index keeps its order.
  const ordered = [dsc, ...known.filter((one) => one !== dsc)];
  const ours = { directory: `source/${dsc.file.sha256}`, files: known.map(({ file }) => file) };
  const text = rewriteSourceStanza(stanza.stanza, ours, stanza.fields);
  yield {
    entry: {
      key: aptKey(place, SOURCE, stanza.name, stanza.version),
      files: ordered.map(({ file }) => file),
      chunks: { [SOURCES]: text },
    },
    urls: ordered.map(({ url }) => url),
  };
}

/** What a file is: by its SHA-256 where the index has it, else by what it turned out to be when it was read. */
async function placedOf(
  site: Site,
  stanza: UpstreamStanza,
  { path, sizeBytes, checksums }: UpstreamFile,
): Promise<Placed | { readonly unknown: UnnamedFile }> {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const url = urlOf(site, path);
  const { sha256, sha512, sha1, md5 } = checksums;
  if (sha256 !== undefined) return { file: { name, sha256: parseSha256(sha256), sizeBytes }, url };
  const [algorithm, value] = sha512
    ? (["sha512", sha512] as const)
    : sha1
      ? (["sha1", sha1] as const)
      : (["md5", md5] as const);
  if (value === undefined) throw refuse(stanza, "has no checksum in its index");
  const unknown: UnnamedFile = { name, url, sizeBytes, checksum: { algorithm, value } };
  const taken = await site.knownAs(unknown);
  return taken ? { file: { name, ...taken }, url } : { unknown };
}

function refuse({ name, version, line }: UpstreamStanza, what: string): AppError {
  return new AppError("unprocessable", `${name} ${version} (line ${line}) ${what}`);
}
