import { expect, test } from "vitest";
import { AcceptsInput, type BinaryPath, firstSegmentsOf, matches, placesFor } from "../../shared/repo/accepts.ts";

const HELLO: BinaryPath = {
  name: "hello",
  distribution: "debian",
  release: "bookworm",
  architecture: "amd64",
  binary: "hello_2.10-3_amd64.deb",
};
const REPO = { suite: "stable", component: "main" };

test.each([
  ["hello/debian/bookworm/amd64"],
  ["hello/debian/*/*"],
  ["*/*/*/*"],
  ["**"],
  ["hello/**"],
  ["hello/debian/**"],
  ["hello/debian/bookworm/amd64/**"],
  ["*/debian/**"],
  ["hello/debian/bookworm/amd64/hello_2.10-3_amd64.deb"],
  ["hello/*/*/*/*"],
  ["/hello/debian/*/*"],
  ["hello/debian/*/*/"],
])("%s takes hello/debian/bookworm/amd64/hello_2.10-3_amd64.deb", (pattern) => {
  const [rule] = AcceptsInput.parse([pattern]);
  expect(rule && matches(rule, HELLO)).toBe(true);
});

test.each([
  ["hell/debian/*/*"],
  ["hello-world/debian/*/*"],
  ["hello/ubuntu/*/*"],
  ["hello/debian/trixie/*"],
  ["hello/debian/*/arm64"],
  ["Hello/debian/*/*"],
  ["hello/ubuntu/**"],
  ["hello/debian/bookworm/amd64/other.deb"],
  ["*/*/*/*/other.deb"],
])("%s does not", (pattern) => {
  const [rule] = AcceptsInput.parse([pattern]);
  expect(rule && matches(rule, HELLO)).toBe(false);
});

test.each([
  [""],
  ["/"],
  ["hello"],
  ["hello/debian"],
  ["hello/debian/bookworm"],
  ["hello/debian/bookworm/amd64/a.deb/more"],
  ["hello//bookworm/amd64"],
  ["//hello/debian/bookworm/amd64"],
  ["**/amd64"],
  ["hello/**/amd64"],
  ["hello/deb*/*/*"],
  ["hello/***"],
  ["hello/debian/*/*/*/**"],
  ["hello/de bian/*/*"],
  ["hello/débian/*/*"],
  ["hello/debian/[ab]/*"],
  [`${"a".repeat(201)}/**`],
  [`${"a/".repeat(600)}**`],
])("the pattern %j is refused with the rule", (pattern) => {
  const { error } = AcceptsInput.safeParse([pattern]);
  expect(error?.issues[0]?.message).toBeTruthy();
});

test("a refusal names the pattern and says what a pattern is", () => {
  const { error } = AcceptsInput.safeParse(["hello/debian/*/*", "hello/debian"]);
  expect(error?.issues[0]?.message).toMatch(/^"hello\/debian": a pattern is a discovery path of four segments/);
});

test("a refusal of a rule names the field and what it must be", () => {
  const problem = (rule: unknown) => {
    const issue = AcceptsInput.safeParse([rule]).error?.issues[0];
    return [...(issue?.path.slice(1) ?? []), issue?.message].join(": ");
  };
  expect(problem({ path: "hello/**", suite: "a b" })).toMatch(/^suite: must be \{release\} or match /);
  expect(problem({ path: "hello" })).toMatch(/^path: "hello": a pattern is/);
  expect(problem({ path: "hello/**", arch: "amd64" })).toMatch(/"arch"/);
  expect(problem(7)).toMatch(/^a rule is a pattern, or/);
});

test("a plain pattern means the repo's own suite and component", () => {
  const accepts = AcceptsInput.parse(["hello/debian/*/*"]);
  expect(placesFor({ ...REPO, accepts }, HELLO)).toEqual([{ suite: "stable", component: "main" }]);
});

test("an object names its suite and component, and {release} stands for the release", () => {
  const accepts = AcceptsInput.parse([
    { path: "hello/**", suite: "{release}", component: "extra" },
    { path: "**", suite: "testing" },
    { path: "hello/debian/*/*", component: "contrib" },
  ]);
  expect(placesFor({ ...REPO, accepts }, HELLO)).toEqual([
    { suite: "bookworm", component: "extra" },
    { suite: "testing", component: "main" },
    { suite: "stable", component: "contrib" },
  ]);
});

test("two rules that give one place give it once, and no rule gives none", () => {
  const accepts = AcceptsInput.parse(["hello/**", "*/debian/**", "other/**"]);
  expect(placesFor({ ...REPO, accepts }, HELLO)).toEqual([{ suite: "stable", component: "main" }]);
  expect(placesFor({ ...REPO, accepts: AcceptsInput.parse(["other/**"]) }, HELLO)).toEqual([]);
});

test("a release that cannot name a suite is told, where a rule asks for it", () => {
  const accepts = AcceptsInput.parse([{ path: "**", suite: "{release}" }]);
  expect(() => placesFor({ ...REPO, accepts }, { ...HELLO, release: "8+x" })).toThrow(/"8\+x" cannot be a suite/);
});

test.each([
  [{ path: "hello/**", suite: "../x" }],
  [{ path: "hello/**", suite: "{codename}" }],
  [{ path: "hello/**", suite: "" }],
  [{ path: "hello/**", component: "a b" }],
  [{ path: "hello/**", arch: "amd64" }],
  [{ suite: "stable" }],
  [7],
  [null],
])("the rule %j is refused", (rule) => {
  expect(AcceptsInput.safeParse([rule]).success).toBe(false);
});

test("a repo is looked up by the first segments of its patterns, * for those that take every name", () => {
  const accepts = AcceptsInput.parse(["hello/**", "/hello/debian/*/*", "**", "*/debian/**", "__proto__/**"]);
  expect(firstSegmentsOf(accepts).sort()).toEqual(["*", "__proto__", "hello"]);
});
