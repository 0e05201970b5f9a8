import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { sha256Of } from "../../shared/blob.ts";
import { TYPE } from "../../shared/yum/header.ts";
import { buildRpm, numbers, type RpmSpec, type Sense, text, texts } from "../../test/support/rpm-builder.ts";
import { addedName } from "./added.ts";
import { keptFolder } from "./folder.ts";
import { sequence } from "./generate.ts";
import type { Source, Stanza } from "./stanzas.ts";

/** A cpio archive that holds nothing. */
const TRAILER = `070701${"0".repeat(8 * 4)}00000001${"0".repeat(8 * 6)}0000000b${"0".repeat(8)}TRAILER!!!\0\0\0\0`;
const PAYLOAD = gzipSync(Buffer.from(TRAILER));
const PAYLOAD_TAGS = [
  text(1124, "cpio"),
  text(1125, "gzip"),
  text(1126, "9"),
  texts(5092, [sha256Of(PAYLOAD)]),
  numbers(5093, [8]),
];
const LEAD_BYTES = 96;

/** Tags of the signature header: SHA-256 and SHA-1 of the main header, size and MD5 of it and the payload. */
function digestsOf(main: Buffer) {
  const hash = (algorithm: string) => createHash(algorithm);
  return [
    text(273, hash("sha256").update(main).digest("hex")),
    text(269, hash("sha1").update(main).digest("hex")),
    numbers(1000, [main.length + PAYLOAD.length]),
    { tag: 1004, type: TYPE.BIN, values: [hash("md5").update(main).update(PAYLOAD).digest()] },
  ];
}

/** A sound rpm (`rpm -K`) of one or two kilobytes: a real header, and a payload without files. */
export function rpmOf(spec: RpmSpec): Buffer {
  const whole = { ...spec, payload: PAYLOAD, tags: PAYLOAD_TAGS };
  // Digests are as long whatever they are: the first build tells where the header lies that they are of.
  const draft = buildRpm({ ...whole, signatureTags: digestsOf(Buffer.alloc(0)) });
  const tags = draft.readUInt32BE(LEAD_BYTES + 8);
  const signature = 16 + tags * 16 + draft.readUInt32BE(LEAD_BYTES + 12);
  const start = LEAD_BYTES + Math.ceil(signature / 8) * 8;
  return buildRpm({ ...whole, signatureTags: digestsOf(draft.subarray(start, draft.length - PAYLOAD.length)) });
}

const EQUAL = 8;
const AT_LEAST = 12;

function specOf({ name, version, architecture, control }: Stanza, random: () => number): RpmSpec {
  const [, epoch, upstream = "0", release = "1"] = /^(?:(\d+):)?(.*?)(?:-([^-]*))?$/.exec(version) ?? [];
  const rpmVersion = upstream.replaceAll("-", ".").replaceAll(":", ".");
  const field = (wanted: string) => new RegExp(`^${wanted}: (.*)$`, "m").exec(control)?.[1] ?? "";
  const requires = field("Depends")
    .split(", ")
    .flatMap((one): Sense[] => {
      const [, other, least] = /^([a-z0-9][a-z0-9+.-]+)(?: \(>= ([^)]+)\))?/.exec(one) ?? [];
      return other === undefined ? [] : [least ? [other, AT_LEAST, least.replace(/^\d+:/, "")] : [other]];
    });
  const folder = `/usr/share/doc/${name}/`;
  const files = ["changelog.gz", "copyright", "README", "NEWS", "TODO", "examples"].map((file) => ({
    path: folder + file,
  }));
  const modules = Array.from({ length: Math.floor(random() ** 3 * 40) }, (_, index) => ({
    path: `/usr/lib/${name}/module${index}.so`,
  }));
  return {
    name,
    ...(epoch === undefined ? {} : { epoch: Number(epoch) }),
    version: rpmVersion,
    release,
    arch: architecture === "all" ? "noarch" : "x86_64",
    summary: field("Description"),
    description: `${field("Description")}\n${field("Homepage")}`,
    provides: [[name, EQUAL, `${rpmVersion}-${release}`]],
    requires,
    files: [{ path: `/usr/bin/${name}`, mode: 0o100755 }, ...files.slice(0, 2 + Math.floor(random() * 4)), ...modules],
    changelogs: [{ author: `${field("Maintainer")} ${version}`, date: 1_700_000_000, text: "- New upstream release" }],
  };
}

/** A package that is in none of the inputs; each number is another one. */
export function newRpm(number: number): { name: string; filename: string; bytes: Buffer } {
  const name = addedName(number);
  const provides: Sense[] = [[name, EQUAL, "1.0-1"]];
  const files = [{ path: `/usr/bin/${name}`, mode: 0o100755 }];
  return { name, filename: `${name}-1.0-1.noarch.rpm`, bytes: rpmOf({ name, provides, files }) };
}

/** An rpm of each stanza, the same each time. */
export function* rpmsOf(stanzas: Iterable<Stanza>): Generator<{ spec: RpmSpec; bytes: Buffer }> {
  const random = sequence(1);
  for (const stanza of stanzas) {
    const spec = specOf(stanza, random);
    yield { spec, bytes: rpmOf(spec) };
  }
}

/** So many rpms in `packages/`, and the list of them in `list`: file name, SHA-256 and size a line. */
export async function rpmsFolder(source: Source, count: number): Promise<string> {
  return keptFolder(`rpms-${source.id}-${count}`, (folder) => {
    const list: string[] = [];
    mkdirSync(join(folder, "packages"));
    for (const { spec, bytes } of rpmsOf(source.take(count))) {
      const filename = `${spec.name}-${spec.version}-${spec.release}.${spec.arch}.rpm`;
      writeFileSync(join(folder, "packages", filename), bytes);
      list.push(`${filename}\t${sha256Of(bytes)}\t${bytes.length}\n`);
    }
    writeFileSync(join(folder, "list"), list.join(""));
  });
}

export function listedRpms(folder: string): { filename: string; sha256: string; sizeBytes: number }[] {
  return readFileSync(join(folder, "list"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [filename = "", sha256 = "", size = ""] = line.split("\t");
      return { filename, sha256, sizeBytes: Number(size) };
    });
}
