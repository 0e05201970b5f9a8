import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { letGo } from "../../shared/let-go.ts";
import { Room } from "../../shared/publication/room.ts";
import { textsOf, warmFragments } from "../../shared/publication/warm-fragments.ts";
import { memoryBlobs } from "../support/memory-blobs.ts";

const MB = 1 << 20;

/** A fragment of so many bytes, each of them `fill`. */
function memberOf(fill: string, plainBytes: number) {
  const packed = gzipSync(Buffer.alloc(plainBytes, fill));
  return { packed, fragment: { sha256: sha256Of(packed), sizeBytes: packed.length, plainBytes } };
}

describe("the texts that a process keeps", () => {
  type Member = ReturnType<typeof memberOf>;
  /** Asks for the text of a fragment, of an index of it and others that was joined before. */
  const start = () => {
    const store = memoryBlobs();
    return (member: Member, ...others: Member["fragment"][]) => {
      const fragments = [member.fragment, ...others];
      for (const { sha256 } of fragments) warmFragments(store).packed.keep(sha256, Buffer.alloc(1), 1);
      return textsOf(store, fragments, { mayKeep: true })(member);
    };
  };

  test("are unpacked once, by whichever index they are asked for", async () => {
    const ask = start();
    const [a, b] = [memberOf("a", 1000), memberOf("b", 1000)];
    const { bytes } = await ask(a);
    expect(Buffer.from(bytes).toString()).toBe("a".repeat(1000));
    expect((await ask(a, b.fragment)).bytes).toBe(bytes);
    expect((await start()(a)).bytes).not.toBe(bytes);
  });

  test("are none of an index that is longer than all that may be kept", async () => {
    const ask = start();
    const member = memberOf("a", 1000);
    const fits = { ...member.fragment, plainBytes: 48 * MB - 1000 };
    const { bytes } = await ask(member, { ...fits, plainBytes: fits.plainBytes + 1 });
    const later = await ask(member, fits);
    expect(later.bytes).not.toBe(bytes);
    expect((await ask(member)).bytes).toBe(later.bytes);
  });

  test("are no more than 48 MB; the one that was not asked for the longest goes", async () => {
    const ask = start();
    const [a, b, c] = [memberOf("a", 20 * MB), memberOf("b", 20 * MB), memberOf("c", 20 * MB)] as const;
    const [first, second] = [await ask(a), await ask(b)];
    const before = (await ask(a)) === first;
    await ask(c);
    expect([before, (await ask(a)) === first, (await ask(b)) === second]).toEqual([true, true, false]);
  });

  test("give their memory back when they are not kept any more and all who read them are done", async () => {
    const ask = start();
    const [a, b, c] = [memberOf("a", 20 * MB), memberOf("b", 20 * MB), memberOf("c", 20 * MB)] as const;
    const [first, again] = [await ask(a), await ask(a)];
    first.done();
    (await ask(b)).done();
    expect(first.bytes.length).toBe(20 * MB);
    (await ask(c)).done();
    expect(again.bytes.length).toBe(20 * MB);
    again.done();
    expect(again.bytes.length).toBe(0);
    const unkept = await ask(b, { ...b.fragment, plainBytes: 48 * MB });
    const other = await ask(b);
    unkept.done();
    expect([unkept.bytes === other.bytes, other.bytes.length]).toEqual([true, 20 * MB]);
  });

  test("are those of an index of which all but an eighth was joined before", async () => {
    const members = Array.from({ length: 16 }, (_, index) => memberOf(String.fromCharCode(97 + index), 1000));
    const fragments = members.map(({ fragment }) => fragment);
    const isKept = async (known: number) => {
      const store = memoryBlobs();
      const textOf = (member: Member) => textsOf(store, fragments, { mayKeep: true })(member);
      for (const { sha256 } of fragments.slice(0, known)) warmFragments(store).packed.keep(sha256, Buffer.alloc(1), 1);
      const [member = memberOf("a", 1000)] = members;
      const first = await textOf(member);
      return (await textOf(member)) === first;
    };
    expect([await isKept(14), await isKept(13)]).toEqual([true, false]);
  });

  test("that are not kept go when they are done with", async () => {
    const member = memberOf("a", MB);
    const texts = [
      await start()(member, { ...member.fragment, plainBytes: 48 * MB }),
      await textsOf(memoryBlobs(), [member.fragment], { mayKeep: false })(member),
    ];
    for (const text of texts) {
      expect(text.bytes.length).toBe(MB);
      text.done();
      expect(text.bytes.length).toBe(0);
    }
  });
});

describe("bytes that are let go of", () => {
  test("are gone where they are all of their memory", () => {
    const whole = Buffer.allocUnsafeSlow(100_001).subarray(0, 100_000);
    letGo(whole);
    expect(whole.length).toBe(0);
  });

  test.each([
    ["part of something larger", () => Buffer.allocUnsafeSlow(200_000).subarray(0, 100_000)],
    ["the end of something larger", () => Buffer.allocUnsafeSlow(200_000).subarray(100_000)],
    ["behind a single byte", () => Buffer.allocUnsafeSlow(100_001).subarray(1)],
    ["short", () => Buffer.allocUnsafeSlow(1000)],
    ["shared with other threads", () => new Uint8Array(new SharedArrayBuffer(100_000))],
  ])("stay where they are %s", (_, make) => {
    const bytes = make();
    const { length } = bytes;
    letGo(bytes);
    expect(bytes.length).toBe(length);
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
