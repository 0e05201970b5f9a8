import { execFileSync } from "node:child_process";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readDeb } from "../../shared/apt/deb.ts";
import { rangesOf } from "../../shared/blob.ts";
import { FormatError } from "../../shared/error.ts";
import { arOf, buildDeb, controlText, DEBIAN_BINARY, type RawMember, rawDeb, tarOf } from "../support/deb-builder.ts";

async function refusalOf(bytes: Uint8Array): Promise<FormatError> {
  const outcome = await readDeb(rangesOf(bytes)).catch((error: unknown) => error);
  if (outcome instanceof FormatError) return outcome;
  throw outcome instanceof Error ? outcome : new Error("it was read");
}

const tar = (text: string) => tarOf([{ name: "./control", content: text }]);
const withControl = (text: string) => rawDeb(tar(text));
const sound: RawMember[] = [
  DEBIAN_BINARY,
  { name: "control.tar", content: tar(controlText()) },
  { name: "data.tar", content: tarOf([]) },
];
const CONTROL_AT = 8 + 60 + 4;
const DATA_AT = CONTROL_AT + 60 + tar(controlText()).length;
const withMember = (index: number, change: Partial<RawMember>) =>
  arOf(sound.map((member, i) => (i === index ? { ...member, ...change } : member)));

describe("a file that is no sound .deb is refused with the reason and the byte", () => {
  const cases: [name: string, bytes: Uint8Array, message: RegExp, offset: number][] = [
    ["empty", Buffer.alloc(0), /^the file is empty/, 0],
    ["something else", Buffer.from("PK\x03\x04 a zip archive"), /ar magic/, 0],
    ["the old format", buildDeb({ options: ["--deb-format=0.939000"] }), /format 0\.93 .*build it again/, 0],
    ["a magic alone", Buffer.from("!<arch>\n"), /ends inside an ar member header/, 8],
    ["a first member that is not debian-binary", withMember(0, { name: "control.tar" }), /debian-binary is due/, 8],
    ["format 3", withMember(0, { content: Buffer.from("3.0\n") }), /says format "3.0"; only 2.x/, 68],
    ["no control archive", arOf([DEBIAN_BINARY]), /ends before its control and data archives/, 72],
    ["no data archive", arOf(sound.slice(0, 2)), /ends before/, DATA_AT],
    ["data first", arOf([DEBIAN_BINARY, { name: "data.tar", content: tarOf([]) }]), /control\.tar, .* due/, CONTROL_AT],
    [
      "control compressed by bzip2",
      withMember(1, { name: "control.tar.bz2" }),
      /control\.tar\.bz2" stands/,
      CONTROL_AT,
    ],
    ["a stranger before data", withMember(2, { name: "notes" }), /"notes" stands where data.tar is due/, DATA_AT],
    ["a GNU long name", withMember(1, { name: "/0" }), /name "\/0" is of a kind/, CONTROL_AT],
    ["a GNU name table", withMember(1, { name: "//" }), /name "\/\/" is of a kind/, CONTROL_AT],
    ["a BSD long name", withMember(1, { name: "#1/11" }), /name "#1\/11" is of a kind/, CONTROL_AT],
    ["a negative size", withMember(1, { size: "-1" }), /has the size "-1"/, CONTROL_AT],
    ["a size that is no number", withMember(1, { size: "0x200" }), /has the size "0x200"/, CONTROL_AT],
    ["a size with a sign", withMember(1, { size: "+200" }), /has the size "\+200"/, CONTROL_AT],
    ["no size", withMember(1, { size: "" }), /has the size ""/, CONTROL_AT],
    ["a size beyond the file", withMember(1, { size: "9999999999" }), /cut short.*lacks \d+ bytes/, CONTROL_AT],
    ["data cut short", Buffer.from(arOf(sound)).subarray(0, -5), /cut short: .*"data.tar" lacks 5/, DATA_AT],
    ["a header without its magic", withMember(1, { magic: "xx" }), /no ar member header/, CONTROL_AT],
    ["junk after data", Buffer.concat([arOf(sound), Buffer.alloc(70, "x")]), /no ar member header/, arOf(sound).length],
    [
      "a huge control archive",
      withMember(1, { content: Buffer.alloc(16 * 1024 * 1024 + 1) }),
      /over 16777216/,
      CONTROL_AT,
    ],
    ["no control file", rawDeb(tarOf([{ name: "./controls" }])), /holds no control file/, CONTROL_AT + 60],
    ["an empty control archive", rawDeb(Buffer.alloc(0)), /holds no control file/, CONTROL_AT + 60],
    [
      "two control files",
      rawDeb(
        tarOf([
          { name: "control", content: controlText() },
          { name: "./control", content: controlText() },
        ]),
      ),
      /two control files/,
      CONTROL_AT + 60 + 1024,
    ],
    ["a link for a control file", rawDeb(tarOf([{ name: "control", type: "2" }])), /no plain file/, CONTROL_AT + 60],
    [
      "a tar entry beyond its archive",
      rawDeb(tarOf([{ name: "x", size: 8 ** 10 }])),
      /longer than its archive/,
      CONTROL_AT + 60,
    ],
    ["a damaged tar header", rawDeb(tar(controlText()).fill("y", 0, 2)), /checksum/, CONTROL_AT + 60],
    [
      "gzip by name only",
      rawDeb(tar(controlText()), { name: "control.tar.gz" }),
      /damaged: incorrect header check/,
      CONTROL_AT + 60,
    ],
    [
      "not UTF-8",
      rawDeb(tarOf([{ name: "control", content: Buffer.from("Package: \xe9\n", "latin1") }])),
      /UTF-8/,
      132,
    ],
    ["an empty control file", withControl(""), /newline/, 132],
    ["empty lines only", withControl("\n\n"), /line 1: there is no paragraph/, 132],
    ["two paragraphs", withControl(`${controlText()}\n${controlText()}`), /line 7: a second paragraph/, 132],
    ["no final newline", withControl(controlText().trimEnd()), /last line does not end/, 132],
    ["a field twice", withControl(`${controlText()}PACKAGE: x\n`), /line 6, field PACKAGE: .* twice/, 132],
    ["a line that is no field", withControl(`${controlText()}oops\n`), /line 6: "oops" is no/, 132],
    ["a comment", withControl(`# x: y\n${controlText()}`), /line 1: "# x: y" is no/, 132],
    ["a continuation of nothing", withControl(` x\n${controlText()}`), /line 1: a continuation line/, 132],
    ["a blank line in a value", withControl(`${controlText()} a\n  \n b\n`), /line 7, field Description/, 132],
    ["a zero byte", withControl(`${controlText()} a\0b\n`), /line 6: a zero byte/, 132],
    ["no package", withControl("Version: 1\nArchitecture: all\n"), /field Package is missing/, 132],
    ["no version", withControl(controlText({ Version: "" })), /field Version is missing/, 132],
    ["no architecture", withControl("Package: x\nVersion: 1\n"), /field Architecture is missing/, 132],
    ["a bad name", withControl(controlText({ Package: "../x" })), /Package "\.\.\/x" should be lower-case/, 132],
    ["a bad version", withControl(controlText({ Version: "1/2" })), /Version "1\/2" should be/, 132],
    ["a bad architecture", withControl(controlText({ Architecture: "amd64 i386" })), /Architecture "amd64 i386"/, 132],
    ["a wildcard architecture", withControl(controlText({ Architecture: "any" })), /Architecture "any" should/, 132],
  ];

  test.each(cases)("%s", async (_, bytes, message, offset) => {
    const error = await refusalOf(bytes);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain("\n");
    expect(error.offset).toBe(offset);
    expect(error.message.endsWith(`(at byte ${offset})`)).toBe(true);
  });
});

describe("a bomb is stopped at the limit", () => {
  const zeros = Buffer.alloc(300_000_000);
  const xz = (input: Buffer, ...args: string[]) => execFileSync("xz", ["-c", ...args], { input, maxBuffer: 1e9 });
  test.each([
    ["gz", () => gzipSync(zeros, { level: 1 })],
    ["zst", () => zstdCompressSync(zeros)],
    ["xz", () => xz(zeros, "-0")],
    ["xz, many blocks", () => xz(zeros, "-0", "--block-size=1MiB")],
  ] as const)("%s", async (kind, pack) => {
    const bytes = rawDeb(pack(), { name: `control.tar.${kind.slice(0, 3).replace(",", "")}` });
    const before = process.memoryUsage.rss();
    const start = performance.now();
    const error = await refusalOf(bytes);
    expect(error.message).toMatch(/more than 67108864 bytes when decompressed/);
    expect(error.offset).toBeLessThan(bytes.length);
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(process.memoryUsage.rss() - before).toBeLessThan(250_000_000);
  });
});

describe("whatever is wrong with it, a file is read or refused: in bounded time, by an offset within it", () => {
  const padding = { controlFiles: { md5sums: "0123456789abcdef  usr/share/lab\n".repeat(300), postinst: "true\n" } };
  const samples = [
    buildDeb({ ...padding, options: ["-Zgzip"] }),
    buildDeb({ ...padding, options: ["-Zxz"] }),
    buildDeb({ ...padding, options: ["-Zzstd"] }),
    buildDeb({ ...padding, options: ["-Znone"] }),
    arOf([...sound, { name: "_gpgorigin", content: Buffer.from("signature") }]),
  ];
  const sample = fc.constantFrom(...samples);

  async function readOrRefused(bytes: Uint8Array): Promise<boolean> {
    const start = performance.now();
    let reads = 0;
    const source = rangesOf(bytes);
    const outcome = await readDeb({
      ...source,
      read: (offset, length) => {
        reads++;
        expect(offset).toBeGreaterThanOrEqual(0);
        expect(offset + length).toBeLessThanOrEqual(bytes.length);
        return source.read(offset, length);
      },
    }).catch((error: unknown) => error);
    expect(performance.now() - start).toBeLessThan(2_000);
    expect(reads).toBeLessThanOrEqual(70);
    if (!(outcome instanceof Error)) return true;
    expect(outcome).toBeInstanceOf(FormatError);
    const { offset } = outcome as FormatError;
    expect(Number.isInteger(offset) && offset >= 0 && offset <= bytes.length).toBe(true);
    return false;
  }

  test("cut anywhere, it is refused", async () => {
    await fc.assert(
      fc.asyncProperty(sample, fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), async (bytes, part) => {
        // The last byte may be padding. And the one with a signature is whole without it.
        const length = Math.floor((bytes.length - 1) * part);
        const whole = await readOrRefused(bytes.subarray(0, length));
        expect(whole && bytes !== samples[4]).toBe(false);
      }),
      { numRuns: 400 },
    );
  });

  test("with bytes changed", async () => {
    const change = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), to: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(
        sample,
        fc.array(change, { minLength: 1, maxLength: 8 }),
        fc.boolean(),
        async (bytes, changes, early) => {
          const copy = Buffer.from(bytes);
          for (const { at, to } of changes) copy[Math.floor(at * (early ? 400 : copy.length))] = to;
          await readOrRefused(copy);
        },
      ),
      { numRuns: 1_500 },
    );
  });

  test("with parts left out or doubled", async () => {
    const unit = fc.double({ min: 0, max: 1, noNaN: true });
    await fc.assert(
      fc.asyncProperty(sample, sample, unit, unit, async (one, other, a, b) => {
        const [left, right] = [Math.floor(one.length * a), Math.floor(other.length * b)];
        await readOrRefused(Buffer.concat([one.subarray(0, left), other.subarray(right)]));
      }),
      { numRuns: 400 },
    );
  });

  test("of members with arbitrary names, sizes and contents", async () => {
    const name = fc.oneof(
      fc.constantFrom(
        "debian-binary",
        "control.tar.gz",
        "control.tar.xz",
        "control.tar.zst",
        "control.tar",
        "data.tar",
        "_x",
      ),
      fc.string({ maxLength: 16, unit: "binary-ascii" }),
    );
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      fc.constantFrom(...samples.map((bytes) => bytes.subarray(132, 1500)), tar(controlText())),
    );
    const size = fc.option(fc.oneof(fc.nat().map(String), fc.string({ maxLength: 10, unit: "binary-ascii" })), {
      nil: undefined,
    });
    const member = fc
      .record({ name, content, size })
      .map(({ size, ...rest }) => (size === undefined ? rest : { ...rest, size }));
    await fc.assert(
      fc.asyncProperty(fc.array(member, { maxLength: 5 }), fc.boolean(), async (members, begun) => {
        await readOrRefused(arOf(begun ? [DEBIAN_BINARY, ...members] : members));
      }),
      { numRuns: 1_500 },
    );
  });

  test("of arbitrary tar entries", async () => {
    const entry = fc.record({
      name: fc.oneof(
        fc.constantFrom("control", "./control", "/control", "../control", "control/", "x".repeat(99)),
        fc.string(),
      ),
      type: fc.constantFrom("0", "1", "2", "5", "L", "K", "x", "g", "7", "S", "\0"),
      content: fc.oneof(
        fc.constant(controlText()),
        fc.constantFrom("12 path=abc\n", "99 path=a\n", "-1 a=b\n"),
        fc.string(),
      ),
      size: fc.option(fc.nat(2_000), { nil: undefined }),
    });
    const entries = fc.array(
      entry.map(({ size, ...rest }) => (size === undefined ? rest : { ...rest, size })),
      { maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(entries, async (list) => {
        await readOrRefused(rawDeb(tarOf(list)));
      }),
      { numRuns: 1_500 },
    );
  });

  test("of noise", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 3_000 }), fc.boolean(), async (noise, magic) => {
        await readOrRefused(magic ? Buffer.concat([Buffer.from("!<arch>\n"), noise]) : noise);
      }),
      { numRuns: 500 },
    );
  });

  test("with endless members", async () => {
    const many = Array.from({ length: 5_000 }, () => ({ name: "_x", content: Buffer.alloc(70_000 / 100) }));
    expect(await readOrRefused(arOf([DEBIAN_BINARY, ...many]))).toBe(false);
    expect(await readOrRefused(arOf([...sound, ...many]))).toBe(false);
  });
});
