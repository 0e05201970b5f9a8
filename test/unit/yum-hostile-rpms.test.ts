import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type RangeSource, rangesOf } from "../../shared/blob.ts";
import { FormatError } from "../../shared/error.ts";
import { packageChunks } from "../../shared/yum/chunks.ts";
import { readRpm } from "../../shared/yum/rpm.ts";
import { TAG } from "../../shared/yum/tags.ts";
import { indexed } from "../support/createrepo.ts";
import { buildRpm, numbers, packHeader, texts } from "../support/rpm-builder.ts";

const WHOLE = buildRpm({
  epoch: 1,
  provides: [["sample", 8, "1:1.0-1"], ["é"]],
  requires: [["/bin/sh", 512], ["libc.so.6(GLIBC_2.14)(64bit)"]],
  files: [{ path: "/usr/bin/x" }, { path: "/etc/y", flags: 64 }],
  changelogs: [{ author: "A", date: 2, text: "t" }],
});
const SIGNATURE_START = 96;
const MAIN_START = WHOLE.indexOf(Buffer.from("8eade801", "hex"), SIGNATURE_START + 4);
const MEGABYTE = 1024 * 1024;

/** A source that counts, and that has zeros after `bytes` up to its size. */
function counted(bytes: Uint8Array, sizeBytes = bytes.length) {
  const asked: { offset: number; length: number }[] = [];
  const source: RangeSource = {
    sizeBytes,
    read: async (offset, length) => {
      asked.push({ offset, length });
      const wanted = Buffer.alloc(Math.max(Math.min(length, sizeBytes - offset), 0));
      wanted.set(bytes.subarray(offset, offset + wanted.length));
      return wanted;
    },
  };
  return { source, asked };
}

async function refusalOf(bytes: Uint8Array, sizeBytes = bytes.length): Promise<FormatError> {
  const error = await readRpm(counted(bytes, sizeBytes).source).then(
    () => new Error("it was read"),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof FormatError)) throw error;
  return error;
}

/** Read, or refused with a byte of the file. */
async function readsOrRefuses(bytes: Uint8Array): Promise<void> {
  try {
    packageChunks(await indexed("x.rpm", bytes));
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    expect(error.offset).toBeGreaterThanOrEqual(0);
    expect(error.offset).toBeLessThanOrEqual(bytes.length);
    expect(error.message).toMatch(/^[^\n]{10,300} \(at byte \d+\)$/);
  }
}

/** The sample with 32 bits changed. */
function patched(...changes: [offset: number, value: number][]): Buffer {
  const bytes = Buffer.from(WHOLE);
  for (const [offset, value] of changes) bytes.writeUInt32BE(value >>> 0, offset);
  return bytes;
}

describe("what is no sound rpm", () => {
  it("is refused wherever it is cut off", async () => {
    const head = WHOLE.length - "payload".length;
    for (let length = 0; length < head; length++) {
      const error = await refusalOf(WHOLE.subarray(0, length));
      expect(error.offset).toBeLessThanOrEqual(length);
      expect(error.message).toMatch(/the file ends before the .* does/);
    }
    await readRpm(rangesOf(WHOLE.subarray(0, head)));
  });

  it("is read or refused with its byte, whatever bytes are changed", async () => {
    const change = fc.tuple(fc.nat(WHOLE.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const bytes = Buffer.from(WHOLE);
        for (const [at, value] of changes) bytes[at] = value;
        await readsOrRefuses(bytes);
      }),
      { numRuns: 4000 },
    );
  });

  it("is read or refused with its byte, whatever numbers its index holds", async () => {
    const value = fc.constantFrom(
      0,
      1,
      2,
      9,
      10,
      15,
      0x7f,
      0xffff,
      0x10000,
      0x7fffffff,
      0x80000000,
      0xfffffff0,
      0xffffffff,
    );
    const word = fc.integer({ min: SIGNATURE_START / 4 + 2, max: Math.floor(WHOLE.length / 4) - 1 }).map((i) => i * 4);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(word, value), { minLength: 1, maxLength: 3 }), (changes) =>
        readsOrRefuses(patched(...changes)),
      ),
      { numRuns: 4000 },
    );
  });

  it("is refused when it is garbage, with or without the first bytes of an rpm", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), fc.nat(WHOLE.length), async (garbage, kept) => {
        await readsOrRefuses(garbage);
        await readsOrRefuses(Buffer.concat([WHOLE.subarray(0, kept), garbage]));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ["another file", Buffer.from("!<arch>\ndebian-binary   ".repeat(8)), 0, "no rpm"],
    ["a version 2 rpm", Buffer.from(WHOLE).fill(2, 4, 5), 4, "version 2"],
    ["another type of signature", Buffer.from(WHOLE).fill(1, 79, 80), 78, "type 1"],
    ["no signature header", patched([SIGNATURE_START, 0]), SIGNATURE_START, "no signature header begins here"],
    ["no main header", patched([MAIN_START, 0]), MAIN_START, "no main header begins here"],
    ["no tags", patched([MAIN_START + 8, 0]), MAIN_START + 8, "has 0 tags"],
    ["too many tags", patched([MAIN_START + 8, 0x10000]), MAIN_START + 8, "has 65536 tags"],
    ["too much data", patched([MAIN_START + 12, 65 * MEGABYTE]), MAIN_START + 12, "bytes of data, more than"],
    ["data to the end of numbers", patched([MAIN_START + 12, 0xffffffff]), MAIN_START + 12, "bytes of data, more than"],
    ["a type that is none", patched([MAIN_START + 36, 10]), MAIN_START + 32, "impossible type 10"],
    ["an offset outside", patched([MAIN_START + 40, 0x7fffffff]), MAIN_START + 32, "ends beyond the main header"],
    [
      "a count outside",
      patched([MAIN_START + 32, 1047], [MAIN_START + 36, 8], [MAIN_START + 44, 0xffffffff]),
      MAIN_START + 32,
      "4294967295 elements",
    ],
    ["no elements", patched([MAIN_START + 44, 0]), MAIN_START + 32, "has no elements"],
    ["two strings as one", patched([MAIN_START + 44, 2]), MAIN_START + 32, "is one string, but counts 2"],
    ["a tag out of place", patched([MAIN_START + 32, 63]), MAIN_START + 32, "out of place"],
  ])("%s is told with its byte", async (_, bytes, offset, message) => {
    const error = await refusalOf(bytes);
    expect(error.message).toContain(message);
    expect(error.offset).toBe(offset);
  });

  it("is refused without a name, a version, a release or an architecture", async () => {
    for (const tag of [TAG.NAME, TAG.VERSION, TAG.RELEASE, TAG.ARCH])
      expect((await refusalOf(buildRpm({ without: [tag] }))).message).toMatch(
        /has no (name|version|release|architecture)/,
      );
  });

  it("is refused where data lie over each other", async () => {
    const bytes = buildRpm();
    const main = bytes.indexOf(Buffer.from("8eade801", "hex"), SIGNATURE_START + 4);
    bytes.writeUInt32BE(0, main + 16 + 2 * 16 + 8);
    expect((await refusalOf(bytes)).message).toContain("inside the data of the tag before it");
  });

  it("is refused where a file is in no directory", async () => {
    const files = [{ path: "/a/x" }, { path: "/b/y" }];
    const outside = await refusalOf(buildRpm({ files, tags: [numbers(TAG.DIR_INDEXES, [0, 7])] }));
    expect(outside.message).toContain("directory 7, but only 2");
    const missing = await refusalOf(buildRpm({ files, tags: [numbers(TAG.DIR_INDEXES, [0])] }));
    expect(missing.message).toContain("2 files in 1 directories");
  });
});

describe("little is read", () => {
  it("of a 5 GB package only the head, in one request", async () => {
    const { source, asked } = counted(WHOLE, 5_000_000_000);
    expect((await readRpm(source)).name).toBe("sample");
    expect(asked).toEqual([{ offset: 0, length: 65_536 }]);
  });

  it("of a long head each byte once at most, in four requests", async () => {
    const files = Array.from({ length: 30_000 }, (_, i) => ({ path: `/usr/share/d${i % 90}/file-${i}` }));
    const signatureTags = [numbers(1000, [1]), { tag: 274, type: 8, values: Array(3000).fill("0".repeat(60)) }];
    const bytes = buildRpm({ files, signatureTags });
    const { source, asked } = counted(bytes, 5_000_000_000);
    const rpm = await readRpm(source);
    expect(rpm.files).toHaveLength(30_000);
    expect(asked.length).toBeLessThanOrEqual(4);
    const total = asked.reduce((sum, { length }) => sum + length, 0);
    expect(total).toBeLessThanOrEqual(rpm.headerEnd);
  });

  it("and nothing of a header that promises more than there can be", async () => {
    for (const promise of [65 * MEGABYTE, 0xffffffff]) {
      const { source, asked } = counted(patched([SIGNATURE_START + 12, promise]), 5_000_000_000);
      await expect(readRpm(source)).rejects.toThrow("bytes of data, more than");
      expect(asked).toHaveLength(1);
    }
  });
});

describe("what small bytes could blow up", () => {
  it.each([
    ["directories", TAG.DIR_NAMES, 1_000_001],
    ["files", TAG.BASE_NAMES, 1_000_001],
    ["old files", TAG.OLD_FILE_NAMES, 1_000_001],
    ["dependencies", TAG.PROVIDE_NAME, 200_001],
  ])("more %s than any package has are refused", async (_, tag, count) => {
    const many = texts(tag, Array(count).fill(""));
    const dirs = tag === TAG.BASE_NAMES ? [texts(TAG.DIR_NAMES, ["/"])] : [];
    const error = await refusalOf(buildRpm({ tags: [many, ...dirs] }));
    expect(error.message).toContain("more than");
    expect(error.offset).toBeGreaterThan(MAIN_START);
  });

  it("a store full of empty strings is looked through at once", async () => {
    const header = Buffer.from(packHeader([texts(TAG.DIR_NAMES, [""])], 63));
    header.writeUInt32BE(63 * MEGABYTE, 12);
    header.writeUInt32BE(62 * MEGABYTE, 16 + 8);
    header.writeUInt32BE(60_000_000, 16 + 16 + 12);
    const start = performance.now();
    await refusalOf(Buffer.concat([WHOLE.subarray(0, MAIN_START), header]), 5_000_000_000);
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  it("a long directory name in many paths is refused", async () => {
    const dir = `/${"d".repeat(500_000)}/`;
    const count = 100_000;
    const rpm = buildRpm({
      tags: [
        texts(TAG.BASE_NAMES, Array(count).fill("")),
        texts(TAG.DIR_NAMES, [dir]),
        numbers(TAG.DIR_INDEXES, Array(count).fill(0)),
        numbers(TAG.FILE_FLAGS, Array(count).fill(0)),
        numbers(TAG.FILE_MODES, Array(count).fill(0), 3),
      ],
    });
    expect((await refusalOf(rpm)).message).toContain("the paths together are over");
  });

  it("a text without end is refused", async () => {
    expect((await refusalOf(buildRpm({ description: "&".repeat(2 * MEGABYTE) }))).message).toContain(
      "a text of 2097152",
    );
  });
});
