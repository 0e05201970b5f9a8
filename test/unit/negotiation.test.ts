import { expect, test } from "vitest";
import { prefersHtml } from "../../functions/http/accept.ts";
import { isHeld, weakTag } from "../../functions/http/conditional.ts";

test.each([
  [undefined, false],
  ["", false],
  ["*/*", false],
  ["application/json", false],
  ["text/html", true],
  ["TEXT/HTML", true],
  ["text/*", true],
  ["text/html, application/json", false],
  ["application/json;q=0.9, text/html", true],
  ["text/html;q=0.5, application/json", false],
  ["text/html;q=0.5, application/json;q=0.4", true],
  ["text/html;level=1;q=0.5,*/*;q=0.4", true],
  ["text/html;q=0", false],
  ["text/html;q=0, */*", false],
  ["text/*;q=0.1, text/html;q=0", false],
  ["text/html, */*", false],
  ["text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8", true],
  ["application/*;q=0.2, text/html;q=0.3", true],
  ["text/html;q=2", false],
  ["text/html;q=-1", false],
  ["text/html;q=", false],
  ["text/plain", false],
  [",,;;==", false],
  ["text/html;Q=1", true],
])("Accept: %s asks for a page: %s", (accept, wanted) => {
  expect(prefersHtml(accept)).toBe(wanted);
});

test("a header of any length is read at once", () => {
  const start = performance.now();
  prefersHtml("text/html;q=0.1,".repeat(100_000));
  expect(performance.now() - start).toBeLessThan(2_000);
});

test.each([
  [undefined, false],
  ["", false],
  ['"a"', true],
  ['W/"a"', true],
  [' "b" , W/"a" ', true],
  ["*", true],
  ['"b"', false],
  ['"A"', false],
  ["a", false],
  ['w/"a"', false],
])("If-None-Match: %s holds an answer with the tag: %s", (header, held) => {
  expect([isHeld(header, 'W/"a"'), isHeld(header, '"a"')]).toEqual([held, held]);
});

test("a tag tells its parts apart, wherever they are joined", () => {
  expect(weakTag("ab", "c")).not.toBe(weakTag("a", "bc"));
  expect(weakTag("a")).toBe(weakTag("a"));
  expect(weakTag("a")).toMatch(/^W\/"[A-Za-z0-9_-]{27}"$/);
});
