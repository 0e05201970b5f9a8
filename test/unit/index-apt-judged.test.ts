import { cp, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AptIndex, readPackages, type UpstreamStanza } from "../../shared/apt/index-packages.ts";
import { planIndexes } from "../../shared/apt/index-plan.ts";
import { rewriteBinaryStanza, rewriteSourceStanza } from "../../shared/apt/index-rewrite.ts";
import { parseRelease } from "../../shared/apt/release.ts";
import { parseSha256, sha256Of } from "../../shared/blob.ts";
import { decompressStream } from "../../shared/decompress-stream.ts";
import { openApt } from "../support/clients-apt.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { inPieces, listed } from "../support/index-streams.ts";
import { openWorkbench, type Workbench } from "../support/workbench.ts";

// An upstream made by apt-ftparchive and dpkg-source, read by us, written anew with other places, judged by apt.

let bench: Workbench;
const DISTS = "upstream/dists/stable";

const sh = async (folder: string, script: string) => {
  const { code, output } = await bench.run("sh", ["-ec", `cd '${join(bench.folder, folder)}'\n${script}`]);
  if (code !== 0) throw new Error(output);
};

beforeAll(async () => {
  bench = await openWorkbench("index-apt");
  for (const name of ["one", "two"])
    for (const Version of ["1.0~rc1+x", "2:1.0"]) {
      const control = { Package: name, Version, Architecture: name === "two" ? "all" : "amd64" };
      await bench.file(`upstream/pool/main/${name}_${Version.replace(":", "%3a")}.deb`, buildDeb({ control }));
    }
  await bench.file("src/hello-1.0/debian/source/format", "3.0 (native)\n");
  await bench.file(
    "src/hello-1.0/debian/control",
    "Source: hello\nMaintainer: a <a@example.org>\nStandards-Version: 4.6.0\n\nPackage: hello\nArchitecture: all\nDescription: x\n",
  );
  await bench.file(
    "src/hello-1.0/debian/changelog",
    "hello (1.0) unstable; urgency=low\n\n  * x\n\n -- a <a@example.org>  Mon, 01 Jan 2024 00:00:00 +0000\n",
  );
  await sh("src", "dpkg-source -b hello-1.0; mkdir -p ../upstream/pool/src; mv hello_* ../upstream/pool/src");
  await sh(
    "upstream",
    `mkdir -p dists/stable/main/binary-amd64 dists/stable/main/source
     apt-ftparchive packages pool > dists/stable/main/binary-amd64/Packages
     apt-ftparchive sources pool > dists/stable/main/source/Sources
     cd dists/stable
     for index in main/binary-amd64/Packages main/source/Sources; do
       gzip -k $index; xz -k $index; bzip2 -k $index; zstd -qk $index
     done
     apt-ftparchive -o APT::FTPArchive::Release::Architectures=amd64 -o APT::FTPArchive::Release::Components=main release . > ../Release
     mv ../Release .`,
  );
});
afterAll(() => bench.remove());

async function indexes(): Promise<{ index: AptIndex; stanzas: UpstreamStanza[]; compression: string }[]> {
  const release = parseRelease(await readFile(join(bench.folder, DISTS, "Release"), "utf8"));
  const planned = planIndexes(release, { architectures: ["amd64", "source"] });
  const found = planned.flatMap(({ index, candidates }) =>
    candidates.map(async ({ path, compression, sha256 }) => {
      const bytes = await readFile(join(bench.folder, DISTS, path));
      expect(sha256Of(bytes)).toBe(sha256);
      const plain = decompressStream(compression, inPieces(bytes, [777]), { maxBytes: 1 << 20, where: path });
      return { index, compression, stanzas: await listed(readPackages(plain, { where: path, index })) };
    }),
  );
  return Promise.all(found);
}

test("every compression of an index reads the same, and tells what lies in the pool", async () => {
  const all = await indexes();
  expect(all.map(({ index, compression }) => `${index} ${compression}`)).toEqual([
    ...["zst", "gz", "xz", "bz2", "plain"].map((kind) => `Packages ${kind}`),
    ...["zst", "gz", "xz", "bz2", "plain"].map((kind) => `Sources ${kind}`),
  ]);
  for (const { index, stanzas } of all) {
    expect(stanzas).toEqual(all.find((one) => one.index === index)?.stanzas);
    expect(stanzas.length).toBe(index === "Packages" ? 4 : 1);
    for (const { path, sizeBytes, checksums } of stanzas.flatMap((one) => one.files)) {
      const bytes = await readFile(join(bench.folder, "upstream", path));
      expect([sizeBytes, checksums.sha256], path).toEqual([bytes.length, sha256Of(bytes)]);
    }
  }
});

test.each([
  ["with the list of MD5 kept", (text: string) => text],
  ["with SHA-256 alone", (text: string) => text.replace(/^Files:\n(?: .*\n)+/m, "")],
])("apt installs and takes sources from what is republished, %s", async (name, edit) => {
  const ours = `ours ${name}`.replaceAll(" ", "-");
  const root = join(bench.folder, ours);
  const all = await indexes();
  const written: Record<string, string> = {};
  for (const { index, stanzas, compression } of all) {
    if (compression !== "xz") continue;
    for (const one of stanzas) {
      const files = one.files.map(({ path, sizeBytes, checksums }) => ({
        from: path,
        name: path.slice(path.lastIndexOf("/") + 1),
        sizeBytes,
        sha256: parseSha256(checksums.sha256 ?? ""),
      }));
      const [first] = files;
      if (first === undefined) throw new Error("no file");
      const directory = `pool/${first.sha256}`;
      await mkdir(join(root, directory), { recursive: true });
      for (const file of files) await cp(join(bench.folder, "upstream", file.from), join(root, directory, file.name));
      const stanza =
        index === "Sources"
          ? rewriteSourceStanza(one.stanza, { directory, files })
          : rewriteBinaryStanza(one.stanza, { ...first, filename: `${directory}/${first.name}` });
      written[index] = (written[index] ?? "") + edit(stanza.toString("latin1"));
    }
  }
  for (const [index, text] of Object.entries(written)) await writeFile(join(root, index), text, "latin1");
  expect(written.Packages).not.toMatch(/^(MD5sum|SHA1|SHA512):/im);
  expect(written.Sources).not.toMatch(/^Checksums-(Sha1|Sha512):/im);
  await sh(ours, "apt-ftparchive release . > ../Release.new");
  await rename(join(bench.folder, "Release.new"), join(root, "Release"));

  const list = `deb [trusted=yes] copy:${root} ./\ndeb-src [trusted=yes] copy:${root} ./\n`;
  const apt = await openApt(bench, `apt-${ours}`, { list });
  const updated = await apt.tryUpdate();
  expect(updated.output).not.toMatch(/^(E|W|Err):/m);
  expect(await apt.visible()).toEqual(["one=1.0~rc1+x", "one=2:1.0", "two=1.0~rc1+x", "two=2:1.0"]);
  const installed = await apt.run("apt-get", "install", "--yes", "one", "two=1.0~rc1+x");
  expect(installed.code, installed.output).toBe(0);
  const work = join(bench.folder, `work-${ours}`);
  await mkdir(work);
  const source = await bench.run("sh", [
    "-c",
    `cd '${work}' && APT_CONFIG='${apt.config}' apt-get source hello && cat hello-1.0/debian/source/format`,
  ]);
  expect(source.output).toContain("3.0 (native)");
  expect(source.code, source.output).toBe(0);
});
