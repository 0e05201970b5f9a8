import { expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { readPackagesXml } from "../../shared/yum/index-packages.ts";
import { growthBytes, listed } from "../support/index-streams.ts";

test("memory does not grow with the index", async () => {
  const head = Buffer.from("<filelists>\n");
  const files = "  <file>/usr/share/some/folder/file-name.txt</file>\n".repeat(400);
  async function* large() {
    yield head;
    for (let i = 0; i < 4000; i++)
      yield Buffer.from(
        `<package pkgid="${sha256Of(`${i}`)}" name="n${i}" arch="x"><version ver="1" rel="1"/>\n${files}</package>\n`,
      );
    yield Buffer.from("</filelists>");
  }
  let seen = 0;
  let bytes = 0;
  const growth = await growthBytes(async (measure) => {
    for await (const one of readPackagesXml("filelists", large(), { where: "large" })) {
      bytes += one.chunk.length;
      if (++seen % 500 === 0) measure();
    }
  });
  expect(seen).toBe(4000);
  expect(bytes).toBeGreaterThan(80_000_000);
  expect(growth).toBeLessThan(40_000_000);
});

test("a token that comes in many pieces is looked through a few times only, and has a limit", async () => {
  async function* endless(start: string, piece: string) {
    yield Buffer.from(start);
    for (let i = 0; i < 2500; i++) yield Buffer.from(piece);
  }
  const started = performance.now();
  for (const start of ["<filelists><!--", "<filelists><package a='", "<filelists><package><![CDATA[", "<filelists>"]) {
    const stream = endless(start, " x".repeat(16_384));
    await expect(listed(readPackagesXml("filelists", stream, { where: "w" }))).rejects.toThrow(
      /^w: more than 67108864 bytes/,
    );
  }
  const many = endless('<filelists><package pkgid="x">', "<file>x</file>".repeat(3000));
  await expect(listed(readPackagesXml("filelists", many, { where: "w" }))).rejects.toThrow(
    /a package of more than 67108864/,
  );
  expect(performance.now() - started).toBeLessThan(20_000);
});
