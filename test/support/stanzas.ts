import { createHash } from "node:crypto";

const WORDS =
  "library for reading and writing files of many kinds shared development headers common data tools server client python3 perl documentation support small fast simple network graphics sound text database".split(
    " ",
  );

/** Stanzas much like those of a real `Packages`: so many, from a number on. */
export function stanzas(count: number, from = 0): Buffer {
  return Buffer.from(Array.from({ length: count }, (_, index) => stanza(from + index)).join(""));
}

function stanza(number: number): string {
  const hash = createHash("sha256").update(`package ${number}`).digest();
  const pick = (at: number, of: readonly string[]) => of[(hash[at] ?? 0) % of.length] ?? "";
  const name = `lib${pick(0, WORDS)}-${pick(1, WORDS)}${number}`;
  const version = `${(hash[2] ?? 0) % 9}.${(hash[3] ?? 0) % 40}.${(hash[4] ?? 0) % 12}-${(hash[5] ?? 0) % 5}`;
  const depends = [6, 7, 8].map((at) => `lib${pick(at, WORDS)} (>= ${(hash[at + 3] ?? 0) % 7}.0)`).join(", ");
  const sentence = Array.from({ length: 6 + ((hash[12] ?? 0) % 9) }, (_, at) => pick(13 + at, WORDS)).join(" ");
  return `Package: ${name}
Source: ${pick(0, WORDS)}-src
Version: ${version}
Installed-Size: ${hash.readUInt16LE(28)}
Maintainer: ${pick(30, WORDS)} Maintainers <${pick(30, WORDS)}@lists.example.org>
Architecture: ${(hash[31] ?? 0) % 3 === 0 ? "all" : "amd64"}
Depends: libc6 (>= 2.${(hash[9] ?? 0) % 36}), ${depends}
Description: ${sentence}
Section: ${pick(11, ["libs", "devel", "python", "perl", "doc"])}
Priority: optional
Filename: pool/${hash.toString("hex")}/${name}_${version}_amd64.deb
Size: ${hash.readUInt32LE(20)}
SHA256: ${hash.toString("hex")}

`;
}
