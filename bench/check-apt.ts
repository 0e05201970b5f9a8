import { execFileSync } from "node:child_process";

/** What only an index of ours, or only one of theirs, says of where a file lies and what it hashes to. */
const PLACED = new Set(["filename", "md5sum", "sha1", "sha512"]);
const MOST_BYTES = 1024 ** 3;

/**
 * Throws unless published stanzas say, field by field and in whatever order, what apt-ftparchive says of the .debs in `pool/` of a
 * folder: of each the same, of no other.
 */
export function expectAsFtparchive(published: readonly string[], folder: string): void {
  const theirs = execFileSync("apt-ftparchive", ["packages", "pool"], {
    cwd: folder,
    encoding: "utf8",
    maxBuffer: MOST_BYTES,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const difference = stanzaDifference(
    published,
    theirs.split("\n\n").filter((stanza) => stanza.trim() !== ""),
  );
  if (difference !== undefined) throw new Error(`wrong result: ${difference}`);
}

/** In what published stanzas differ from expected ones, the first that does; undefined where they say the same. */
export function stanzaDifference(published: readonly string[], expected: readonly string[]): string | undefined {
  const found = new Map(published.map((stanza) => [idOf(stanza), stanza]));
  for (const stanza of expected) {
    const id = idOf(stanza);
    const ours = found.get(id);
    if (ours === undefined) return `${id} is not published`;
    found.delete(id);
    const [own, other] = [fieldsOf(ours), fieldsOf(stanza)];
    const field = [...new Set([...own.keys(), ...other.keys()])].find((name) => own.get(name) !== other.get(name));
    if (field !== undefined) {
      return `${id} has ${field} ${JSON.stringify(own.get(field))}, apt-ftparchive says ${JSON.stringify(other.get(field))}`;
    }
  }
  const [more] = found.keys();
  return more === undefined ? undefined : `${more} is published, and is none of those`;
}

function idOf(stanza: string): string {
  const fields = fieldsOf(stanza);
  return ["package", "version", "architecture"].map((name) => fields.get(name)).join(" ");
}

function fieldsOf(stanza: string): Map<string, string> {
  const fields = stanza.split(/\n(?![ \t])/).map((field): [string, string] => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
  });
  return new Map(fields.filter(([name]) => name !== "" && !PLACED.has(name)));
}
