import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkArchitecture, checkPackageName, checkVersion } from "../../shared/apt/names.ts";
import { compareVersions } from "../../shared/apt/version.ts";

const accepts = (check: (text: string) => void, text: string) => {
  try {
    check(text);
    return true;
  } catch {
    return false;
  }
};

// Few different characters, so that versions are often nearly equal.
const part = fc.string({ unit: fc.constantFrom(..."0012911aAbzZ~~..++"), maxLength: 7 });
const version = fc
  .tuple(
    fc.constantFrom("", "", "0:", "00:", "1:", "10:"),
    fc.constantFrom("0", "1", "00", "2024"),
    part,
    fc.option(part),
  )
  .map(([epoch, digits, upstream, revision]) => `${epoch}${digits}${upstream}${revision ? `-${revision}` : ""}`);

/** One shell for all: dpkg answers some thousand comparisons in seconds. */
function dpkgOrder(pairs: readonly (readonly [string, string])[]): number[] {
  const script = `while read -r a b; do
    if dpkg --compare-versions "$a" lt "$b"; then echo -1
    elif dpkg --compare-versions "$a" gt "$b"; then echo 1
    else echo 0; fi; done`;
  const input = pairs.map(([a, b]) => `${a} ${b}\n`).join("");
  return execFileSync("sh", ["-c", script], { input, encoding: "utf8" }).trim().split("\n").map(Number);
}

test("versions are ordered as dpkg orders them", () => {
  const known = [
    "1.0",
    "1.0-0",
    "1.0-1",
    "1.0~",
    "1.0~~",
    "1.0~rc1",
    "1.0+b1",
    "1.0a",
    "1.0.",
    "1.00",
    "01.0",
    "1:0",
    "0:1.0",
  ];
  const pairs: [string, string][] = known.flatMap((a) => known.map((b): [string, string] => [a, b]));
  pairs.push(...fc.sample(fc.tuple(version, version), 600));
  pairs.push(
    ["1.99999999999999999999", "1.100000000000000000000"],
    ["20240101000000000000001", "20240101000000000000002"],
  );
  const ours = pairs.map(([a, b]) => Math.sign(compareVersions(a, b)));
  const theirs = dpkgOrder(pairs);
  expect(pairs.map(([a, b], i) => `${a} ${ours[i]} ${b}`)).toEqual(pairs.map(([a, b], i) => `${a} ${theirs[i]} ${b}`));
});

test("the order is total: turning a pair round turns the sign, and sorting needs no luck", () => {
  fc.assert(
    fc.property(version, version, version, (a, b, c) => {
      expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0);
      if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0)
        expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
      expect(compareVersions(a, a)).toBe(0);
    }),
    { numRuns: 3_000 },
  );
});

test("a version is well formed where dpkg says so", () => {
  const odd = fc.string({ unit: fc.constantFrom(..."01a.-:~+_/ é"), maxLength: 8 });
  const versions = [
    ...[
      "1",
      "1:1",
      "1:1:1",
      "1-",
      "-1",
      ":1",
      "1:",
      "a",
      "1:a",
      "99999999999:1",
      "2147483647:1",
      "2147483648:1",
      "1-1-1",
      "1-a_b",
    ],
    ...fc.sample(fc.oneof(odd, version), 400),
  ]
    .filter((text) => text !== "" && text.trim() === text)
    // dpkg reads an epoch as C does, sign and all; Policy 5.6.12: a single unsigned integer.
    .filter((text) => !/^\+\d*:/.test(text));
  const script = `while IFS= read -r v; do dpkg --validate-version -- "$v" 2>/dev/null && echo true || echo false; done`;
  const theirs = execFileSync("sh", ["-c", script], {
    input: versions.map((v) => `${v}\n`).join(""),
    encoding: "utf8",
  });
  const told = theirs.trim().split("\n");
  expect(versions.map((v) => `${v} ${accepts(checkVersion, v)}`)).toEqual(versions.map((v, i) => `${v} ${told[i]}`));
});

test.each([
  ["libc6", true],
  ["0ad", true],
  ["g++", true],
  ["x", true],
  ["lib-x.y+z", true],
  ["Lib", false],
  ["lib_x", false],
  ["+lib", false],
  ["-lib", false],
  ["lib x", false],
  ["lib\n", false],
  ["libé", false],
  ["", false],
])("package name %j: %s", (name, sound) => {
  expect(accepts(checkPackageName, name)).toBe(sound);
});

test.each([
  ["amd64", true],
  ["all", true],
  ["kfreebsd-amd64", true],
  ["many", true],
  ["any", false],
  ["linux-any", false],
  ["any-amd64", false],
  ["source", false],
  ["amd64 i386", false],
  ["AMD64", false],
  ["amd64/..", false],
])("architecture %j: %s", (name, sound) => {
  expect(accepts(checkArchitecture, name)).toBe(sound);
});
