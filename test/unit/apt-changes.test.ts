import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readChanges } from "../../shared/apt/changes.ts";
import { readDsc } from "../../shared/apt/dsc.ts";
import { rangesOf, sha256Of } from "../../shared/blob.ts";
import { AppError } from "../../shared/error.ts";
import { changesOf } from "../support/sources.ts";

const SHA = "a".repeat(64);
const MD5 = "b".repeat(32);
const read = { dsc: readDsc, changes: readChanges } as const;
type Kind = keyof typeof read;

const HEADS: Record<Kind, string> = {
  dsc: "Format: 3.0 (quilt)\nSource: lab\nVersion: 1.0-1\nArchitecture: any\n",
  changes: "Format: 1.8\nSource: lab (1.0-1)\nVersion: 1.0-1+b1\nArchitecture: amd64\n",
};
const WORDS: Record<Kind, string> = { dsc: "", changes: " misc optional" };
const strong = (name: string, size = "3") => `\n ${SHA} ${size} ${name}`;
const weak = (kind: Kind, name: string, size = "3") => `\n ${MD5} ${size}${WORDS[kind]} ${name}`;
const text = (kind: Kind, files: string, sums: string) => `${HEADS[kind]}Checksums-Sha256:${sums}\nFiles:${files}\n`;
const sound = (kind: Kind, name = "lab_1.0.tar.gz") => text(kind, weak(kind, name), strong(name));

async function refusalOf(kind: Kind, content: string | Uint8Array): Promise<string> {
  const outcome = await read[kind](rangesOf(Buffer.from(content as string))).catch((error: unknown) => error);
  if (outcome instanceof AppError) return outcome.message;
  throw outcome instanceof Error ? outcome : new Error("it was read");
}

const KINDS: Kind[] = ["dsc", "changes"];

test.each(KINDS)("a sound .%s tells its source, its version and its files", async (kind) => {
  const { name, version, files } = await read[kind](rangesOf(Buffer.from(sound(kind))));
  expect({ name, version, files }).toEqual({
    name: "lab",
    version: kind === "dsc" ? "1.0-1" : "1.0-1+b1",
    files: [{ name: "lab_1.0.tar.gz", sizeBytes: 3, sha256: SHA, md5: MD5 }],
  });
});

test("lines that end as on other systems are read all the same", async () => {
  const { files } = await readDsc(rangesOf(Buffer.from(sound("dsc").replaceAll("\n", "\r\n"))));
  expect(files.map(({ name }) => name)).toEqual(["lab_1.0.tar.gz"]);
});

describe.each(KINDS)("a .%s is refused with what is wrong where it", (kind) => {
  const one = "x.tar.gz";
  const cases: [what: string, content: string | Uint8Array, message: RegExp][] = [
    ["is empty", "", /there is no paragraph/],
    ["is no text", Buffer.from([0x46, 0xff, 0xfe]), /not UTF-8/],
    ["is something else", "PK\x03\x04", /line 1: .* is no "Field: value"/],
    ["has a second paragraph", `${sound(kind)}\nSource: other\n`, /line 10: a second paragraph/],
    ["has a field twice", `${sound(kind)}Source: other\n`, /line 9, field Source: the field stands there twice/],
    ["has no format", sound(kind).replace(/^Format.*\n/, ""), /field Format is missing/],
    ["has another format", sound(kind).replace(/^Format.*\n/, "Format: deb\n"), /^Format "deb" should be/],
    ["has no source", sound(kind).replace(/^Source.*\n/m, ""), /field Source is missing/],
    [
      "has a source that is no name",
      sound(kind).replace(/^Source.*\n/m, "Source: ../lab\n"),
      /^Package "\.\.\/lab" should/,
    ],
    ["has no version", sound(kind).replace(/^Version.*\n/m, "Version:\n"), /field Version is missing/],
    ["has a wrong version", sound(kind).replace(/^Version.*\n/m, "Version: v1\n"), /^Version "v1" should be/],
    ["has no architecture", sound(kind).replace(/^Architecture.*\n/m, ""), /field Architecture is missing/],
    ["has no Files", sound(kind).replace(/^Files:\n.*\n/m, ""), /field Files: the field is missing/],
    [
      "has no Checksums-Sha256",
      sound(kind).replace(/^Checksums-Sha256:\n.*\n/m, ""),
      /Checksums-Sha256: the field is missing/,
    ],
    ["lists nothing", text(kind, "", ""), /field Files: it lists no files/],
    [
      "lists on the first line",
      text(kind, ` ${MD5} 3 x`, strong(one)),
      /field Files: its list begins on the line after/,
    ],
    [
      "names a file in one list alone",
      text(kind, weak(kind, one) + weak(kind, "y"), strong(one)),
      /Checksums-Sha256: y is missing/,
    ],
    ["names a file in the other alone", text(kind, weak(kind, one), strong(one) + strong("y")), /Files: y is missing/],
    [
      "has two sizes for a file",
      text(kind, weak(kind, one), strong(one, "4")),
      /x\.tar\.gz has 4 bytes, in Files it has 3/,
    ],
    [
      "names a file twice",
      text(kind, weak(kind, one) + weak(kind, one), strong(one)),
      /Files: line 2 of the list: x\.tar\.gz stands there twice/,
    ],
    [
      "has a wrong hash",
      text(kind, weak(kind, one), strong(one).replace("a", "g")),
      /Sha256: line 1 of the list: "g.* is no hash/,
    ],
    [
      "has a short hash",
      text(kind, weak(kind, one).slice(0, 2) + weak(kind, one).slice(3), strong(one)),
      /Files: line 1 .* is no hash/,
    ],
    ["has a negative size", text(kind, weak(kind, one), strong(one, "-3")), /"-3" is no number of bytes/],
    ["has a size beyond numbers", text(kind, weak(kind, one, "9".repeat(17)), strong(one)), /is no number of bytes/],
    [
      "has a word too many",
      text(kind, `${weak(kind, one)} more`, strong(one)),
      /Files: line 1 of the list: .* words, \d are due/,
    ],
    ["is over 4 MiB", `${sound(kind)}X: ${"x".repeat(4 * 1024 * 1024)}\n`, /bytes, over 4194304/],
    ["names too many files", text(kind, weak(kind, "x").repeat(1001), strong("x")), /it lists 1001 files, over \d+/],
    ["names another .changes", sound(kind, "other.changes"), /Files: other\.changes: /],
    [
      "begins a signature and ends none",
      `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n${sound(kind)}`,
      /does not end as one/,
    ],
  ];
  test.each(cases)("%s", async (_, content, message) => {
    expect(await refusalOf(kind, content)).toMatch(message);
  });

  test.each([
    "../x",
    "/x",
    "a/b",
    "..",
    ".",
    ".hidden",
    "-rf",
    "a\\b",
    "a%2fb",
    "ä",
    "a\u202eb",
    "a\u0000b",
    "x".repeat(201),
  ])("names a file %j, which is no plain name", async (name) => {
    expect(await refusalOf(kind, sound(kind, name))).toMatch(/is no plain file name|a zero byte/);
  });
});

test.each(KINDS)(
  "a .%s that lost, gained or changed bytes is read as something or refused, and never a fault",
  async (kind) => {
    const bytes = Buffer.from(sound(kind));
    const edit = fc.record({ at: fc.nat(bytes.length), drop: fc.nat(20), put: fc.uint8Array({ maxLength: 20 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
        let damaged = bytes;
        for (const { at, drop, put } of edits) {
          damaged = Buffer.concat([damaged.subarray(0, at), put, damaged.subarray(at + drop)]);
        }
        const outcome = await read[kind](rangesOf(damaged)).catch((error: unknown) => error);
        if (outcome instanceof AppError) return;
        if (outcome instanceof Error) throw outcome;
        for (const { name } of (outcome as { files: { name: string }[] }).files) expect(name).toMatch(/^[^/]+$/);
      }),
      { numRuns: 300 },
    );
  },
);

test("whatever files a .changes names, they are read back as they were", async () => {
  const name = fc
    .stringMatching(/^[A-Za-z0-9][A-Za-z0-9._+~:@^=-]{0,60}$/)
    .filter((text) => !text.endsWith(".changes"));
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.tuple(name, fc.uint8Array()), { selector: ([one]) => one, minLength: 1, maxLength: 20 }),
      async (wanted) => {
        const files = wanted.map(([one, bytes]) => ({ name: one, bytes: Buffer.from(bytes) }));
        const found = await readChanges(rangesOf(changesOf(files).bytes));
        expect(found.files.map(({ md5: _, ...file }) => file)).toEqual(
          files.map(({ name: one, bytes }) => ({ name: one, sizeBytes: bytes.length, sha256: sha256Of(bytes) })),
        );
      },
    ),
    { numRuns: 100 },
  );
});
