import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decompress } from "../../shared/compression.ts";
import { Script, UNKNOWN } from "../../shared/xz-encode/script.ts";
import { type XzBlock, xzBlockOf, xzStreamOf } from "../../shared/xz-encode/stream.ts";
import { stanzas } from "../support/stanzas.ts";

const xz = (args: readonly string[], input: Uint8Array) =>
  execFileSync("xz", [...args], { input, maxBuffer: 64 * 1024 * 1024, stdio: ["pipe", "pipe", "pipe"] });
const packed = async (...parts: readonly Uint8Array[]) => {
  const blocks: XzBlock[] = [];
  for (const part of parts) blocks.push(await xzBlockOf(part));
  return xzStreamOf(blocks);
};
const unpacked = async (bytes: Uint8Array) =>
  Buffer.from(await decompress("xz", bytes, { maxBytes: 64 * 1024 * 1024 }));

/** Bytes that look random and are the same in every run. */
function noise(sizeBytes: number, seed = "noise"): Buffer {
  const parts: Buffer[] = [];
  for (let length = 0, turn = 0; length < sizeBytes; length += 64, turn += 1)
    parts.push(createHash("sha512").update(`${seed} ${turn}`).digest());
  return Buffer.concat(parts).subarray(0, sizeBytes);
}

/** Pieces that come again, near and far, whole and in part, amid bytes that don't. */
const pieces = fc
  .array(
    fc.oneof(
      fc.record({ fresh: fc.uint8Array({ maxLength: 60 }) }),
      fc.record({ letters: fc.stringMatching(/^[a-d]{0,50}$/) }),
      fc.record({ from: fc.nat(20_000), length: fc.nat(900) }),
      fc.record({ byte: fc.nat(255), times: fc.nat(700) }),
    ),
    { maxLength: 120 },
  )
  .map((parts) => {
    let bytes = Buffer.alloc(0);
    for (const part of parts) {
      if ("fresh" in part) bytes = Buffer.concat([bytes, part.fresh]);
      else if ("letters" in part) bytes = Buffer.concat([bytes, Buffer.from(part.letters)]);
      else if ("byte" in part) bytes = Buffer.concat([bytes, Buffer.alloc(part.times, part.byte)]);
      else bytes = Buffer.concat([bytes, bytes.subarray(part.from % (bytes.length + 1)).subarray(0, part.length)]);
    }
    return bytes;
  });

test("what is packed comes out again, by our decoder", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(pieces, { maxLength: 4 }), async (parts) => {
      expect((await unpacked(await packed(...parts))).equals(Buffer.concat(parts))).toBe(true);
    }),
    { numRuns: 150 },
  );
});

test.each([
  ["nothing", [Buffer.alloc(0)]],
  ["one byte", [Buffer.from("a")]],
  ["texts", [stanzas(700), stanzas(90, 700)]],
  ["bytes without any order, in chunks that grow by packing", [noise(300_000)]],
  ["one byte a million times", [Buffer.alloc(1_000_000, 7)]],
  ["a carry that runs through many bytes", [Buffer.concat([Buffer.alloc(3000, 0xff), noise(900), Buffer.alloc(3000)])]],
] as const)("xz takes it, and gives back %s", async (_, parts) => {
  const file = await packed(...parts);
  expect(xz(["-t"], file)).toHaveLength(0);
  expect(xz(["-dc"], file).equals(Buffer.concat(parts))).toBe(true);
  expect((await unpacked(file)).equals(Buffer.concat(parts))).toBe(true);
});

test("a file is one stream with a block for each part, and tells the sizes of each before it", async () => {
  const parts = [stanzas(50), stanzas(60, 50), Buffer.from("x")];
  const folder = mkdtempSync(join(tmpdir(), "packhouse-xz-"));
  try {
    writeFileSync(join(folder, "file.xz"), await packed(...parts));
    const lines = execFileSync("xz", ["--robot", "--list", "-vv", join(folder, "file.xz")])
      .toString()
      .split("\n");
    const of = (kind: string) => lines.map((line) => line.split("\t")).filter(([first]) => first === kind);
    expect(of("stream")).toHaveLength(1);
    // The eighth column is the length unpacked, the thirteenth the flags of the header: "c" and "u" where it tells the sizes.
    expect(of("block").map((columns) => [columns[7], columns[12]])).toEqual(
      parts.map(({ length }) => [String(length), "cu"]),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a file without blocks is that of no bytes", async () => {
  const file = xzStreamOf([]);
  expect(file).toHaveLength(32);
  expect(xz(["-dc"], file)).toHaveLength(0);
  expect(await unpacked(file)).toHaveLength(0);
});

test("stanzas are packed as small as xz packs them, and much smaller than gzip", async () => {
  const text = stanzas(512);
  const { length } = await packed(text);
  const judged = xz(["-c", "--check=crc32", "--lzma2=preset=6,lc=4,pb=0"], text).length;
  expect(length).toBeLessThan(judged * 1.01);
  expect(length).toBeLessThan(gzipSync(text).length * 0.9);
});

test("what comes again sixteen megabytes on is referred to, and one byte farther not", async () => {
  const again = noise(40_000);
  for (const [distance, least, most] of [
    [16_777_215, 40_000, 60_000],
    [16_777_216, 80_000, 100_000],
  ] as const) {
    const text = Buffer.concat([again, Buffer.alloc(distance - again.length), again]);
    const script = new Script();
    script.push(0, again.length + 1, UNKNOWN);
    for (let at = again.length + 1; at < distance; at += 273) script.push(at, Math.min(273, distance - at), 1);
    script.push(distance, again.length, UNKNOWN);
    const file = xzStreamOf([await xzBlockOf(text, script)]);
    expect(file.length).toBeGreaterThan(least);
    expect(file.length).toBeLessThan(most);
    expect(xz(["-dc"], file).equals(text)).toBe(true);
  }
});

test("a hash that comes again is referred to", async () => {
  const hashes = Array.from({ length: 200 }, (_, index) => createHash("sha256").update(String(index)).digest("hex"));
  const once = await packed(Buffer.from(hashes.map((hash) => `File: ${hash}\n`).join("")));
  const twice = await packed(Buffer.from(hashes.map((hash) => `File: ${hash}\nSHA256: ${hash}\n`).join("")));
  expect(twice.length).toBeLessThan(once.length * 1.2);
});

test("equal bytes make equal blocks", async () => {
  expect(await xzBlockOf(stanzas(100))).toEqual(await xzBlockOf(Buffer.from(stanzas(100))));
});

test("others get their turn while a large block is made", async () => {
  let turns = 0;
  const ticking = setInterval(() => {
    turns += 1;
  }, 1);
  await xzBlockOf(noise(700_000));
  clearInterval(ticking);
  expect(turns).toBeGreaterThan(3);
});
