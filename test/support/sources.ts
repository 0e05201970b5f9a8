import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export type NamedBytes = { readonly name: string; readonly bytes: Buffer };

export type SourceSpec = {
  readonly name?: string;
  readonly version?: string;
  readonly format?: "3.0 (quilt)" | "3.0 (native)";
  /** Further fields of the source's paragraph, as `Build-Depends`. */
  readonly fields?: Readonly<Record<string, string>>;
  readonly text?: string;
  /** A file to stand beside the original as its signature. */
  readonly signature?: string;
};

const DATE = "Thu, 05 Nov 2026 06:07:08 +0000";

/** A source package made by dpkg-source; the .dsc comes first. */
export function sourcePackage(spec: SourceSpec = {}): NamedBytes[] {
  return built(spec, (work) => execFileSync("dpkg-source", ["-b", "tree"], { cwd: work, stdio: "pipe" }));
}

/** The same made by dpkg-buildpackage, which adds a .buildinfo and a .changes. */
export function sourceBuild(spec: SourceSpec = {}): NamedBytes[] {
  return built(spec, (work) => {
    const args = ["--build=source", "--no-sign", "--no-check-builddeps", "--no-pre-clean", "-sa"];
    execFileSync("dpkg-buildpackage", args, { cwd: join(work, "tree"), stdio: "pipe" });
  });
}

function built(spec: SourceSpec, build: (work: string) => unknown): NamedBytes[] {
  const {
    name = "hello",
    version = "1.0-1",
    format = "3.0 (quilt)",
    fields = {},
    text = "of the lab\n",
    signature,
  } = spec;
  const work = mkdtempSync(join(tmpdir(), "packhouse-source-"));
  try {
    const tree = join(work, "tree");
    const write = (path: string, content: string) => {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), content);
    };
    write("README", text);
    const upstream = version.replace(/^\d+:/, "").replace(/-[^-]*$/, "");
    if (format === "3.0 (quilt)") {
      const orig = `${name}_${upstream}.orig.tar.gz`;
      execFileSync("sh", ["-c", `tar --sort=name --mtime=@0 -c tree | gzip -n > ${orig}`], { cwd: work });
      if (signature !== undefined) writeFileSync(join(work, `${orig}.asc`), signature);
    }
    const maintainer = "Lab <lab@example.org>";
    const more = Object.entries(fields).map(([field, value]) => `${field}: ${value}\n`);
    write("debian/source/format", `${format}\n`);
    write("debian/changelog", `${name} (${version}) stable; urgency=low\n\n  * Made.\n\n -- ${maintainer}  ${DATE}\n`);
    write(
      "debian/control",
      `Source: ${name}\nSection: misc\nPriority: optional\nMaintainer: ${maintainer}\nStandards-Version: 4.6.2\n${more.join("")}\nPackage: ${name}\nArchitecture: any\nDescription: lab\n`,
    );
    write("debian/rules", "#!/usr/bin/make -f\n%:\n");
    build(work);
    return readdirSync(work)
      .filter((file) => file !== "tree")
      .sort((a, b) => Number(b.endsWith(".dsc")) - Number(a.endsWith(".dsc")))
      .map((file) => ({ name: file, bytes: readFileSync(join(work, file)) }));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const digest = (kind: string, bytes: Uint8Array) => createHash(kind).update(bytes).digest("hex");

/** A .changes that names these files as they are, or as `wrong` says of one. */
export function changesOf(
  files: readonly NamedBytes[],
  { source = "hello", version = "1.0-1", fields = {} as Readonly<Record<string, string>> } = {},
): NamedBytes {
  const architectures = new Set(files.map(({ name }) => (name.endsWith(".deb") ? "amd64" : "source")));
  const lines = (hash: string, words = "") =>
    files.map(({ name, bytes }) => `\n ${digest(hash, bytes)} ${bytes.length}${words} ${name}`).join("");
  const all = {
    Format: "1.8",
    Date: DATE,
    Source: source,
    Architecture: [...architectures].join(" "),
    Version: version,
    Distribution: "stable",
    Maintainer: "Lab <lab@example.org>",
    Changes: "\n made",
    "Checksums-Sha256": lines("sha256"),
    Files: lines("md5", " misc optional"),
    ...fields,
  };
  const text = Object.entries(all).map(([name, value]) => `${name}:${value.startsWith("\n") ? "" : " "}${value}\n`);
  return { name: `${source}_${version.replace(/^\d+:/, "")}_amd64.changes`, bytes: Buffer.from(text.join("")) };
}
