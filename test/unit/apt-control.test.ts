import fc from "fast-check";
import { expect, test } from "vitest";
import { fieldOf, paragraphsOf, parseParagraph, parseParagraphs, renderParagraph } from "../../shared/apt/control.ts";
import { AppError } from "../../shared/error.ts";

const name = fc.stringMatching(/^[A-Za-z0-9][!-9;-~]{0,12}$/);
// No white space at either end, where it is not part of the value.
const word = fc.stringMatching(/^[!-~é北]{1,12}$/);
const line = fc
  .tuple(fc.constantFrom(" ", "\t", "  ", " \t "), word, fc.constantFrom("", " x", "  x"))
  .map((p) => p.join(""));
const value = fc
  .tuple(fc.option(word, { nil: "" }), fc.array(line, { maxLength: 3 }))
  .map(([first, more]) => [first, ...more].join("\n"));
const fields = fc.uniqueArray(fc.tuple(name, value), {
  minLength: 1,
  maxLength: 8,
  selector: ([n]) => n.toLowerCase(),
});

test("what is rendered is read back byte for byte, order and case too", () => {
  fc.assert(
    fc.property(fields, (control) => {
      expect(parseParagraph(renderParagraph(control))).toEqual(control);
    }),
    { numRuns: 2_000 },
  );
});

test("paragraphs are found by their offsets as they are by reading", () => {
  fc.assert(
    fc.property(fc.array(fields, { maxLength: 6 }), fc.constantFrom("\n", "\n\n\n"), (controls, gap) => {
      const bytes = Buffer.from(controls.map(renderParagraph).join(gap));
      const found = [...paragraphsOf(bytes)].map(({ start, end }) =>
        parseParagraph(bytes.toString("utf8", start, end)),
      );
      expect(found).toEqual(controls);
      expect(parseParagraphs(bytes.toString()).map((paragraph) => paragraph.fields)).toEqual(controls);
    }),
    { numRuns: 500 },
  );
});

test("any text is read or refused with a line", () => {
  const unit = fc.constantFrom(..."ab:# \t\n\r-\0é", "\n\n", "A: b\n", " c\n");
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 40 }), fc.boolean(), (text, comments) => {
      try {
        parseParagraphs(text, { comments });
      } catch (error) {
        expect(error).toBeInstanceOf(AppError);
        expect((error as AppError).message).toMatch(/^line \d+/);
      }
    }),
    { numRuns: 3_000 },
  );
});

test("fields are looked up in any case", () => {
  const control = parseParagraph("PACKAGE: x\nDescription: short\n long\n .\n  code \n");
  expect(fieldOf(control, "Package")).toBe("x");
  expect(fieldOf(control, "description")).toBe("short\n long\n .\n  code");
  expect(fieldOf(control, "Depends")).toBeUndefined();
});

test("comment lines are skipped where they are allowed, even inside a value", () => {
  const text = "# head\nA: 1\n# within\n  more\nB: 2\n";
  expect(parseParagraph(text, { comments: true })).toEqual([
    ["A", "1\n  more"],
    ["B", "2"],
  ]);
  expect(() => parseParagraph(text)).toThrow(/^line 1: "# head" is no/);
});

test.each([
  ["A: 1\nb: 2\na: 3\n", "line 3, field a: the field stands there twice"],
  ["A: 1\n\nB: 2\n", "line 3: a second paragraph begins; only one is allowed"],
  ["A: 1\n \n", "line 2, field A: a line of white space only; an empty line is written ` .`"],
  ["\n\n\tx\n", "line 3: a continuation line without a field before it"],
  ["A: 1\n\n x\n", "line 3: a continuation line without a field before it"],
  ["A 1\n", 'line 1: "A 1" is no "Field: value"'],
  ["A B: 1\n", 'line 1: "A B: 1" is no "Field: value"'],
  ["-A: 1\n", 'line 1: "-A: 1" is no "Field: value"'],
  ["Ä: 1\n", 'line 1: "Ä: 1" is no "Field: value"'],
  [": 1\n", 'line 1: ": 1" is no "Field: value"'],
])("%j is refused", (text, message) => {
  expect(() => parseParagraph(text)).toThrow(message);
});

test("a part of a larger text is refused by the larger text's line", () => {
  expect(() => parseParagraph("A: 1\noops\n", { firstLine: 100 })).toThrow(/^line 101: "oops"/);
});
