import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compressionOfName, decompressStream, type StreamCompression } from "../../shared/decompress-stream.ts";
import { AppError, FormatError } from "../../shared/error.ts";
import { inPieces, joined, pack, pieceSizes } from "../support/index-streams.ts";

const KINDS: StreamCompression[] = ["gz", "xz", "zst", "bz2"];
const LIMITS = { maxBytes: 1 << 28 };

const unpack = (kind: StreamCompression, bytes: Uint8Array, sizes = [65_536], limits: object = {}) =>
  joined(decompressStream(kind, inPieces(bytes, sizes), { ...LIMITS, ...limits }));

const TEXT = Buffer.from(
  Array.from({ length: 4000 }, (_, i) => `Package: name-${i * 7919}\nVersion: ${i}.${i % 13}\n`).join(""),
);
/** What each packer has its special cases for: nothing, one byte, long runs, noise, every byte, more than a block. */
const CONTENTS: Record<string, Buffer> = {
  nothing: Buffer.alloc(0),
  "one byte": Buffer.from("x"),
  "runs of every length": Buffer.concat(Array.from({ length: 600 }, (_, i) => Buffer.alloc(i, 65 + (i % 3)))),
  "three million zeros": Buffer.alloc(3_000_000),
  "noise longer than a block": randomBytes(1_200_000),
  "every byte": Buffer.from(Array.from({ length: 256 }, (_, i) => 255 - i)),
  text: TEXT,
};

test("a name tells how a file is packed", () => {
  const names = ["a/Packages.xz", "b-primary.xml.zst", "x.bz2", "x.gz", "Packages", "gz", "primary.xml", "x.lzma"];
  expect(names.map(compressionOfName)).toEqual(["xz", "zst", "bz2", "gz", "plain", "plain", "plain", "plain"]);
});

describe.each(KINDS)("%s", (kind) => {
  test.each(Object.entries(CONTENTS))("%s comes out as it went in", async (_, content) => {
    expect((await unpack(kind, pack(kind, content))).equals(content)).toBe(true);
  });

  test("options of the packer", async () => {
    const options = {
      gz: ["-1", "-9"],
      xz: ["-0", "-9e", "--check=crc32", "--check=sha256", "--check=none", "--block-size=9000"],
      zst: ["-1", "--ultra", "--no-check", "--long=24"],
      bz2: ["-1", "-5"],
      plain: [],
    };
    for (const option of options[kind]) {
      const packed = pack(kind, TEXT, option);
      expect((await unpack(kind, packed)).equals(TEXT), option).toBe(true);
    }
  });

  test("any number of members, cut anywhere", async () => {
    const members = [CONTENTS["every byte"], CONTENTS.nothing, CONTENTS["runs of every length"], TEXT].map(
      (one) => one ?? TEXT,
    );
    const packed = Buffer.concat(members.map((one) => pack(kind, one)));
    const whole = Buffer.concat(members);
    await fc.assert(
      fc.asyncProperty(pieceSizes, async (sizes) => {
        expect((await unpack(kind, packed, sizes)).equals(whole)).toBe(true);
      }),
      { numRuns: 12 },
    );
    expect((await unpack(kind, packed, [1])).equals(whole)).toBe(true);
  });

  test("what ends too early is an error, wherever it ends", async () => {
    const packed = Buffer.concat([pack(kind, TEXT.subarray(0, 900)), pack(kind, "the end")]);
    const firstEnds = pack(kind, TEXT.subarray(0, 900)).length;
    for (let length = 0; length < packed.length; length++) {
      if (length === firstEnds) continue;
      const error = await unpack(kind, packed.subarray(0, length), [7]).catch((thrown: unknown) => thrown);
      expect(error, `${length} bytes`).toBeInstanceOf(FormatError);
      expect(String(error), `${length} bytes`).toMatch(/ends too early|unexpected end of file/);
    }
  });

  // What does not pack is stored as it is: there only the checksum tells.
  test.each([
    ["text", TEXT.subarray(0, 3000)],
    ["noise", randomBytes(2000)],
  ])("a changed byte in packed %s is an error or changes nothing", async (_, content) => {
    const packed = pack(kind, content);
    await fc.assert(
      fc.asyncProperty(fc.nat(packed.length - 1), fc.integer({ min: 1, max: 255 }), async (at, bits) => {
        const damaged = Buffer.from(packed);
        damaged[at] = (damaged[at] ?? 0) ^ bits;
        const result = await unpack(kind, damaged, [999]).catch((thrown: unknown) => thrown);
        if (result instanceof Buffer) expect(result.equals(content), `${at} ^ ${bits}`).toBe(true);
        else expect(result).toBeInstanceOf(AppError);
      }),
      { numRuns: 300 },
    );
  });

  test("noise, and noise behind a sound beginning, is an error", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 400 }),
        fc.boolean(),
        pieceSizes,
        async (noise, begun, sizes) => {
          // Zeros are what gzip and xz allow as padding.
          fc.pre(noise.some((byte) => byte !== 0));
          const bytes = begun ? Buffer.concat([pack(kind, "sound"), noise]) : noise;
          await expect(unpack(kind, bytes, sizes)).rejects.toThrow(AppError);
        },
      ),
      { numRuns: 40 },
    );
  });

  test("a bomb is stopped by its size and by its ratio, long before it is whole", async () => {
    const bomb = pack(kind, Buffer.alloc(40_000_000));
    let made = 0;
    const stopped = async (limits: { maxBytes: number; maxRatio?: number }) => {
      made = 0;
      for await (const chunk of decompressStream(kind, inPieces(bomb, [4096]), { ...limits, where: "x/Packages" }))
        made += chunk.length;
    };
    await expect(stopped({ maxBytes: 5_000_000 })).rejects.toThrow(
      /^x\/Packages: more than 5000000 bytes .*\(at byte \d+\)$/,
    );
    expect(made).toBeLessThanOrEqual(5_000_000);
    await expect(stopped({ maxBytes: 1e9, maxRatio: 200 })).rejects.toThrow(/x\/Packages: more than 200 times/);
    expect(made).toBeLessThan(8_000_000);
  });

  test("who stops reading closes the source, which was read no further than needed", async () => {
    const packed = pack(kind, randomBytes(12_000_000), ...(kind === "xz" ? ["-0"] : ["-1"]));
    let given = 0;
    let closed = false;
    async function* source() {
      try {
        for (let at = 0; at < packed.length; at += 65_536) {
          given = at;
          yield packed.subarray(at, at + 65_536);
        }
      } finally {
        closed = true;
      }
    }
    for await (const chunk of decompressStream(kind, source(), LIMITS)) if (chunk.length > 0) break;
    expect(closed).toBe(true);
    expect(given).toBeLessThan(3_000_000);
  });

  test("an error of the source is told as it is", async () => {
    const packed = pack(kind, TEXT);
    async function* source() {
      yield packed.subarray(0, 100);
      throw new Error("connection lost");
    }
    await expect(joined(decompressStream(kind, source(), { ...LIMITS, where: "x" }))).rejects.toThrow(
      /^connection lost$/,
    );
  });
});

test("zeros may pad gzip data, and nothing may follow them", async () => {
  const [first, second, zeros] = [pack("gz", "first"), pack("gz", "second"), Buffer.alloc(600)];
  for (const sizes of [[1], [65_536], [first.length]]) {
    expect(String(await unpack("gz", Buffer.concat([first, zeros]), sizes))).toBe("first");
    await expect(unpack("gz", Buffer.concat([first, zeros, second]), sizes)).rejects.toThrow(
      "something follows the end",
    );
  }
});

test("skippable zstd frames are skipped", async () => {
  const skippable = Buffer.concat([Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0xe8, 3, 0, 0]), randomBytes(1000)]);
  const packed = Buffer.concat([skippable, pack("zst", "a"), skippable, pack("zst", "b"), skippable]);
  expect(String(await unpack("zst", packed, [100]))).toBe("ab");
  await expect(unpack("zst", packed.subarray(0, -1), [100])).rejects.toThrow("ends too early");
});

test("an xz window that slides many times", async () => {
  // Far matches into a small dictionary, over some 12 MB.
  const part = randomBytes(60_000);
  const content = Buffer.concat(Array.from({ length: 200 }, (_, i) => Buffer.concat([part, Buffer.from(`turn ${i}`)])));
  const packed = pack("xz", content, "--lzma2=dict=64KiB");
  expect((await unpack("xz", packed, [5000])).equals(content)).toBe(true);
});

test("an xz index that does not match its blocks, though its own checksum is right", async () => {
  const packed = pack("xz", TEXT, "--block-size=20000");
  const footer = packed.length - 12;
  const start = footer - (packed.readUInt32LE(footer + 4) + 1) * 4;
  expect(packed[start]).toBe(0);
  // After the number of blocks, the first block's size.
  packed[start + 2] = (packed[start + 2] ?? 0) ^ 1;
  packed.writeUInt32LE(crc32(packed.subarray(start, footer - 4)), footer - 4);
  await expect(unpack("xz", packed)).rejects.toThrow("the xz index does not match the blocks before it");
});

test("an xz file that wants a huge dictionary is refused", async () => {
  const packed = pack("xz", TEXT, "--lzma2=dict=1GiB");
  await expect(unpack("xz", packed)).rejects.toThrow(/needs a dictionary of 1073741824 bytes; at most 67108864/);
});

test("thousands of members take no more than a moment", async () => {
  for (const kind of KINDS) {
    const packed = Buffer.concat(Array.from({ length: 3_000 }, () => pack1(kind)));
    const started = performance.now();
    expect((await unpack(kind, packed)).length).toBe(3_000);
    expect(performance.now() - started, kind).toBeLessThan(5_000);
  }
});

const packedOnce = new Map<StreamCompression, Buffer>();
function pack1(kind: StreamCompression): Buffer {
  const packed = packedOnce.get(kind) ?? pack(kind, "x");
  packedOnce.set(kind, packed);
  return packed;
}
