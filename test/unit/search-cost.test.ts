import { beforeAll, describe, expect, test } from "vitest";
import { type SearchFilters, searchBinaries } from "../../shared/binary/search.ts";
import { SEARCH_TERMS } from "../../shared/binary/search-page.ts";
import { sha256Of } from "../../shared/blob.ts";
import { hundredThousand, searchTree } from "../support/search-tree.ts";
import { type Counted, counted, countsOf } from "../support/surface-cost.ts";

const NAME = "package-000042";
const FOLDER = { name: NAME, distribution: "debian", release: "trixie", architecture: "arm64" };
const PAGES_TIMED = 9;

describe.each([1_000, 5_000])("of 100,000 binaries under %i names", (names) => {
  let cost: Counted;
  beforeAll(() => {
    cost = counted(searchTree(hundredThousand(names)));
  });

  const each = 100_000 / names;
  const hash = sha256Of(`${NAME} 1 arm64`);
  test.each<[string, SearchFilters, number, Record<string, number>]>([
    ["all of a path", FOLDER, each / 20, { "table.query": 1 }],
    ["a name", { name: NAME }, each, { "table.query": 1 + 2 + 4 + 20 }],
    [
      "a name and an architecture",
      { name: NAME, architecture: "arm64" },
      each / 5,
      { "table.query": 1 + 2 + 4, "table.getMany": 1 },
    ],
    [
      "a name and what lies below all of it",
      { ...FOLDER, distribution: undefined },
      each / 20,
      { "table.query": 1 + 1, "table.getMany": 1 },
    ],
    ["a hash", { sha256: hash }, 4, { "table.query": 1, "table.getMany": 1 }],
    ["a hash below a name", { sha256: hash, name: NAME, version: "1" }, 4, { "table.query": 1, "table.getMany": 2 }],
    ["a hash that nobody has", { sha256: sha256Of("nobody") }, 0, { "table.query": 1 }],
    ["a name that nobody has", { name: "nobody" }, 0, { "table.query": 1 }],
    ["a part that is in no name, and a name", { name: NAME, nameHas: "x" }, 0, {}],
  ])("%s costs what is counted here", async (_, filters, count, most) => {
    cost.calls();
    const { found, next } = await searchBinaries(cost.ctx, filters);
    const counts = countsOf(cost.calls());
    for (const [call, limit] of Object.entries(most))
      expect([call, (counts[call] ?? 0) <= limit]).toEqual([call, true]);
    expect(Object.keys(counts).filter((call) => !(call in most))).toEqual([]);
    expect([found.length, next]).toEqual([count, undefined]);
  });

  test.each<[string, SearchFilters]>([
    ["everything", {}],
    ["a part of a name", { nameHas: "42" }],
    ["a part that is in no name", { nameHas: "nowhere" }],
    ["a release", { release: "trixie" }],
    ["an architecture", { architecture: "arm64" }],
    ["a distribution that nobody has", { distribution: "nowhere" }],
    ["signed ones", { signed: true }],
    ["a version", { version: "1" }],
    ["a version that nobody has", { version: "nobody's" }],
    ["a hash", { sha256: hash }],
  ])(
    "a page of a search for %s takes less than 100 ms most often, and asks the table 64 times at most",
    async (_, filters) => {
      const times: number[] = [];
      let after: string | undefined;
      do {
        cost.calls();
        const begin = performance.now();
        const page = await searchBinaries(cost.ctx, filters, after);
        times.push(performance.now() - begin);
        const calls = cost.calls();
        expect(calls.length).toBeLessThanOrEqual(SEARCH_TERMS.requests);
        expect(calls.filter((call) => !/^table\.(?:query|getMany)$/.test(call))).toEqual([]);
        after = page.next;
      } while (after !== undefined && times.length < PAGES_TIMED);
      const median = times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
      expect(median).toBeLessThan(100);
    },
  );
});
