import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export type SourceSpec = { readonly name: string; readonly version: string; readonly text?: string };

const DATE = "Thu, 05 Nov 2026 06:07:08 +0000";

/** A source package of three files made by dpkg-source itself: original, debian part, .dsc. Answers their names. */
export function buildSource(into: string, { name, version, text = "of the lab\n" }: SourceSpec): string[] {
  const work = mkdtempSync(join(tmpdir(), "packhouse-source-"));
  try {
    const [upstreamVersion = version] = version.replace(/^\d+:/, "").split("-");
    const tree = join(work, "tree");
    const write = (path: string, content: string) => {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), content);
    };
    write("README", text);
    const orig = `${name}_${upstreamVersion}.orig.tar.gz`;
    execFileSync("tar", ["--sort=name", "--mtime=@0", "-czf", join(work, orig), "-C", work, "tree"]);
    const maintainer = "Lab <lab@example.org>";
    write("debian/source/format", "3.0 (quilt)\n");
    write("debian/changelog", `${name} (${version}) stable; urgency=low\n\n  * Made.\n\n -- ${maintainer}  ${DATE}\n`);
    write(
      "debian/control",
      `Source: ${name}\nMaintainer: ${maintainer}\nStandards-Version: 4.6.2\n\nPackage: ${name}\nArchitecture: any\nDescription: lab\n`,
    );
    execFileSync("dpkg-source", ["-b", "tree"], { cwd: work, stdio: "pipe" });
    const made = readdirSync(work).filter((one) => one !== "tree");
    for (const one of made) cpSync(join(work, one), join(into, one));
    return made;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The index without one kind of list or field, as older archives have it. */
export function withoutFields(index: string, ...fields: string[]): void {
  const lines = readFileSync(index, "utf8").split("\n");
  let dropping = false;
  const kept = lines.filter((line) => {
    if (!/^\s/.test(line)) dropping = fields.some((field) => line.startsWith(`${field}:`));
    return !dropping || line === "";
  });
  writeFileSync(index, kept.join("\n"));
}
