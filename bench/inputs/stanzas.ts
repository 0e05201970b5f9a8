import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { sha256Of } from "../../shared/blob.ts";
import { BENCH } from "./folder.ts";
import { generateStanzas } from "./generate.ts";

/** A package as its control file tells it, without what only an index says. */
export type Stanza = {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Each line with its line feed. */
  readonly control: string;
};

export type Source = {
  /** Tells one set of inputs from another in the names of kept folders. */
  readonly id: string;
  readonly what: string;
  /** So many, the same each time; beyond those that there are, more of them under other names. */
  take(count: number): Stanza[];
};

const DEBIAN = join(BENCH, "../../shared/data/debian-bookworm-main-amd64.Packages.xz");
const INDEX_FIELDS = /^(?:Filename|Size|MD5sum|SHA1|SHA256|SHA512|Description-md5)$/i;
const MOST_BYTES = 1024 * 1024 * 1024;

/** Any Packages file, packed or not; without one Debian's where it is at hand, else a generated one with its distribution of sizes. */
export function openSource(file: string | undefined): Source {
  const path = file ?? (existsSync(DEBIAN) ? DEBIAN : undefined);
  if (path === undefined) return sourceOf("generated", "generated", generateStanzas);
  const bytes = readFileSync(path);
  let stanzas: Stanza[] | undefined;
  return sourceOf(sha256Of(bytes).slice(0, 8), path, () => {
    stanzas ??= parseStanzas(unpack(path, bytes));
    return stanzas;
  });
}

function sourceOf(id: string, what: string, all: (count: number) => Stanza[]): Source {
  return {
    id,
    what,
    take(count) {
      const known = all(count);
      if (known.length === 0) throw new Error(`${what} lists no package`);
      const taken = known.slice(0, count);
      for (let round = 2; taken.length < count; round += 1) {
        taken.push(...known.slice(0, count - taken.length).map((stanza) => renamed(stanza, `${stanza.name}-${round}`)));
      }
      return taken;
    },
  };
}

function renamed(stanza: Stanza, name: string): Stanza {
  return { ...stanza, name, control: stanza.control.replace(/^Package:.*$/m, `Package: ${name}`) };
}

function unpack(path: string, bytes: Buffer): string {
  if (path.endsWith(".gz")) return gunzipSync(bytes).toString("utf8");
  if (!path.endsWith(".xz")) return bytes.toString("utf8");
  return execFileSync("xz", ["-dc"], { input: bytes, maxBuffer: MOST_BYTES }).toString("utf8");
}

function parseStanzas(text: string): Stanza[] {
  const seen = new Set<string>();
  const stanzas: Stanza[] = [];
  for (const block of text.split(/\n\n+/)) {
    const fields = block.split(/\n(?![ \t])/).filter((field) => field !== "");
    const value = (name: string) =>
      fields
        .find((field) => field.toLowerCase().startsWith(`${name}:`))
        ?.slice(name.length + 1)
        .trim();
    const [name, version, architecture] = [value("package"), value("version"), value("architecture")];
    if (name === undefined || version === undefined || architecture === undefined) continue;
    const key = `${name}_${version}_${architecture}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const kept = fields.filter((field) => !INDEX_FIELDS.test(field.slice(0, field.indexOf(":"))));
    stanzas.push({ name, version, architecture, control: kept.map((field) => `${field}\n`).join("") });
  }
  return stanzas;
}
