import { rmSync } from "node:fs";
import * as fc from "fast-check";
import { XMLValidator } from "fast-xml-parser";
import { describe, expect, it } from "vitest";
import { rangesOf } from "../../shared/blob.ts";
import { readRpm } from "../../shared/yum/rpm.ts";
import { TAG } from "../../shared/yum/tags.ts";
import { createrepo, KINDS, ours } from "../support/createrepo.ts";
import { buildRpm, numbers, type RpmSpec, type Sense, text, texts, translated } from "../support/rpm-builder.ts";

const latin1 = (value: string) => Buffer.from(value, "latin1");
const INT64 = 5;
const GHOST = 64;
const DIRECTORY = 0o40755;
const PREREQ = 64;
const MISSINGOK = 1 << 19;
const STRONG = 1 << 27;
const BARE = [{ path: "a.spec" }, { path: "a.tar.gz" }];

/** Headers that rpmbuild does not make any more, or never did. */
const ODD: Record<string, RpmSpec> = {
  "nothing more than it needs": {},
  "a source package": { source: true, files: BARE },
  "a source package of before rpm 4.6": { without: [TAG.SOURCE_RPM], files: BARE, oldFileNames: true, region: false },
  "no source named": { without: [TAG.SOURCE_RPM] },
  "no source named, no region": { without: [TAG.SOURCE_RPM], region: false },
  "a package of before rpm 4": {
    name: "old",
    epoch: 3,
    region: false,
    oldFileNames: true,
    provides: [["a"]],
    requires: [["old", 8, "3:1.0-1"], ["/usr/bin/x"], ["/etc/q"], ["/opt/q"]],
    files: [
      { path: "/usr/bin/x" },
      { path: "/etc", mode: DIRECTORY },
      { path: "/etc/q", flags: GHOST },
      { path: "/opt/q" },
    ],
  },
  "provides without versions": {
    region: false,
    provides: [["a"], ["b"]],
    without: [TAG.PROVIDE_FLAGS, TAG.PROVIDE_VERSION],
  },
  "provides without flags": { region: false, provides: [["a"], ["b"]], without: [TAG.PROVIDE_FLAGS] },
  "requires without flags": { requires: [["a"], ["b", 8, "1"]], without: [TAG.REQUIRE_FLAGS] },
  "fewer flags than names": { requires: [["a"], ["b"]], tags: [numbers(TAG.REQUIRE_FLAGS, [0])] },
  "both kinds of file names": { files: [{ path: "/x" }], tags: [texts(TAG.OLD_FILE_NAMES, ["/old"])] },
  "files without flags": { files: [{ path: "/usr/bin/x" }], without: [TAG.FILE_FLAGS] },
  "every sort of file": {
    files: [
      { path: "/etc/g", mode: DIRECTORY, flags: GHOST },
      { path: "/etc/l", mode: 0o120777 },
      { path: "/usr/lib/sendmail" },
      { path: "/usr/lib/sendmail2" },
      { path: "/opt/sbin/", mode: DIRECTORY },
      { path: "/cabin/y", flags: GHOST },
      { path: "/", mode: DIRECTORY },
      { path: "/a\tb\rc\nd" },
      { path: "/é/ü" },
    ],
  },
  "libc's symbol versions": {
    requires: [
      ["libc.so.6"],
      ["libc.so.6()(64bit)"],
      ["z"],
      ["libc.so.6(GLIBC_2.4)"],
      ["libc.so.6(GLIBC_2.14)(64bit)"],
      ["libc.so.6(GLIBC_PRIVATE)"],
      ["y"],
    ],
  },
  "libc without symbol versions": { requires: [["libc.so.6"], ["libc.so.6()(64bit)"]] },
  "needs that are met, repeated or nonsense": {
    files: [{ path: "/usr/bin/x" }, { path: "/opt/x" }],
    provides: [
      ["p", 8, "1"],
      ["p", 8, "1"],
    ],
    requires: [
      ...["a", "b", "a"].map((name): Sense => [name]),
      ["a", 8, "1"],
      ["a"],
      ["a", PREREQ],
      ["p", 8, "1"],
      ["p"],
      ["/usr/bin/x"],
      ["/opt/x"],
      ["rpmlib(x)", 8, "1"],
      ["weak", MISSINGOK],
      [""],
      ...[":1-2-3", "x:1", " +7:1-", "", "-3", "1:", "2:3:4-5-6"].map((version, i): Sense => [`v${i}`, 8, version]),
      ["v0", 0, "x:1"],
      ["v1", 6, "1"],
    ],
    recommends: [["", 0]],
  },
  "weak dependencies of old": {
    recommends: [["r"]],
    tags: [
      texts(TAG.OLD_SUGGEST_NAME, ["s1", "s2"]),
      texts(TAG.OLD_SUGGEST_VERSION, ["", "1"]),
      numbers(TAG.OLD_SUGGEST_FLAGS, [0, STRONG | 8]),
      texts(TAG.OLD_ENHANCE_NAME, ["e1", "e2"]),
      texts(TAG.OLD_ENHANCE_VERSION, ["", "1"]),
      numbers(TAG.OLD_ENHANCE_FLAGS, [0, STRONG | 8]),
    ],
  },
  "changelogs of one date": {
    changelogs: [0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 9, 9, 9].map((ago, i) => ({
      author: `a${i}  `,
      date: 100 - ago,
      text: `t${i}`,
    })),
  },
  "changelogs of the year 1970": { changelogs: [" ", "  x "].map((author) => ({ author, date: 0, text: "" })) },
  "large sizes": {
    tags: [numbers(TAG.LONG_SIZE, [5_000_000_000n], INT64)],
    without: [TAG.SIZE],
    signatureTags: [numbers(TAG.LONG_ARCHIVE_SIZE, [7_777_777_777n], INT64)],
  },
  "the archive's size in the signature header": { signatureTags: [numbers(1007, [77])] },
  translations: {
    tags: [
      texts(100, ["C", "de"]),
      translated(TAG.SUMMARY, ["one", "eins"]),
      translated(TAG.DESCRIPTION, ["two", "zwei"]),
    ],
  },
  "texts of other types": {
    tags: [text(TAG.SUMMARY, "plain"), texts(TAG.DESCRIPTION, ["one"]), texts(TAG.URL, ["u1", "u2"])],
  },
  "texts that are empty or missing": {
    tags: [text(TAG.SUMMARY, ""), text(TAG.URL, "")],
    without: [TAG.LICENSE, TAG.GROUP, TAG.BUILD_TIME],
  },
  "Latin-1": {
    summary: latin1("caf\xe9 \x93q\x94"),
    requires: [[latin1("r\xe9"), 8, "1"]],
    changelogs: [{ author: latin1("J\xfcrgen \x80  "), date: 5, text: latin1("\xdf\r\n\t<") }],
  },
};

const NAMES = [
  "a",
  "b",
  "/usr/bin/x",
  "/opt/x",
  "/etc/x",
  "libc.so.6",
  "libc.so.6(GLIBC_2.4)",
  "libc.so.6(GLIBC_2.14)(64bit)",
  "libc.so.6()(64bit)",
  "libc.so.6(X",
  "libc.so.6(ABC)",
  "rpmlib(x)",
  "(a or b)",
  "",
  "sample",
];
const VERSIONS = ["", "1", "1:2-3", "x:1", ":1", "1-", "-1", " 1:2", "+1:2", "1:2:3-4-5", "0:1.0-1", "1.0-1"];
const SENSES = [0, 2, 4, 8, 10, 12, 14, 6, PREREQ, 512, 1024, 2048, MISSINGOK, MISSINGOK | 8, 1 << 24];
const PIECES = ["x", " ", "<", ">", "&", '"', "'", "\t", "\n", "\r", "é", "😀", "]]>"].map((piece) =>
  Buffer.from(piece),
);
const LATIN = ["\xe9", "\x93", "\xfc", "\xdf"].map(latin1);
const LEFT_OUT = [
  TAG.REQUIRE_FLAGS,
  TAG.REQUIRE_VERSION,
  TAG.PROVIDE_FLAGS,
  TAG.PROVIDE_VERSION,
  TAG.FILE_MODES,
  TAG.FILE_FLAGS,
  TAG.SOURCE_RPM,
  TAG.SOURCE_PACKAGE,
  TAG.SUMMARY,
  TAG.BUILD_TIME,
  TAG.SIZE,
];
const PATHS = ["/usr/bin/x", "/opt/x", "/etc/x", "/usr/lib/sendmail", "a.spec", "b", "/é/<&>"];

const anyText = fc
  .array(fc.constantFrom(...PIECES, ...LATIN), { minLength: 1, maxLength: 6 })
  .map((parts) => Buffer.concat(parts));
const senses = fc.array(fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(...SENSES), fc.constantFrom(...VERSIONS)), {
  maxLength: 9,
});
const anySpec = fc.record({
  epoch: fc.option(fc.constantFrom(0, 1, 4_000_000_000), { nil: undefined }),
  version: fc.constantFrom("1.0", "1~rc", "2^git"),
  source: fc.boolean(),
  region: fc.boolean(),
  oldFileNames: fc.boolean(),
  summary: anyText,
  description: anyText,
  provides: senses,
  requires: senses,
  conflicts: senses,
  recommends: senses,
  supplements: senses,
  files: fc.uniqueArray(
    fc.record({
      path: fc.constantFrom(...PATHS),
      mode: fc.constantFrom(0o100644, DIRECTORY),
      flags: fc.constantFrom(0, GHOST),
    }),
    { selector: ({ path }) => path },
  ),
  changelogs: fc.array(fc.record({ author: anyText, date: fc.nat(3), text: anyText }), { maxLength: 13 }),
  without: fc.subarray(LEFT_OUT, { maxLength: 2 }),
}) as fc.Arbitrary<RpmSpec>;

/** Builds them all, has createrepo_c index them in one run, and compares. */
async function compare(specs: Record<string, RpmSpec>): Promise<void> {
  const rpms = Object.fromEntries(Object.entries(specs).map(([name, spec], i) => [`${i} ${name}.rpm`, buildRpm(spec)]));
  const { chunks, folder } = createrepo(rpms);
  rmSync(folder, { recursive: true });
  for (const [file, bytes] of Object.entries(rpms)) {
    const theirs = chunks.get(file);
    expect(theirs?.primary, `${file}: createrepo_c takes it`).not.toBe("");
    expect(await ours(file, bytes), file).toEqual(theirs);
  }
}

describe("odd packages are indexed as createrepo_c does", () => {
  for (const [name, spec] of Object.entries(ODD)) it(name, () => compare({ [name]: spec }));

  it("any mixture of tags", async () => {
    const seed = Date.now() | 0;
    const specs = fc.sample(anySpec, { numRuns: 300, seed });
    await compare(Object.fromEntries(specs.map((spec, i) => [`seed ${seed}, ${i}`, { ...spec, name: `sample` }])));
  });

  it("40,000 files", async () => {
    const files = Array.from({ length: 40_000 }, (_, i) => ({
      path: `/usr/${i % 7 ? "share" : "bin"}/d${i % 300}/file & ${i}`,
    }));
    await compare({ huge: { files } });
  });
});

describe("where createrepo_c gives up or writes what no one can read", () => {
  it.each([
    ["control characters", latin1("a\x01b\x1fc\x08\x0b\xe9"), "abcé"],
    ["characters that XML has not", "a\ufffeb\uffffc", "abc"],
    ["overlong UTF-8", latin1("a\xc0\x80b"), "aÀb"],
    ["surrogates in UTF-8", latin1("a\xed\xa0\x80b"), "aíb"],
  ])("%s are left out", async (_, summary, expected) => {
    const rpm = buildRpm({
      summary,
      requires: [[summary]],
      changelogs: [{ author: summary, date: 1, text: summary }],
      files: [],
    });
    expect((await readRpm(rangesOf(rpm))).summary).toBe(expected);
    const chunks = await ours("x", rpm);
    for (const kind of KINDS) expect(XMLValidator.validate(`<root xmlns:rpm="x">${chunks[kind]}</root>`)).toBe(true);
    // What XML 1.0 calls Char.
    for (const kind of KINDS) expect(chunks[kind]).toMatch(/^[\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u);
  });
});
