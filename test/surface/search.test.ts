import { beforeAll, expect, test } from "vitest";
import { findBinary } from "../../shared/binary/node.ts";
import { writeHints } from "../../shared/binary/search-hints.ts";
import { sha256Of } from "../../shared/blob.ts";
import { keys } from "../../shared/store/keys.ts";
import { type DiscoveryApp, discoveryApp } from "../support/discovery-app.ts";

const HELLO = "hello/debian/bookworm/amd64/hello_2.10-3_amd64.deb";
const OLD = "hello/debian/bullseye/amd64/hello_2.10-2_amd64.deb";
const RPM = "hello/centos/9/x86_64/hello-2.10-3.el9.x86_64.rpm";
const OTHER = "hello-dev/debian/bookworm/arm64/hello-dev_1_arm64.deb";
const AWAITED = "hello/debian/bookworm/amd64/hello_3_amd64.deb";
const LONG = "grüße & more ".repeat(70);
const ALL = [HELLO, OLD, RPM, OTHER, AWAITED];
const KNOWN = [
  "name",
  "name-has",
  "distribution",
  "release",
  "arch",
  "format",
  "version",
  "sha256",
  "built_by",
  "ref",
  "signed",
];

let app: DiscoveryApp;
beforeAll(async () => {
  app = await discoveryApp();
  await stored(HELLO, { format: "deb", signed: false, labels: { builtBy: "ci/7", ref: "main" } }, "2.10-3");
  await stored(OLD, { format: "deb", signed: true, labels: { builtBy: "ci/7", ref: LONG } }, "2.10-2");
  await stored(RPM, { format: "rpm", signed: true, labels: { ref: "main" } }, "2.10-3");
  await stored(OTHER, { format: "deb", signed: false }, "1");
  await app.awaited(AWAITED.split("/"));
});

async function stored(path: string, more: object, version: string): Promise<void> {
  const sha256 = sha256Of(path);
  const at = app.ctx.now().toISOString();
  await app.stored(path.split("/"), 0, { sha256, ...more });
  const { stored: found } = (await findBinary(app.ctx, path.split("/"))) ?? {};
  if (found) await writeHints(app.ctx, [{ segments: path.split("/"), stored: found }]);
  const pkg = {
    name: "x",
    architecture: "x",
    filename: "x",
    sizeBytes: 1,
    signed: false,
    format: "deb",
    createdAt: at,
  };
  await app.ctx.table.put({ ...keys.package(sha256), ...pkg, sha256, version, heldBy: path });
}

async function find(query: string): Promise<string[]> {
  const { status, body } = await app.ask("GET", `/search/?${query}`);
  expect([status, query]).toEqual([200, query]);
  return body.map(({ path }: { path: string }) => path).sort();
}

const sorted = (paths: readonly string[]) => [...paths].sort();

test.each<[string, string[]]>([
  ["", ALL],
  ["name=hello", [HELLO, OLD, RPM, AWAITED]],
  ["name=hell", []],
  ["name-has=ell", ALL],
  ["name-has=-dev", [OTHER]],
  ["name-has=Hello", []],
  ["distribution=debian", [HELLO, OLD, OTHER, AWAITED]],
  ["release=bookworm", [HELLO, OTHER, AWAITED]],
  ["arch=amd64", [HELLO, OLD, AWAITED]],
  ["format=deb", [HELLO, OLD, OTHER]],
  ["format=tar", []],
  ["version=2.10-3", [HELLO, RPM]],
  [`sha256=${sha256Of(RPM)}`, [RPM]],
  [`sha256=${sha256Of(RPM).toUpperCase()}`, [RPM]],
  [`sha256=${"0".repeat(64)}`, []],
  ["built_by=ci%2F7", [HELLO, OLD]],
  ["built_by=ci", []],
  ["ref=main", [HELLO, RPM]],
  [`ref=${encodeURIComponent(LONG)}`, [OLD]],
  ["ref=main&built_by=ci%2F7", [HELLO]],
  ["ref=main&format=rpm&name=hello&version=2.10-3", [RPM]],
  [`sha256=${sha256Of(RPM)}&ref=main`, [RPM]],
  [`sha256=${sha256Of(RPM)}&built_by=ci%2F7`, []],
  ["signed=true", [OLD, RPM]],
  ["signed=false", [HELLO, OTHER, AWAITED]],
  ["name=hello&signed=true", [OLD, RPM]],
  ["name=hello&name-has=-dev", []],
  ["name=hello&name-has=ll&release=bookworm&arch=amd64&format=deb&version=2.10-3&signed=false", [HELLO]],
  ["distribution=debian&arch=arm64", [OTHER]],
  ["release=bookworm&arch=amd64", [HELLO, AWAITED]],
  ["release=bookworm&arch=x86_64", []],
  ["name=hello&distribution=debian&release=bookworm&arch=amd64", [HELLO, AWAITED]],
  ["name=nobody&distribution=debian&release=bookworm&arch=amd64", []],
  [`sha256=${sha256Of(RPM)}&name=hello&distribution=centos`, [RPM]],
  [`sha256=${sha256Of(RPM)}&name=hello-dev`, []],
  [`sha256=${sha256Of(RPM)}&signed=false`, []],
  [`sha256=${sha256Of(RPM)}&version=2.10-3`, [RPM]],
  [`sha256=${sha256Of(RPM)}&version=2.10-2`, []],
  // As a form sends what was not filled in.
  [KNOWN.map((name) => `${name}=`).join("&"), ALL],
])("?%s finds what is all of that, and nothing else", async (query, expected) => {
  expect(await find(query)).toEqual(sorted(expected));
});

test("what is found is told as the last level of the listing tells it, with its path", async () => {
  const { body } = await app.ask("GET", `/search?name=hello&release=bookworm`);
  const listing = (await app.ask("GET", "/packages/hello/debian/bookworm/amd64")).body;
  expect(body).toEqual([HELLO, AWAITED].map((path) => ({ path, ...listing[path.split("/").at(-1) ?? ""] })));
  expect(body[0]).toMatchObject({ state: "stored", size: "12M", sha256: sha256Of(HELLO), signed: false });
});

test("without anything to find the answer is an empty array, with a slash or without, and HEAD has no body", async () => {
  const empty = await discoveryApp();
  for (const path of ["/search", "/search/"]) {
    const answer = await empty.ask("GET", path);
    expect([answer.status, answer.body, answer.headers.get("link")]).toEqual([200, [], null]);
    expect(await empty.ask("HEAD", path)).toMatchObject({ status: 200, body: "" });
  }
});

test("an unknown filter is 400 in the surface's own shape, and the known ones are named", async () => {
  for (const query of ["colour=red", "Name=hello", "name_has=x", "name=hello&arches=amd64", "__proto__=x", "limit=5"]) {
    const { status, body } = await app.ask("GET", `/search/?${query}`);
    expect([status, query]).toEqual([400, query]);
    expect(Object.keys(body).sort()).toEqual(["message", "msg"]);
    expect(body.msg).toContain(`known are ${KNOWN.join(", ")}`);
    expect(body.msg).toContain(JSON.stringify(query.split("&").at(-1)?.split("=")[0]));
  }
});

test("values that nothing can have are 400 and say why", async () => {
  for (const [query, says] of [
    ["name=..", /cannot name a package/],
    ["name=a%2Fb", /a name has 1 to 200/],
    ["name=%00", /a name has 1 to 200/],
    ["name=%E2%80%AEabc", /a name has 1 to 200/],
    [`name=${"x".repeat(201)}`, /name/],
    ["name-has=%25", /can be in no name/],
    ["name-has=a%20b", /can be in no name/],
    ["distribution=distributions", /long form/],
    ["arch=amd64.use", /reserved/],
    ["release=%C3%A9", /cannot name a release/],
    ["sha256=abc", /sha256.*64 hex digits/],
    [`sha256=${"g".repeat(64)}`, /sha256/],
    ["signed=yes", /signed/],
    [`version=${"1".repeat(201)}`, /version/],
    [`ref=${"x".repeat(1001)}`, /ref/],
    ["name=hello&name=world", /name/],
    ["after=%2E%2E", /after/],
    ["after=a%2F%2Fb", /after/],
    ["after=a%2Fb%2Fc%2Fd%2Fe%2Ff", /after/],
    [`after=${"x".repeat(3000)}`, /after/],
  ] as const) {
    const { status, body } = await app.ask("GET", `/search/?${query}`);
    expect([status, query]).toEqual([400, query]);
    expect(body.msg).toMatch(says);
    expect(body.msg.length).toBeLessThan(600);
  }
});

test("names that mean something to others are only names", async () => {
  for (const name of ["__proto__", "constructor", "toString", "-", "...", "a~b+c:1^2@3=4"]) {
    const path = `${name}/debian/sid/amd64/${name}.deb`;
    await stored(path, { format: "deb" }, "7");
    expect(await find(`name=${encodeURIComponent(name)}`)).toEqual([path]);
    expect(await find(`sha256=${sha256Of(path)}`)).toEqual([path]);
    await app.ctx.table.delete(keys.node(path.split("/")));
    expect(await find(`name=${encodeURIComponent(name)}`)).toEqual([]);
    await app.ctx.table.delete(keys.node([name]));
  }
});

test("a hint whose binary is gone, or has other bytes, or lapsed, leads nowhere", async () => {
  const path = "gone/debian/sid/amd64/gone.deb";
  await stored(path, { format: "deb" }, "7");
  expect(await find(`sha256=${sha256Of(path)}`)).toEqual([path]);
  await app.stored(path.split("/"), 0, { sha256: sha256Of("other bytes") });
  expect(await find(`sha256=${sha256Of(path)}`)).toEqual([]);
  await app.ctx.table.delete(keys.node(path.split("/")));
  expect(await find(`sha256=${sha256Of(path)}`)).toEqual([]);
  await app.ctx.table.delete(keys.node(["gone"]));
});

test("a cursor of another search leads to nothing that is not looked for", async () => {
  for (const after of ["zzz", "aaa", "hello-dev/", "hello/debian/", "hello-dev/debian/bookworm", HELLO]) {
    const query = `after=${encodeURIComponent(after)}`;
    for (const found of await find(`${query}&name=hello&distribution=centos`)) expect(found).toBe(RPM);
    for (const found of await find(`${query}&name-has=-dev`)) expect(found).toBe(OTHER);
    for (const found of await find(`${query}&distribution=centos`)) expect(found).toBe(RPM);
    for (const found of await find(`${query}&sha256=${sha256Of(RPM)}&name=hello`)) expect(found).toBe(RPM);
  }
});

test("what cannot be done with a search is 405, and says what can", async () => {
  for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
    const answer = await app.ask(method, "/search/", method === "DELETE" ? undefined : {});
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
  }
});

test("pages follow each other by Link, with the same filters, until all was told once", async () => {
  const many = await discoveryApp();
  const names = Array.from({ length: 70 }, (_, index) => `page-${String(index).padStart(2, "0")}`);
  for (const name of names) await many.stored([name, "debian", "sid", "amd64", "x.deb"]);
  const found: string[] = [];
  let url: string | undefined = "/search/?name-has=page-&arch=amd64&signed=true&version=&format=";
  let pages = 0;
  while (url !== undefined) {
    const { body, headers } = await many.ask("GET", url);
    found.push(...body.map(({ path }: { path: string }) => path));
    url = headers.get("link")?.match(/^<([^>]+)>; rel="next"$/)?.[1];
    if (url !== undefined) expect(url).toMatch(/\/search\/\?name-has=page-&arch=amd64&signed=true&after=[^&]+$/);
    pages += 1;
  }
  expect(found).toEqual(names.map((name) => `${name}/debian/sid/amd64/x.deb`));
  expect(pages).toBeGreaterThan(1);
});
