import { afterAll, beforeAll, expect, test } from "vitest";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { aptPackages, raw, sha256 } from "../support/surface-requests.ts";

let packhouse: TestPackhouse;
beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

const REFUSED = [
  "",
  ".",
  "..",
  "a/b",
  "/",
  "a\\b",
  "a b",
  " a",
  "a\n",
  "a\0b",
  "\0",
  "%2e%2e",
  "%2f",
  "%",
  "100%",
  "%41",
  "%25",
  "%3",
  "a\tb",
  "a\x7fb",
  "a\x85b",
  "päckage",
  "пакет",
  "包",
  "📦",
  "a\u202eb",
  "\u200fa",
  "\u2066a\u2069",
  "a\u200bb",
  "e\u0301",
  "\ud800",
  "ａ",
  "a?b",
  "a#b",
  "a;b",
  "a'b",
  'a"b',
  "<script>",
  "a&b",
  "$(id)",
  "`id`",
  "a|b",
  "a*",
  "x".repeat(201),
];

test.each(REFUSED.map((name) => [JSON.stringify(name).slice(0, 40), name]))(
  "the name %s is refused with the rule",
  async (_, name) => {
    for (const path of ["/packages/", "/packages/a/b/c", "/packages/a/b/c/d"]) {
      const { status, body } = await packhouse.call("POST", path, { name });
      expect([status, path]).toEqual([400, path]);
      expect(body.message).toContain("a name has 1 to 200 of the ASCII letters, digits and . _ + ~ : @ - ^ =");
      expect(body.message.length).toBeLessThan(400);
    }
  },
);

const TAKEN = [
  "x".repeat(200),
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "0",
  "-",
  "...",
  "a..b",
  "g++",
  "a~b^c",
  "1:2.0-1",
  "a=b",
  "a@1",
  "CON",
];

test.each(TAKEN.map((name) => [name.slice(0, 40), name]))(
  "the name %s is taken at every level, listed and found again",
  async (_, name) => {
    const deb = buildDeb({ control: { Package: "lab", Version: String(TAKEN.indexOf(name)) } });
    const path = `/packages/${[name, name, name, name].map(encodeURIComponent).join("/")}`;
    const job = await packhouse.upload(`${path}/${name}`, deb).catch((error: unknown) => String(error));
    expect(job).toMatchObject({ state: "done" });
    for (const above of ["/packages", path.slice(0, path.indexOf("/", 10)), path]) {
      const listing = (await raw(packhouse, "GET", above)).body;
      expect(Object.hasOwn(listing, name)).toBe(true);
    }
    const got = await fetch(`${packhouse.url}${path}/${encodeURIComponent(name)}`);
    expect(sha256(Buffer.from(await got.arrayBuffer()))).toBe(sha256(deb));
  },
);

test("a way up in a path leads nowhere, however it is written", async () => {
  await packhouse.call("POST", "/packages/", { name: "inside" });
  for (const path of [
    "/packages/inside/..",
    "/packages/inside/../",
    "/packages/inside/%2e%2e/",
    "/packages/inside/%2E%2E/%2e%2e/repo",
    "/packages/inside/.%2e/",
    "/packages/../repo",
    "/packages/./inside",
    "/packages/%2e/inside",
    "/packages/..%2frepo",
    "/packages/%2e%2e%2frepo",
  ]) {
    const { status } = await raw(packhouse, "GET", path);
    expect([status >= 400 && status < 500, path, status]).toEqual([true, path, status]);
  }
});

test.each([
  ["a broken percent sign", "/packages/%zz"],
  ["half a character", "/packages/%c3"],
  ["a lone surrogate", "/packages/%ed%a0%80"],
  ["a NUL", "/packages/a%00b"],
  ["a right-to-left mark", "/packages/a%e2%80%aeb"],
  ["an encoded slash", "/packages/nobody%2fhere"],
  ["a name of 201", `/packages/${"x".repeat(201)}`],
  ["a path of 100 levels", `/packages/${"a/".repeat(100)}`],
  ["an empty level", "/packages//debian"],
  ["only slashes", "/packages////"],
])("a path with %s is refused, never a fault", async (_, path) => {
  const { status } = await raw(packhouse, "GET", path);
  expect([400, 404]).toContain(status);
});

test("%3a stands in the name of a binary alone", async () => {
  for (const path of ["/packages/", "/packages/a", "/packages/a/b", "/packages/a/b/c"]) {
    const { status, body } = await packhouse.call("POST", path, { name: "a%3ab" });
    expect([path, status, body.msg]).toEqual([path, 400, expect.stringContaining("a name has 1 to 200")]);
  }
  expect((await packhouse.call("POST", "/packages/a/b/c/d", { name: "a%3Ab" })).status).toBe(200);
});

test("an architecture that ends as another surface's files do is refused, and a distribution called distributions", async () => {
  for (const name of ["a.use", "a.checksums", "a.checksums.sig"]) {
    const { status, body } = await packhouse.call("POST", "/packages/a/b/c", { name });
    expect(status).toBe(400);
    expect(body.message).toContain("reserved");
  }
  // Elsewhere these are names as any.
  expect((await packhouse.call("POST", "/packages/a/b", { name: "a.use" })).status).toBe(200);
  const { status, body } = await packhouse.call("POST", "/packages/a", { name: "distributions" });
  expect([status, body.msg]).toEqual([400, expect.stringContaining("long form")]);
  expect((await packhouse.call("POST", "/packages", { name: "distributions" })).status).toBe(200);
});

test("repos may be called like parts of the language they are told in", async () => {
  for (const name of ["constructor", "valueof", "a", "0", "x".repeat(100)]) {
    const { status, body } = await packhouse.call("POST", "/repo", { name, type: "dir" });
    expect([status, body]).toEqual([201, { uri: `${packhouse.url}/repo/${name}` }]);
    expect((await packhouse.call("GET", "/repo")).body[name]).toBe(`${packhouse.url}/repo/${name}`);
  }
  for (const name of ["__proto__", "x".repeat(101), "ünder", "a b", "a\u202eb", "-a", ".a", "a\n"]) {
    expect([(await packhouse.call("POST", "/repo", { name, type: "dir" })).status, name]).toEqual([400, name]);
  }
});

test("a file with every sign that a name may have is installed from where the index says", async () => {
  await packhouse.call("POST", "/repo", { name: "signs", type: "apt", accepts: ["signs/**"] });
  const deb = buildDeb({ control: { Package: "signs", Version: "1:1.0+a~b-1" } });
  const name = "signs_1:1.0+a~b^c@d=e-1_amd64.deb";
  const job = await packhouse.upload(`/packages/signs/debian/sid/amd64/${name}`, deb);
  expect(job.state).toBe("done");
  const [found] = await aptPackages(packhouse, "signs");
  expect(found?.version).toBe("1:1.0+a~b-1");
  for (const path of [
    found?.filename ?? "",
    encodeURI(found?.filename ?? ""),
    `pool/${sha256(deb)}/${encodeURIComponent(name)}`,
  ]) {
    const got = await raw(packhouse, "GET", `/apt/signs/${path}`);
    expect([got.status, path]).toEqual([200, path]);
  }
});
