import { expect, test } from "vitest";
import { exponentOf, linearPartOf } from "../../bench/growth.ts";

const SIZES = [1_000, 10_000, 60_000, 250_000, 1_000_000];
const pointsOf = (seconds: (size: number) => number) => SIZES.map((size) => [size, seconds(size)] as const);

test("the exponent tells how time grows, the constant what each further package costs", () => {
  expect(exponentOf(pointsOf((size) => 3e-5 * size))).toBeCloseTo(1);
  expect(exponentOf(pointsOf((size) => 2e-3 * Math.sqrt(size)))).toBeCloseTo(0.5);
  expect(exponentOf(pointsOf(() => 0.2))).toBeCloseTo(0);
  expect(linearPartOf(pointsOf((size) => 0.1 + 3e-6 * size))).toBeCloseTo(3);
  expect(linearPartOf(pointsOf(() => 0.2))).toBeCloseTo(0);
});
