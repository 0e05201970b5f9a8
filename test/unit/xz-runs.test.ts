import fc from "fast-check";
import { expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { type PlacedFragment, type Run, runsOf } from "../../shared/publication/xz-runs.ts";

const MB = 1024 * 1024;

const fragment = (first: string, plainBytes: number, holds = ""): PlacedFragment => ({
  sha256: sha256Of(`${first} ${holds}`),
  sizeBytes: 1,
  plainBytes,
  first,
});
const many = (architecture: string, count: number, plainBytes = MB / 2) =>
  Array.from({ length: count }, (_, index) => fragment(`stable/main/${architecture}/p${1000 + index}_1`, plainBytes));
const namesOf = (runs: readonly Run[]) => runs.map(({ name }) => name);

test("runs hold all fragments in their order, and none is longer than a window but one of a single fragment", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 9 * MB }), { maxLength: 60 });
  fc.assert(
    fc.property(sizes, (bytes) => {
      const fragments = bytes.map((size, index) => fragment(`a/b/c/${index}`, size));
      const runs = runsOf(fragments);
      expect(runs.flatMap((run) => run.fragments)).toEqual(fragments);
      for (const run of runs) {
        expect(run.plainBytes).toBe(run.fragments.reduce((sum, one) => sum + one.plainBytes, 0));
        expect(run.plainBytes <= 16 * MB || run.fragments.length === 1).toBe(true);
        expect(run.fragments.length).toBeGreaterThan(0);
      }
      for (const run of runs.slice(0, -1)) {
        const [next] = runs[runs.indexOf(run) + 1]?.fragments ?? [];
        expect(run.plainBytes >= 10 * MB || run.plainBytes + (next?.plainBytes ?? 0) > 16 * MB).toBe(true);
      }
    }),
  );
});

test("another package in a leaf changes its own run alone", () => {
  const fragments = many("amd64", 150);
  const before = namesOf(runsOf(fragments));
  expect(before.length).toBeGreaterThan(4);
  for (const [index, { first, plainBytes }] of fragments.entries()) {
    const after = namesOf(runsOf(fragments.with(index, fragment(first, plainBytes + 700, "changed"))));
    expect(after.filter((name) => !before.includes(name)).length).toBeLessThanOrEqual(1);
    expect(after).toHaveLength(before.length);
  }
});

test("a leaf more or less moves the runs of few others", () => {
  const fragments = many("amd64", 300);
  const before = namesOf(runsOf(fragments));
  const moved = fragments.map((_, index) => {
    const after = namesOf(runsOf(fragments.toSpliced(index, 1)));
    return after.filter((name) => !before.includes(name)).length;
  });
  expect(moved.reduce((sum, count) => sum + count, 0) / moved.length).toBeLessThan(3);
});

test("packages for all are the same runs behind those of each architecture", () => {
  const all = many("all", 100);
  const runs = (architecture: string, count: number) => runsOf([...many(architecture, count), ...all]);
  const alone = namesOf(runsOf(all));
  expect(alone.length).toBeGreaterThan(3);
  for (const count of [6, 20, 33]) expect(namesOf(runs("amd64", count)).slice(-alone.length)).toEqual(alone);
  // What is before them is too little to be a block of its own.
  expect(runs("arm64", 2)[0]?.fragments[2]).toEqual(all[0]);
});
