import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export type DebSpec = {
  /** The control file's text; or its fields, added to a sound minimum. */
  control?: string | Readonly<Record<string, string>>;
  /** Further files of the control archive, by name. */
  controlFiles?: Readonly<Record<string, string>>;
  /** Files of the package, by path. */
  files?: Readonly<Record<string, string>>;
  /** dpkg-deb's own options: `-Zzstd`, `--uniform-compression`. */
  options?: readonly string[];
};

const MINIMUM = {
  Package: "lab",
  Version: "1.0-1",
  Architecture: "amd64",
  Maintainer: "Lab <lab@example.org>",
  Description: "a package for tests",
};

export function controlText(fields: Readonly<Record<string, string>> = {}): string {
  return Object.entries({ ...MINIMUM, ...fields })
    .map(([name, value]) => `${name}:${value === "" || value.startsWith("\n") ? "" : " "}${value}\n`)
    .join("");
}

/** A .deb made by dpkg-deb itself, which is told not to check what we let it pack. */
export function buildDeb(spec: DebSpec = {}): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "packhouse-deb-"));
  try {
    const write = (path: string, text: string) => {
      mkdirSync(dirname(join(folder, "tree", path)), { recursive: true });
      writeFileSync(join(folder, "tree", path), text);
    };
    write("DEBIAN/control", typeof spec.control === "string" ? spec.control : controlText(spec.control));
    for (const [name, text] of Object.entries(spec.controlFiles ?? {})) write(`DEBIAN/${name}`, text);
    for (const [path, text] of Object.entries(spec.files ?? {})) write(path, text);
    const out = join(folder, "out.deb");
    const args = ["--root-owner-group", "--nocheck", ...(spec.options ?? []), "--build", join(folder, "tree"), out];
    execFileSync("dpkg-deb", args, { stdio: ["ignore", "ignore", "ignore"] });
    return readFileSync(out);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Gives the bytes a name for a program that wants a file. */
export function withFile<T>(bytes: Uint8Array, use: (path: string, folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "packhouse-deb-"));
  try {
    const path = join(folder, "lab.deb");
    writeFileSync(path, bytes);
    return use(path, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export type RawMember = { name: string; content: Uint8Array; size?: string; magic?: string };

/** An ar archive with whatever headers a test wants. */
export function arOf(members: readonly RawMember[]): Buffer {
  const parts = members.flatMap(({ name, content, size, magic }) => [
    Buffer.from(
      `${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}` +
        `${(size ?? String(content.length)).padEnd(10)}${magic ?? "`\n"}`,
      "latin1",
    ),
    content,
    Buffer.from(content.length % 2 ? "\n" : ""),
  ]);
  return Buffer.concat([Buffer.from("!<arch>\n"), ...parts]);
}

export type RawEntry = { name: string; content?: string | Uint8Array; type?: string; size?: number };

/** A ustar archive; `size` may lie. */
export function tarOf(entries: readonly RawEntry[]): Buffer {
  const blocks = entries.flatMap(({ name, content = "", type = "0", size }) => {
    const body = Buffer.from(content as Uint8Array);
    const header = Buffer.alloc(512);
    header.write(name.slice(0, 100), 0, "utf8");
    header.write("0000644\0", 100);
    header.write("0000000\0", 108);
    header.write("0000000\0", 116);
    header.write(`${(size ?? body.length).toString(8).padStart(11, "0")}\0`, 124);
    header.write("00000000000\0", 136);
    header.write("        ", 148);
    header.write(type, 156);
    header.write("ustar\x0000", 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    return [header, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

export const DEBIAN_BINARY: RawMember = { name: "debian-binary", content: Buffer.from("2.0\n") };

/** A .deb of given parts, put together by hand: for what dpkg-deb would not make. */
export function rawDeb(controlTar: Uint8Array, options: { name?: string; after?: readonly RawMember[] } = {}): Buffer {
  return arOf([
    DEBIAN_BINARY,
    { name: options.name ?? "control.tar", content: controlTar },
    ...(options.after ?? [{ name: "data.tar", content: tarOf([]) }]),
  ]);
}
