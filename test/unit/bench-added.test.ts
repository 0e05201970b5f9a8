import { expect, test } from "vitest";
import { addedName, isAdded } from "../../bench/inputs/added.ts";
import { generatedTree } from "../../bench/server/generated.ts";
import { compareKeys } from "../../shared/tree/entry.ts";

test("a handful of added names is spread over the alphabet, and no two are the same", () => {
  const names = Array.from({ length: 200 }, (_, number) => addedName(number));
  expect(new Set(names).size).toBe(200);
  expect(names.every(isAdded)).toBe(true);
  for (const count of [3, 5, 10]) {
    const letters = names.slice(0, count).map((name) => name.charCodeAt(0));
    const sorted = letters.toSorted((a, b) => a - b);
    expect(Math.min(...sorted.slice(1).map((letter, index) => letter - (sorted[index] ?? 0)))).toBeGreaterThan(
      26 / (3 * count) - 1,
    );
    expect(new Set(letters).size).toBe(count);
  }
});

test.each(["apt", "yum"] as const)(
  "a generated %s tree comes in the order of its keys, names from a to z in each half",
  async (type) => {
    const { entries } = await generatedTree(type, 701);
    const keys: string[] = [];
    for await (const { key } of entries()) keys.push(key);
    expect(keys).toEqual(keys.toSorted(compareKeys));
    expect(new Set(keys).size).toBe(701);
    const first = keys.map((key) => key.split("/").at(-1)?.charAt(0));
    for (const half of [first.slice(0, 350), first.slice(351)]) expect([half[0], half.at(-1)]).toEqual(["a", "z"]);
  },
);
