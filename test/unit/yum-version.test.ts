import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareEvr, compareVersions, type Evr } from "../../shared/yum/version.ts";

/** What rpm itself says of each pair, all in one process. */
function rpmSays(pairs: readonly (readonly [string, string])[]): number[] {
  const folder = mkdtempSync(join(tmpdir(), "packhouse-vercmp-"));
  const file = join(folder, "pairs");
  writeFileSync(file, pairs.map((pair) => pair.join(" ")).join("\n"));
  const script = `%{lua: for line in io.lines("${file}") do local a, b = line:match("^(%S*) (%S*)$"); print(rpm.vercmp(a, b) .. "\\n") end}`;
  const output = execFileSync("rpm", ["--eval", script], { encoding: "utf8", maxBuffer: 1 << 26 });
  rmSync(folder, { recursive: true });
  return output.trim().split(/\s+/).map(Number);
}

const pieces = fc.constantFrom(
  "0",
  "1",
  "01",
  "9",
  "10",
  "99999999999999999999",
  "a",
  "A",
  "rc",
  "z",
  "~",
  "^",
  ".",
  "_",
  "+",
  "..",
  "é",
);
const version = fc.array(pieces, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(""));
const evr: fc.Arbitrary<Evr & { release: string }> = fc.record({
  epoch: fc.constantFrom(0, 1, 10, 4_000_000_000),
  version: fc.oneof(version, fc.constantFrom("1", "1.0", "1.0~rc1")),
  release: fc.oneof(version, fc.constantFrom("1", "2", "1.el9")),
});
const written = ({ epoch, version, release }: Evr) => `${epoch}:${version}-${release}`;

const seed = Date.now() | 0;

describe(`rpm's order of versions (seed ${seed})`, () => {
  it("is rpm's for any two versions", () => {
    const near = fc.tuple(version, version, version).map(([start, a, b]): [string, string] => [start + a, start + b]);
    const pairs = fc.sample(fc.oneof(fc.tuple(version, version), near), { numRuns: 20_000, seed });
    const theirs = rpmSays(pairs);
    expect(theirs).toHaveLength(pairs.length);
    for (const [i, [a, b]] of pairs.entries())
      expect([a, b, Math.sign(compareVersions(a, b))]).toEqual([a, b, theirs[i]]);
    expect(new Set(theirs)).toEqual(new Set([-1, 0, 1]));
  });

  it("is rpm's for any two packages", () => {
    const pairs = fc.sample(fc.tuple(evr, evr), { numRuns: 10_000, seed });
    const theirs = rpmSays(pairs.map(([a, b]) => [written(a), written(b)]));
    for (const [i, [a, b]] of pairs.entries())
      expect([written(a), written(b), Math.sign(compareEvr(a, b))]).toEqual([written(a), written(b), theirs[i]]);
  });

  it("takes an absent epoch for 0 and compares releases only where both have one", () => {
    expect(compareEvr({ version: "1" }, { epoch: 0, version: "1", release: "5" })).toBe(0);
    expect(compareEvr({ epoch: "1", version: "1" }, { version: "2" })).toBeGreaterThan(0);
  });

  it("is an order: sorting is the same from wherever it starts", () => {
    fc.assert(
      fc.property(fc.array(version, { maxLength: 8 }), (versions) => {
        const sorted = versions.toSorted(compareVersions);
        const again = versions.toReversed().toSorted(compareVersions);
        for (const [i, one] of sorted.entries()) expect(compareVersions(one, again[i] ?? "")).toBe(0);
      }),
    );
  });
});
