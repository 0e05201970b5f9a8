import { execFileSync } from "node:child_process";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import type { StreamCompression } from "../../shared/decompress-stream.ts";

const PACKERS: Readonly<Record<Exclude<StreamCompression, "plain">, string[]>> = {
  gz: ["gzip", "-c"],
  xz: ["xz", "-c"],
  zst: ["zstd", "-q", "-c"],
  bz2: ["bzip2", "-c"],
};

/** As the real program packs it. */
export function pack(kind: StreamCompression, bytes: Uint8Array | string, ...options: string[]): Buffer {
  if (kind === "plain") return Buffer.from(bytes);
  const [program = "", ...args] = PACKERS[kind];
  return execFileSync(program, [...args, ...options], { input: bytes, maxBuffer: 1 << 30 });
}

/** The bytes in pieces of these sizes, over and over; each piece is overwritten once the next is asked for, as a reused buffer would be. */
export async function* inPieces(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array, void> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    const piece = Uint8Array.from(bytes.subarray(at, at + size));
    at += size;
    yield piece;
    piece.fill(0x3f);
  }
}

/** Piece sizes for `inPieces`: at least one is not empty. */
export const pieceSizes = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 1, max: 200_000 })), { minLength: 1, maxLength: 5 })
  .filter((sizes) => sizes.some((size) => size > 0));

export async function joined(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

export async function listed<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
}

/** What stays in memory while a stream is read, at most, above what was there before. */
export async function growthBytes(work: (measure: () => void) => Promise<void>): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc");
  const held = () => {
    collectGarbage();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  await setImmediate();
  const before = held();
  let most = 0;
  await work(() => {
    most = Math.max(most, held() - before);
  });
  return most;
}
