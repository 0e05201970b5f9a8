import fc from "fast-check";
import { expect, test } from "vitest";
import { type SearchFilters, searchBinaries } from "../../shared/binary/search.ts";
import type { SearchTerms } from "../../shared/binary/search-page.ts";
import { sha256Of } from "../../shared/blob.ts";
import type { Context } from "../../shared/context.ts";
import { type Laid, searchTree } from "../support/search-tree.ts";
import { counted } from "../support/surface-cost.ts";

const segment = fc.constantFrom("a", "a-", "ab", "b", "c~1");
const laid: fc.Arbitrary<Laid> = fc.record({
  segments: fc.tuple(segment, segment, segment, segment, segment),
  sha256: fc.constantFrom(sha256Of("one"), sha256Of("two")),
  version: fc.constantFrom("1", "2"),
  format: fc.constantFrom("deb", "rpm"),
  signed: fc.boolean(),
});
const tree = fc.uniqueArray(laid, { selector: ({ segments }) => segments.join("/"), maxLength: 60 });
const filters = fc.record(
  {
    name: segment,
    nameHas: fc.constantFrom("a", "b", "-", "z"),
    distribution: segment,
    release: segment,
    architecture: segment,
    format: fc.constantFrom("deb", "rpm"),
    version: fc.constantFrom("1", "2"),
    sha256: fc.constantFrom(sha256Of("one"), sha256Of("two"), sha256Of("three")),
    signed: fc.boolean(),
  },
  { requiredKeys: [] },
);
const terms: fc.Arbitrary<SearchTerms> = fc.record({
  found: fc.integer({ min: 1, max: 20 }),
  requests: fc.integer({ min: 3, max: 20 }),
  items: fc.integer({ min: 1, max: 50 }),
  parallel: fc.integer({ min: 1, max: 4 }),
});

function expected(all: readonly Laid[], wanted: SearchFilters): string[] {
  const isWanted = ({ segments, ...one }: Laid) => {
    const [name = "", distribution, release, architecture] = segments;
    const fields = { name, distribution, release, architecture, ...one };
    const given = Object.entries(wanted).filter(([field]) => field !== "nameHas");
    return (
      given.every(([field, value]) => new Map<string, unknown>(Object.entries(fields)).get(field) === value) &&
      name.includes(wanted.nameHas ?? "")
    );
  };
  return all
    .filter(isWanted)
    .map(({ segments }) => segments.join("/"))
    .sort();
}

async function everyPage(ctx: Context, wanted: SearchFilters, limits?: SearchTerms) {
  const found: string[] = [];
  const pages: number[] = [];
  let after: string | undefined;
  do {
    const page = await searchBinaries(ctx, wanted, after, limits);
    found.push(...page.found.map(({ segments }) => segments.join("/")));
    pages.push(page.found.length);
    expect(pages.length).toBeLessThan(2000);
    if (after !== undefined) expect(page.next).not.toBe(after);
    after = page.next;
  } while (after !== undefined);
  return { found, pages };
}

test("all pages together have each binary that is all that is looked for once, however little a page may cost", async () => {
  await fc.assert(
    fc.asyncProperty(tree, filters, terms, fc.array(fc.tuple(segment, segment)), async (all, wanted, limits, empty) => {
      // The bytes decide what version they are.
      const told = all.map((one) => ({ ...one, version: one.sha256 === sha256Of("one") ? "1" : "2" }));
      const { ctx, calls } = counted(searchTree(told, empty));
      const { found, pages } = await everyPage(ctx, wanted, limits);
      expect([...found].sort()).toEqual(expected(told, wanted));
      expect(Math.max(...pages)).toBeLessThanOrEqual(limits.found);
      expect(calls().length).toBeLessThanOrEqual(limits.requests * pages.length);
    }),
    { numRuns: 400 },
  );
});
