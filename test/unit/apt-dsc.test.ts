import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fieldOf, parseParagraph } from "../../shared/apt/control.ts";
import { readDsc } from "../../shared/apt/dsc.ts";
import { sourcesStanza } from "../../shared/apt/sources-stanza.ts";
import { rangesOf, sha256Of } from "../../shared/blob.ts";
import { openGpg } from "../support/gpg-keys.ts";
import { type NamedBytes, sourcePackage } from "../support/sources.ts";

let gpg: ReturnType<typeof openGpg>;
beforeAll(() => {
  gpg = openGpg();
});
afterAll(() => gpg.close());

const FIELDS = {
  "Build-Depends": "debhelper-compat (= 13), libfoo-dev [amd64] <!nocheck>",
  "Build-Depends-Indep": "python3",
  "Build-Conflicts": "old-lab",
  Uploaders: "Jürgen Größe <j@example.org>",
  Homepage: "https://example.org/?a=1&b=2",
  "Vcs-Git": "https://example.org/lab.git -b main",
  "Vcs-Browser": "https://example.org/lab",
  Testsuite: "autopkgtest",
  "XS-Lab-Own": "kept as it is",
};

/** What apt-ftparchive says of a folder of sources, field by field. */
function archived(files: readonly NamedBytes[]): [string, string][] {
  const folder = mkdtempSync(join(tmpdir(), "packhouse-archive-"));
  try {
    for (const { name, bytes } of files) writeFileSync(join(folder, name), bytes);
    const options = { cwd: folder, stdio: ["ignore", "pipe", "ignore"] as const };
    const text = execFileSync("apt-ftparchive", ["sources", "."], { ...options, stdio: ["ignore", "pipe", "ignore"] });
    return parseParagraph(text.toString()).map(([name, value]) => [name, value]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test.each([
  ["3.0 (quilt)", sourcePackage({ name: "lab", version: "1:1.0+git~rc1-1", fields: FIELDS, signature: "signed\n" })],
  ["3.0 (native)", sourcePackage({ name: "lab", version: "2.0", format: "3.0 (native)" })],
])("a source package of format %s is listed as apt-ftparchive lists it", async (format, files) => {
  const [dsc] = files;
  if (!dsc) throw new Error("no .dsc");
  const parsed = await readDsc(rangesOf(dsc.bytes));
  expect([parsed.format, parsed.name, parsed.signed]).toEqual(["dsc", "lab", false]);
  expect(fieldOf(parsed.control, "Format")).toBe(format);
  const sha256 = sha256Of(dsc.bytes);
  const place = { filename: dsc.name, sizeBytes: dsc.bytes.length, sha256, directory: `source/${sha256}` };
  const ours = parseParagraph(sourcesStanza(parsed, place));
  // Weak hashes and one that no .dsc tells are left out; the place is ours.
  const weak = new Set(["Checksums-Sha1", "Checksums-Sha512", "Directory"]);
  const theirs = archived(files).filter(([name]) => !weak.has(name));
  expect(ours.filter(([name]) => name !== "Directory").map((field) => [...field])).toEqual(theirs);
  expect(fieldOf(ours, "Directory")).toBe(`source/${sha256}`);
  expect(parsed.files.map(({ name }) => name).sort()).toEqual(
    files
      .slice(1)
      .map(({ name }) => name)
      .sort(),
  );
});

test("a signed .dsc says the same as its plain text, and that it is signed", async () => {
  const [dsc] = sourcePackage();
  const key = await gpg.make("lab@example.org");
  const folder = mkdtempSync(join(tmpdir(), "packhouse-signed-"));
  try {
    const path = join(folder, "lab.dsc");
    writeFileSync(path, dsc?.bytes ?? "");
    await gpg.run("--local-user", key, "--clearsign", "--output", `${path}.asc`, path);
    const { readFileSync } = await import("node:fs");
    const bytes = readFileSync(`${path}.asc`);
    const [plain, signed] = await Promise.all([
      readDsc(rangesOf(dsc?.bytes ?? Buffer.alloc(0))),
      readDsc(rangesOf(bytes)),
    ]);
    expect({ ...signed, md5: plain.md5, signed: false }).toEqual(plain);
    expect(signed.signed).toBe(true);
    const behind = Buffer.concat([bytes, Buffer.from("Source: other\n")]);
    await expect(readDsc(rangesOf(behind))).rejects.toThrow("something follows behind its signature");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
