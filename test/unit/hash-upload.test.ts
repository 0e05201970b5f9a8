import { randomBytes } from "node:crypto";
import { beforeEach, expect, test } from "vitest";
import { hashUpload } from "../../shared/binary/hash-upload.ts";
import { sha256Of } from "../../shared/blob.ts";
import type { Incoming } from "../../shared/objects/s3.ts";
import { keys } from "../../shared/store/keys.ts";
import { type MemoryContext, memoryContext } from "../support/memory-context.ts";

const MIB = 1024 ** 2;
const READ = 4 * MIB;
const ID = "0123456789abcdef0123456789abcdef";
const BYTES = randomBytes(46 * MIB + 3);
const never = () => false;

let ctx: MemoryContext;
/** Offsets that were read, and what happens at each. */
let reads: number[];
let onRead: (offset: number) => void | Promise<void>;
let incoming: Incoming;

beforeEach(() => {
  ctx = memoryContext();
  reads = [];
  onRead = () => {};
  incoming = { eTag: '"one"', sizeBytes: BYTES.length, binary: "a/b/c/d/e", sha256: undefined };
  ctx.objects.incomingSource = () => ({
    sizeBytes: BYTES.length,
    async read(offset, length) {
      reads.push(offset);
      await onRead(offset);
      return BYTES.subarray(offset, offset + length);
    },
  });
});

test("the hash is that of all the bytes, in order, however late each read answers", async () => {
  onRead = (offset) => new Promise((resolve) => setTimeout(resolve, offset % (3 * READ) === 0 ? 20 : 1));
  expect(await hashUpload(ctx, ID, incoming, never)).toBe(sha256Of(BYTES));
  // Asked again it is told from what was written down.
  reads = [];
  expect(await hashUpload(ctx, ID, incoming, never)).toBe(sha256Of(BYTES));
  expect(reads).toEqual([]);
});

test("who takes over after a death goes on where it was last written down", async () => {
  onRead = (offset) => {
    ctx.clock.ms += 6_000;
    if (offset >= 9 * READ) throw new Error("killed");
  };
  await expect(hashUpload(ctx, ID, incoming, never)).rejects.toThrow("killed");
  const at = Number((await ctx.table.get(keys.uploadHash(ID)))?.offset);
  expect(at).toBeGreaterThan(0);
  const after = ctx.restarted();
  after.objects.incomingSource = ctx.objects.incomingSource;
  onRead = () => {};
  reads = [];
  expect(await hashUpload(after, ID, incoming, never)).toBe(sha256Of(BYTES));
  expect(reads[0]).toBe(at);
  expect(reads.length).toBe(Math.ceil((BYTES.length - at) / READ));
});

test("an upload that is another object by now is read from its beginning", async () => {
  let over = 0;
  expect(await hashUpload(ctx, ID, incoming, () => ++over > 3)).toBe("over");
  reads = [];
  expect(await hashUpload(ctx, ID, { ...incoming, eTag: '"two"' }, never)).toBe(sha256Of(BYTES));
  expect(reads[0]).toBe(0);
});

test("a state that this build cannot read is read anew", async () => {
  let over = 0;
  await hashUpload(ctx, ID, incoming, () => ++over > 3);
  await ctx.table.update(keys.uploadHash(ID), { set: { state: Buffer.alloc(116).toString("base64") } });
  reads = [];
  expect(await hashUpload(ctx, ID, incoming, never)).toBe(sha256Of(BYTES));
  expect(reads[0]).toBe(0);
});

test("of two the later goes on, and the earlier stops at its next write", async () => {
  let second: Promise<unknown> | undefined;
  onRead = (offset) => {
    ctx.clock.ms += 20_000;
    if (offset === 3 * READ && !second) second = hashUpload(ctx, ID, incoming, never);
  };
  expect(await hashUpload(ctx, ID, incoming, never)).toBe("taken");
  expect(await second).toBe(sha256Of(BYTES));
});

test("no more than four reads are in memory at a time", async () => {
  let open = 0;
  let most = 0;
  onRead = async () => {
    open += 1;
    most = Math.max(most, open);
    await new Promise((resolve) => setImmediate(resolve));
    open -= 1;
  };
  await hashUpload(ctx, ID, incoming, never);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(4);
});

test("bytes that end early are no hash", async () => {
  await expect(hashUpload(ctx, ID, { ...incoming, sizeBytes: BYTES.length + 1 }, never)).rejects.toThrow("ended at");
});
