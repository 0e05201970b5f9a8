import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { build } from "esbuild";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Compression, compressionOf, decompress } from "../../shared/compression.ts";
import { FormatError } from "../../shared/error.ts";

const run = (program: string, args: readonly string[], input: Uint8Array) =>
  execFileSync(program, args, { input, maxBuffer: 1e9 });
const xz = (input: Uint8Array, ...args: string[]) => run("xz", ["--stdout", ...args], input);
const zstd = (input: Uint8Array, ...args: string[]) => run("zstd", ["--quiet", "--stdout", ...args], input);

const TEXT = Buffer.from(Array.from({ length: 40_000 }, (_, i) => `Package: lab-${(i * 7919) % 10_007}\n`).join(""));
// Text, a program, and what no one can compress: every kind of block and chunk.
const MIXED = Buffer.concat([TEXT, randomBytes(100_000), readFileSync(process.execPath).subarray(0, 600_000)]);
const LIMITS = { maxBytes: 100_000_000 };

const PACKERS: Record<string, [Compression, (input: Uint8Array) => Buffer]> = {
  gz: ["gz", (input) => gzipSync(input)],
  "gz -1": ["gz", (input) => gzipSync(input, { level: 1 })],
  xz: ["xz", (input) => xz(input)],
  "xz -0": ["xz", (input) => xz(input, "-0")],
  "xz -9 --extreme": ["xz", (input) => xz(input, "-9", "--extreme")],
  "xz in blocks": ["xz", (input) => xz(input, "--block-size=100000")],
  "xz by threads, block sizes in the headers": ["xz", (input) => xz(input, "--threads=2", "--block-size=1MiB")],
  "xz, no check": ["xz", (input) => xz(input, "--check=none")],
  "xz, crc32": ["xz", (input) => xz(input, "--check=crc32")],
  "xz, sha256": ["xz", (input) => xz(input, "--check=sha256")],
  "xz, lc=4 lp=0 pb=4": ["xz", (input) => xz(input, "--lzma2=lc=4,lp=0,pb=4")],
  "xz, lc=0 lp=4 pb=0": ["xz", (input) => xz(input, "--lzma2=lc=0,lp=4,pb=0")],
  "xz, small dictionary": ["xz", (input) => xz(input, "--lzma2=preset=6,dict=4KiB")],
  "xz, dictionary of 1.5 GB": ["xz", (input) => xz(input, "--lzma2=preset=0,dict=1536MiB")],
  zst: ["zst", (input) => zstdCompressSync(input)],
  "zst -19": ["zst", (input) => zstd(input, "-19")],
  "zst --ultra -22, with check": ["zst", (input) => zstd(input, "--ultra", "-22", "--check")],
  "zst --long=27": ["zst", (input) => zstd(input, "--long=27")],
  plain: ["plain", (input) => Buffer.from(input)],
};

describe.each(Object.entries(PACKERS))("%s", (_, [kind, pack]) => {
  const packed = pack(MIXED);

  test("gives back what was packed", async () => {
    expect(MIXED.equals(await decompress(kind, packed, LIMITS))).toBe(true);
  });

  test("members one after another give their contents one after another", async () => {
    const joined = Buffer.concat([pack(TEXT), pack(Buffer.alloc(0)), pack(MIXED), pack(Buffer.from("end"))]);
    const expected = Buffer.concat([TEXT, MIXED, Buffer.from("end")]);
    expect(expected.equals(await decompress(kind, joined, LIMITS))).toBe(true);
  });

  test("is known by its first bytes", () => {
    expect(compressionOf(packed)).toBe(kind);
  });

  test("is refused above the limit and taken at it", async () => {
    await expect(decompress(kind, packed, { maxBytes: MIXED.length - 1 })).rejects.toThrow(/^more than \d+ bytes/);
    expect(await decompress(kind, packed, { maxBytes: MIXED.length })).toHaveLength(MIXED.length);
  });
});

const SMALL = Object.entries(PACKERS)
  .filter(([, [kind]]) => kind !== "plain")
  .map(([name, [kind, pack]]) => ({ name, kind, packed: pack(TEXT.subarray(0, 30_000)) }));

test.each(SMALL)("$name cut short anywhere is refused", async ({ kind, packed }) => {
  const lengths = [0, 1, 3, 5, 6, 11, 12, 13, 17, 24, packed.length - 13, packed.length - 4, packed.length - 1];
  for (const length of lengths) {
    const error = await decompress(kind, packed.subarray(0, length), { ...LIMITS, at: 1000 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as FormatError).offset).toBeGreaterThanOrEqual(1000);
    expect((error as FormatError).offset).toBeLessThanOrEqual(1000 + length);
  }
});

test("damage is found by the checksum or before, wherever it is, and ends at once", async () => {
  // A zstd frame without a checksum can hide damage, and so can what no reader looks at (a file name in gzip's header).
  const checked = SMALL.filter(({ name }) => name.startsWith("xz") && name !== "xz, no check");
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...checked),
      fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      fc.integer({ min: 1, max: 255 }),
      async ({ kind, packed }, part, flip) => {
        const copy = Buffer.from(packed);
        const at = Math.floor(copy.length * part);
        copy[at] = (copy[at] ?? 0) ^ flip;
        const start = performance.now();
        await expect(decompress(kind, copy, { maxBytes: 1_000_000 })).rejects.toThrow(FormatError);
        expect(performance.now() - start).toBeLessThan(1_000);
      },
    ),
    { numRuns: 1_500 },
  );
});

test("damage in gz and zst ends in a refusal or in bytes, at once", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...SMALL.filter(({ kind }) => kind !== "xz")),
      fc.nat(400),
      fc.nat(255),
      async ({ kind, packed }, at, byte) => {
        const copy = Buffer.from(packed);
        copy[at % copy.length] = byte;
        const outcome = await decompress(kind, copy, { maxBytes: 1_000_000 }).catch((error: unknown) => error);
        expect(outcome instanceof Uint8Array || outcome instanceof FormatError).toBe(true);
      },
    ),
    { numRuns: 1_000 },
  );
});

test.each(["gz", "xz", "zst"] as const)("noise said to be %s is refused", async (kind) => {
  const magic = { gz: [0x1f, 0x8b, 8], xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], zst: [0x28, 0xb5, 0x2f, 0xfd] }[kind];
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (noise, begun) => {
      const bytes = begun ? Buffer.from([...magic, ...noise]) : noise;
      const outcome = await decompress(kind, bytes, LIMITS).catch((error: unknown) => error);
      expect(outcome instanceof FormatError || outcome instanceof Uint8Array).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("a zst file's skippable frames are skipped", async () => {
  const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
  const joined = Buffer.concat([skippable, zstdCompressSync("one "), skippable, zstdCompressSync("two"), skippable]);
  expect(Buffer.from(await decompress("zst", joined, LIMITS)).toString()).toBe("one two");
});

test("xz streams with padding between them are read on", async () => {
  const joined = Buffer.concat([xz(Buffer.from("one ")), Buffer.alloc(8), xz(Buffer.from("two")), Buffer.alloc(4)]);
  expect(Buffer.from(await decompress("xz", joined, LIMITS)).toString()).toBe("one two");
  await expect(decompress("xz", Buffer.concat([joined, Buffer.alloc(3)]), LIMITS)).rejects.toThrow(/multiple of 4/);
});

test.each(["crc32", "crc64", "sha256"])("a changed byte that only the %s of xz can tell is told", async (check) => {
  const packed = xz(randomBytes(1_000), `--check=${check}`);
  packed[500] = (packed[500] ?? 0) ^ 1;
  await expect(decompress("xz", packed, LIMITS)).rejects.toThrow(/does not match its checksum/);
});

test("an xz index of other blocks is told", async () => {
  const [one, other] = [xz(randomBytes(1_000)), xz(randomBytes(1_001))];
  const indexAt = (bytes: Buffer) => bytes.length - 12 - (bytes.readUInt32LE(bytes.length - 8) + 1) * 4;
  const mixed = Buffer.concat([one.subarray(0, indexAt(one)), other.subarray(indexAt(other))]);
  await expect(decompress("xz", mixed, LIMITS)).rejects.toThrow(/index does not match/);
});

test("an xz filter that we do not read is refused by its number, a too large zst window by its size", async () => {
  await expect(decompress("xz", xz(MIXED, "--x86", "--lzma2"), LIMITS)).rejects.toThrow(/filter 4/);
  await expect(decompress("zst", zstd(MIXED, "--long=31"), LIMITS)).rejects.toThrow(/too much memory/);
});

test.each(["gz", "xz", "zst"] as const)(
  "what follows the last member of %s is refused, and told where",
  async (kind) => {
    const packed = (PACKERS[kind] ?? [])[1]?.(TEXT) ?? Buffer.alloc(0);
    const error = await decompress(kind, Buffer.concat([packed, Buffer.from("something else")]), LIMITS).catch(
      (e) => e,
    );
    expect(error).toBeInstanceOf(FormatError);
    // zlib tells only how far it came before the last 64 KB.
    expect(error.offset).toBeGreaterThan(packed.length - (kind === "gz" ? 65_536 : 1));
  },
);

test("a ratio is a limit too", async () => {
  const bomb = gzipSync(Buffer.alloc(5_000_000));
  await expect(decompress("gz", bomb, { maxBytes: 1e9, maxRatio: 100 })).rejects.toThrow(/more than/);
  expect(await decompress("gz", gzipSync(TEXT), { maxBytes: 1e9, maxRatio: 100 })).toHaveLength(TEXT.length);
});

test("others get their turn while a large xz file is read", async () => {
  const packed = xz(Buffer.alloc(60_000_000), "-0");
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await decompress("xz", packed, LIMITS);
  clearInterval(timer);
  expect(turns).toBeGreaterThan(5);
});

test("works in a bundle, as the functions run", async () => {
  const source = `import { decompress } from "./shared/compression.ts";
    const bytes = Buffer.from(process.argv[1], "base64");
    console.log(Buffer.from(await decompress("xz", bytes, { maxBytes: 1000 })).toString());`;
  const bundle = await build({
    stdin: { contents: source, resolveDir: process.cwd(), loader: "ts" },
    bundle: true,
    platform: "node",
    format: "esm",
    write: false,
  });
  const code = bundle.outputFiles[0]?.text ?? "";
  const argument = xz(Buffer.from("from a bundle")).toString("base64");
  const told = execFileSync(process.execPath, ["--input-type=module", "--eval", code, argument], { encoding: "utf8" });
  expect(told.trim()).toBe("from a bundle");
});
