import fc from "fast-check";
import { expect, test } from "vitest";
import { membersOf } from "../../shared/json-members.ts";

const LIMITS = { maxBytes: 10_000, maxMemberBytes: 1000 };

async function read(text: string, chunkBytes = 7, limits = LIMITS): Promise<[string, unknown][]> {
  const bytes = Buffer.from(text);
  const chunks = Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_, index) =>
    bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes),
  );
  const stream = (async function* () {
    yield* chunks;
  })();
  const found: [string, unknown][] = [];
  for await (const member of membersOf(stream, limits)) found.push(member);
  return found;
}

test("members are those of JSON.parse, wherever chunks end", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue({ maxDepth: 2 }), {
        maxKeys: 6,
        noNullPrototype: true,
      }),
      fc.constantFrom(undefined, 1, "\t"),
      fc.integer({ min: 1, max: 50 }),
      async (value, space, chunkBytes) => {
        const text = JSON.stringify(value, null, space);
        const wide = { maxBytes: 1_000_000, maxMemberBytes: 1_000_000 };
        const found = await read(text, chunkBytes, wide);
        expect(Object.fromEntries(found)).toEqual(JSON.parse(text));
        expect(found).toHaveLength(Object.keys(value).length);
      },
    ),
  );
});

test.each([
  "",
  "  ",
  "[]",
  '"a"',
  "{",
  '{"a":1',
  '{"a":1}}',
  '{"a":1]',
  '{"a":1} x',
  '{"a":1}{"b":2}',
  'x{"a":1}',
  '{"a":[1}}',
  "{a:1}",
  '{"a":1,{"b":2}}',
])("%j is refused, at its byte", async (text) => {
  await expect(read(text)).rejects.toMatchObject({ name: "FormatError", kind: "unprocessable" });
});

test("what is longer than its bounds is refused before it is held", async () => {
  const long = (bytes: number) => `{"a":"${"x".repeat(bytes)}"}`;
  expect(await read(long(900))).toHaveLength(1);
  await expect(read(long(1100))).rejects.toThrow("a member of more than 1000 bytes");
  const many = `{${Array.from({ length: 2000 }, (_, index) => `"${index}":1`).join(",")}}`;
  await expect(read(many)).rejects.toThrow("more than 10000 bytes");
});
