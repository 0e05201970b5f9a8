import { createHash, randomBytes } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { readOnce } from "../../shared/binary/read-once.ts";
import { rangesOf, type Sha256 } from "../../shared/blob.ts";
import { type MemoryContext, memoryContext } from "../support/memory-context.ts";

const KB = 1024;
const hexOf = (name: string, bytes: Uint8Array) => createHash(name).update(bytes).digest("hex");

let ctx: MemoryContext;
let calls: string[];

beforeEach(() => {
  ctx = memoryContext();
  calls = [];
  const blobSource = async (sha256: Sha256) => rangesOf(await ctx.blobs.getBlob(sha256));
  Object.assign(ctx.objects, {
    openBlob: async (sha256: Sha256) => {
      calls.push("openBlob");
      return inChunks(await ctx.blobs.getBlob(sha256));
    },
    blobSource: async (sha256: Sha256) => {
      calls.push("blobSource");
      return blobSource(sha256);
    },
  });
});

async function* inChunks(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 60_000) yield bytes.subarray(at, at + 60_000);
}

describe("a blob that is read once", () => {
  test.each([0, 1, 100 * KB, 512 * KB, 3000 * KB])(
    "of %i bytes tells its digests, and its front without another request",
    async (size) => {
      const bytes = randomBytes(size);
      const { source, digests } = await readOnce(ctx, await ctx.blobs.putBlob(bytes), size);
      expect(digests).toEqual({ sha512: hexOf("sha512", bytes), sha1: hexOf("sha1", bytes), md5: hexOf("md5", bytes) });
      expect(source.sizeBytes).toBe(size);
      for (const [offset, length] of [
        [0, 8],
        [60_000 - 4, 8],
        [300 * KB, 100 * KB],
        [size - 1, 10],
      ] as const) {
        if (offset < 0 || Math.min(offset + length, size) > 512 * KB) continue;
        expect(bytes.subarray(offset, offset + length).equals(await source.read(offset, length))).toBe(true);
      }
      expect(calls).toEqual(["openBlob"]);
    },
  );

  test("has what lies behind its front read by ranges", async () => {
    const bytes = randomBytes(1000 * KB);
    const { source } = await readOnce(ctx, await ctx.blobs.putBlob(bytes), bytes.length);
    for (const [offset, length] of [
      [512 * KB - 1, 2],
      [999 * KB, 5000],
      [0, bytes.length],
    ] as const) {
      expect(bytes.subarray(offset, offset + length).equals(await source.read(offset, length))).toBe(true);
    }
    expect(calls).toEqual(["openBlob", "blobSource"]);
  });

  test("is refused where the store gives another length than it told", async () => {
    const sha256 = await ctx.blobs.putBlob(randomBytes(1000));
    for (const size of [999, 1001]) await expect(readOnce(ctx, sha256, size)).rejects.toThrow("has 1000 bytes");
  });
});

test("a blob that is too large to be read whole is read by ranges alone", async () => {
  const bytes = randomBytes(10);
  const { source, digests } = await readOnce(ctx, await ctx.blobs.putBlob(bytes), 64 * KB * KB + 1);
  expect(digests).toBeUndefined();
  expect(Buffer.from(await source.read(2, 4))).toEqual(bytes.subarray(2, 6));
  expect(calls).toEqual(["blobSource"]);
});
