import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { Room } from "../../shared/publication/room.ts";
import { textsOf } from "../../shared/publication/warm-fragments.ts";
import { memoryBlobs } from "../support/memory-blobs.ts";

const MB = 1 << 20;

/** A fragment of so many bytes, each of them `fill`. */
function memberOf(fill: string, plainBytes: number) {
  const packed = gzipSync(Buffer.alloc(plainBytes, fill));
  return { packed, fragment: { sha256: sha256Of(packed), sizeBytes: packed.length, plainBytes } };
}

describe("the texts that a process keeps", () => {
  test("are unpacked once, by whichever index they are asked for", async () => {
    const store = memoryBlobs();
    const [a, b] = [memberOf("a", 1000), memberOf("b", 1000)];
    const text = await textsOf(store, [a.fragment])(a);
    expect(Buffer.from(text).toString()).toBe("a".repeat(1000));
    expect(await textsOf(store, [b.fragment, a.fragment])(a)).toBe(text);
    expect(await textsOf(memoryBlobs(), [a.fragment])(a)).not.toBe(text);
  });

  test("are none of an index that is longer than all that may be kept", async () => {
    const store = memoryBlobs();
    const member = memberOf("a", 1000);
    const fits = { ...member.fragment, plainBytes: 48 * MB - 1000 };
    const text = await textsOf(store, [member.fragment, { ...fits, plainBytes: fits.plainBytes + 1 }])(member);
    const later = await textsOf(store, [member.fragment, fits])(member);
    expect(later).not.toBe(text);
    expect(await textsOf(store, [member.fragment])(member)).toBe(later);
  });

  test("are no more than 48 MB; the one that was not asked for the longest goes", async () => {
    const store = memoryBlobs();
    const ask = (member: ReturnType<typeof memberOf>) => textsOf(store, [member.fragment])(member);
    const [a, b, c] = [memberOf("a", 20 * MB), memberOf("b", 20 * MB), memberOf("c", 20 * MB)] as const;
    const [first, second] = [await ask(a), await ask(b)];
    const before = (await ask(a)) === first;
    await ask(c);
    expect([before, (await ask(a)) === first, (await ask(b)) === second]).toEqual([true, true, false]);
  });
});

describe("the memory that indexes are joined in", () => {
  const lent = (room: Room, sizeBytes: number) => room.lend(sizeBytes, async (bytes) => bytes);

  test("is the same for one after the other, also for one that is a little longer", async () => {
    const room = new Room();
    const first = await lent(room, 1600);
    const second = await lent(room, 1700);
    expect([first.length, second.length, second.buffer === first.buffer]).toEqual([1600, 1700, true]);
    expect((await lent(room, 1701)).buffer).not.toBe(first.buffer);
  });

  test("is not shared by two at once; the larger one stays", async () => {
    const room = new Room();
    const buffers = await room.lend(1000, async (outer) => [outer.buffer, (await lent(room, 100)).buffer] as const);
    expect(buffers[1]).not.toBe(buffers[0]);
    expect((await lent(room, 1000)).buffer).toBe(buffers[0]);
  });

  test("is left alone after a failure: who was to write it may be reading it still", async () => {
    const room = new Room();
    const seen: unknown[] = [];
    const failed = room.lend(1000, async (bytes) => {
      seen.push(bytes.buffer);
      throw new Error("no room");
    });
    await expect(failed).rejects.toThrow("no room");
    expect((await lent(room, 1000)).buffer).not.toBe(seen[0]);
  });
});
