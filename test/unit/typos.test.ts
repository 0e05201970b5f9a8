import fc from "fast-check";
import { expect, test } from "vitest";
import { withoutTypos } from "../../functions/http/typos.ts";

test.each([
  ['{"name": "a", "type": "yum",\n}', { name: "a", type: "yum" }],
  ['{"on": True, "off": False, "none": None, "list": [1, 2, ], }', { on: true, off: false, none: null, list: [1, 2] }],
  ['{"text": "a, } True \\", ]", }', { text: 'a, } True ", ]' }],
])("%s is read as it was meant", (text, meant) => {
  expect(JSON.parse(withoutTypos(text))).toEqual(meant);
});

test.each(["", "{", '{"a": }', '{"a": 1,, }', '{"a": true', "Truely", '"unended, }'])(
  "%j is left to be refused",
  (text) => {
    expect(withoutTypos(text)).toBe(text);
  },
);

test("JSON is never touched", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(withoutTypos(text)).toBe(text);
    }),
  );
});

test("a long body of open strings costs no more than its length", () => {
  const text = `${'"\\'.repeat(500_000)},`;
  expect(withoutTypos(text)).toBe(text);
});
