import { createReadStream, existsSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readPackages } from "../../shared/apt/index-packages.ts";
import { rewriteBinaryStanza, rewriteSourceStanza } from "../../shared/apt/index-rewrite.ts";
import { sha256Of } from "../../shared/blob.ts";
import { decompressStream } from "../../shared/decompress-stream.ts";
import { AppError } from "../../shared/error.ts";
import { growthBytes, inPieces, listed, pieceSizes } from "../support/index-streams.ts";

const SHA256 = sha256Of("x");
const MD5 = "0cc175b9c0f1b6a831c399e269772661";
const SHA1 = "a".repeat(40);
const SHA512 = "b".repeat(128);

const read = (text: string | Uint8Array, sizes = [65_536], index: "Packages" | "Sources" = "Packages") =>
  listed(readPackages(inPieces(Buffer.from(text), sizes), { where: "main/Packages", index }));

const stanza = (fields: Record<string, string> = {}) =>
  Object.entries({
    Package: "a",
    Version: "1",
    Architecture: "all",
    Filename: "pool/a.deb",
    Size: "3",
    SHA256,
    ...fields,
  })
    .filter(([, value]) => value !== "-")
    .map(([name, value]) => `${name}: ${value}\n`)
    .join("");

test("a stanza is given as it is, with what names it", async () => {
  const first = `Package: libc++1\nversion:2:1.0~rc1+b1-1\nArchitecture: amd64\nDescription: ünusual\n more\n .\n\tand more\nFILENAME: ./x%3a1.deb\nMD5Sum: ${MD5}\nSHA1: ${SHA1}\nSHA512: ${SHA512.toUpperCase()}\nSize:7\n\n`;
  const second = `${stanza({ Filename: "pool/ü/a b.deb" })}\n`;
  const found = await read(`\n${first}\n\n${second.slice(0, -2)}`, [5]);
  expect(found.map(({ fields: _, ...one }) => ({ ...one, stanza: String(one.stanza) }))).toEqual([
    {
      stanza: first,
      line: 2,
      name: "libc++1",
      version: "2:1.0~rc1+b1-1",
      architecture: "amd64",
      files: [{ path: "./x%3a1.deb", sizeBytes: 7, checksums: { md5: MD5, sha1: SHA1, sha512: SHA512 } }],
    },
    {
      stanza: second,
      line: 17,
      name: "a",
      version: "1",
      architecture: "all",
      files: [{ path: "pool/ü/a b.deb", sizeBytes: 3, checksums: { sha256: SHA256 } }],
    },
  ]);
});

test("an index of nothing holds nothing", async () => {
  expect(await read("")).toEqual([]);
  expect(await read("\n\n\n", [1])).toEqual([]);
});

test("a source package's files are joined from its lists", async () => {
  const text = `Package: s\nVersion: 1-1\nArchitecture: any all\nDirectory: pool/s/\nFiles:\n ${MD5} 5 s_1-1.dsc\n ${MD5} 6 s_1.tar.xz\nChecksums-Sha256:\n ${SHA256} 5 s_1-1.dsc\n ${SHA256}  6  s_1.tar.xz\n`;
  const [found] = await read(text, [11], "Sources");
  expect(found?.architecture).toBe("source");
  expect(found?.files).toEqual([
    { path: "pool/s/s_1-1.dsc", sizeBytes: 5, checksums: { sha256: SHA256, md5: MD5 } },
    { path: "pool/s/s_1.tar.xz", sizeBytes: 6, checksums: { sha256: SHA256, md5: MD5 } },
  ]);
  const flat = await read(text.replace("Directory: pool/s/\n", ""), [99], "Sources");
  expect(flat[0]?.files[0]?.path).toBe("s_1-1.dsc");
});

describe("refused, naming file, line and package:", () => {
  const paths = [
    "../a.deb",
    "pool/../../a.deb",
    "/etc/passwd",
    "a\\b.deb",
    "a\u0001.deb",
    "a/%2e%2E/b.deb",
    "a%252e.deb",
    "a%2fb.deb",
    "https://x/a.deb",
    "pool/",
    "",
    "..",
    `${"a".repeat(1001)}`,
  ];
  test.each(paths)("the path %j", async (path) => {
    const error = await read(`${stanza()}\n${stanza({ Package: "bad", Filename: path })}`).catch((thrown) => thrown);
    expect(error).toMatchObject({ kind: "unprocessable" });
    expect(error.message).toMatch(
      /^main\/Packages: line 8: package "bad": (the path .* is refused: it |the field filename)/,
    );
  });

  const faults: [string, string, RegExp][] = [
    ["no name", stanza({ Package: "-" }), /line 1: the field package is missing/],
    ["a name that is a path", stanza({ Package: "a/b" }), /field package: "a\/b" should be one printable word/],
    ["no version", stanza({ Version: "-" }), /package "a": the field version is missing/],
    ["no file name", stanza({ Filename: "-" }), /the field filename is missing/],
    ["a size that is none", stanza({ Size: "1e3" }), /field size: "1e3" should be a number of bytes/],
    ["a hash that is none", stanza({ SHA256: "abc" }), /field sha256: "abc" should be 64 hex digits/],
    ["a line that is no field", `${stanza()}hello world\n`, /line 7: "hello world" is no "Field: value"/],
    ["a web page", "<!DOCTYPE html>\n<html><body>login please", /line 1: "<!DOCTYPE html>" is no "Field: value"/],
    ["a continuation of nothing", ` more\n${stanza()}`, /line 1: a continuation line without a field/],
    ["a field twice", `${stanza()}filename: b.deb\n`, /line 7: the field filename stands there twice/],
    ["carriage returns", `${stanza()}\r\n${stanza()}`, /line 7: a carriage return/],
    ["a zero byte", `${stanza({ Description: "a\0b" })}`, /line 1: a zero byte/],
  ];
  test.each(faults)("%s", async (_, text, message) => {
    await expect(read(text)).rejects.toThrow(message);
    await expect(read(text, [1])).rejects.toThrow(AppError);
  });

  const source = (files: string) => `Package: s\nVersion: 1\nDirectory: pool\nChecksums-Sha256:\n${files}`;
  const sources: [string, string, RegExp][] = [
    ["no files", "Package: s\nVersion: 1\n", /package "s": it lists no files/],
    ["a name with a slash", source(` ${SHA256} 5 ../x\n`), /field checksums-sha256: .* is no "HASH SIZE NAME"/],
    ["a name that leads out", source(` ${SHA256} 5 ..\n`), /the path "pool\/\.\." is refused/],
    ["a name twice", source(` ${SHA256} 5 x\n ${SHA256} 5 x\n`), /"x" stands there twice/],
    ["two sizes", `${source(` ${SHA256} 5 x\n`)}Files:\n ${MD5} 6 x\n`, /field files: "x" has another size elsewhere/],
    [
      "a directory that leads out",
      source(` ${SHA256} 5 x\n`).replace("pool", "../pool"),
      /the path "\.\.\/pool\/x" is refused/,
    ],
  ];
  test.each(sources)("a source package with %s", async (_, text, message) => {
    await expect(read(text, [9], "Sources")).rejects.toThrow(message);
  });

  test("a stanza without end", async () => {
    async function* endless() {
      yield Buffer.from("Package: a\n");
      for (let i = 0; i < 3000; i++) yield Buffer.alloc(64 * 1024, " x\n");
    }
    await expect(listed(readPackages(endless(), { where: "w" }))).rejects.toThrow(/^w: line 1: a stanza of more than/);
  });
});

test("how the stream is cut changes nothing, and noise ends in an error or in stanzas", async () => {
  const text = Array.from({ length: 40 }, (_, i) =>
    stanza({ Package: `p${i}`, Description: `d\n${" x\n".repeat(i)} .` }),
  ).join("\n\n");
  const whole = await read(text);
  expect(whole.length).toBe(40);
  await fc.assert(
    fc.asyncProperty(pieceSizes, async (sizes) => {
      expect(await read(text, sizes)).toEqual(whole);
    }),
    { numRuns: 40 },
  );
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.nat(text.length), pieceSizes, async (noise, at, sizes) => {
      const bytes = Buffer.concat([Buffer.from(text.slice(0, at)), noise, Buffer.from(text.slice(at + 5))]);
      const result = await read(bytes, sizes).catch((thrown: unknown) => thrown);
      if (!Array.isArray(result)) expect(result).toBeInstanceOf(AppError);
    }),
    { numRuns: 200 },
  );
});

test("a republished stanza differs in place and checksums alone", async () => {
  const text = `package: a\nVersion: 1\nArchitecture: all\nFilename:   old/a.deb\nMD5sum: ${MD5}\nDescription: d\n ü\xe9\n .\nSize: 3\nSHA1: ${SHA1}\nSHA512: ${SHA512}\nDescription-md5: ${MD5}\nTag: x,\n y\n\n`;
  const ours = { filename: "pool/H/a.deb", sizeBytes: 3, sha256: SHA256 };
  expect(String(rewriteBinaryStanza(Buffer.from(text), ours))).toBe(
    `package: a\nVersion: 1\nArchitecture: all\nFilename: pool/H/a.deb\nDescription: d\n ü\xe9\n .\nSize: 3\nDescription-md5: ${MD5}\nTag: x,\n y\nSHA256: ${SHA256}\n\n`,
  );
  const again = rewriteBinaryStanza(Buffer.from(text), ours);
  expect(rewriteBinaryStanza(again, ours)).toEqual(again);
  const latin1 = Buffer.from(`${stanza({ Maintainer: "\xe9\xff" })}\n`, "latin1");
  expect(rewriteBinaryStanza(latin1, { ...ours, filename: "pool/a.deb" })).toEqual(latin1);
});

test("a republished source stanza keeps its list with MD5", () => {
  const text = `Package: s\nDirectory: old\nFiles:\n ${MD5} 5 s.dsc\nChecksums-Sha1:\n ${SHA1} 5 s.dsc\nChecksums-Sha256:\n ${SHA256} 5 s.dsc\nTag: x\n\n`;
  const files = [{ name: "s.dsc", sizeBytes: 5, sha256: SHA256 }];
  const kept = `Package: s\nDirectory: source/H\nFiles:\n ${MD5} 5 s.dsc\nChecksums-Sha256:\n ${SHA256} 5 s.dsc\nTag: x\n\n`;
  expect(String(rewriteSourceStanza(Buffer.from(text), { directory: "source/H", files }))).toBe(kept);
  const weak = text.replace(/Checksums-Sha256:\n.*\n/, "");
  expect(String(rewriteSourceStanza(Buffer.from(weak), { directory: "source/H", files }))).toBe(
    `Package: s\nDirectory: source/H\nFiles:\n ${MD5} 5 s.dsc\nTag: x\nChecksums-Sha256:\n ${SHA256} 5 s.dsc\n\n`,
  );
});

const DEBIAN = join(import.meta.dirname, "../../../shared/data/debian-bookworm-main-amd64.Packages.xz");

const whereDebianIs = existsSync(DEBIAN) ? test : undefined;
whereDebianIs?.("Debian's main is read whole in little time and memory", async () => {
  const started = performance.now();
  const names = new Set<string>();
  let bytes = 0;
  let seen = 0;
  const growth = await growthBytes(async (measure) => {
    const plain = decompressStream("xz", createReadStream(DEBIAN), { maxBytes: 1e8, maxRatio: 20 });
    for await (const one of readPackages(plain, { where: DEBIAN })) {
      names.add(one.name);
      bytes += one.stanza.length;
      const ours = rewriteBinaryStanza(one.stanza, {
        filename: one.files[0]?.path ?? "",
        sizeBytes: one.files[0]?.sizeBytes ?? 0,
        sha256: SHA256,
      });
      if (ours.length >= one.stanza.length) throw new Error(`nothing was dropped from ${one.name}`);
      if (++seen % 10_000 === 0) measure();
    }
  });
  expect([seen, names.size, bytes]).toEqual([63_440, 63_436, 50_060_337]);
  // The window of this file is 64 MiB, and is allocated at once.
  expect(growth).toBeLessThan(150_000_000);
  expect(performance.now() - started).toBeLessThan(20_000);
});
