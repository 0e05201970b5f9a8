import { afterAll, beforeAll, expect, test } from "vitest";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { raw } from "../support/surface-requests.ts";

let packhouse: TestPackhouse;
beforeAll(async () => {
  packhouse = await startPackhouse();
  await packhouse.call("POST", "/repo", { name: "taken", type: "apt" });
});
afterAll(() => packhouse.remove());

const send = (path: string, body: string, method = "POST") =>
  raw(packhouse, method, path, { headers: { authorization: `Bearer ${packhouse.folder.rootToken}` }, body });

const PLACES = ["/packages/", "/packages/a/b", "/packages/a/b/c/d", "/packages/a/b/c/d/e"];

test.each(PLACES)(
  "POST %s refuses what is no JSON object with a name, in its own shape, and says what is wrong",
  async (path) => {
    for (const [body, says] of [
      ["", /body|JSON|name/i],
      ["not json", /JSON/],
      ["{", /JSON/],
      ['{"name":"a"', /JSON/],
      ["{}", /name/],
      ["[]", /object|name/],
      ["null", /object|name/],
      ['"a"', /object|name/],
      ['{"name":7}', /name/],
      ['{"name":null}', /name/],
      ['{"name":""}', /name/],
      ['{"Name":"a"}', /name/],
    ] as const) {
      const answer = await send(path, body);
      expect([answer.status, body]).toEqual([400, body]);
      expect(Object.keys(answer.body).sort()).toEqual(["message", "msg"]);
      expect(answer.body.msg).toBe(answer.body.message);
      expect(answer.body.message).toMatch(says);
    }
  },
);

test("an upload's terms are refused by name where they are wrong", async () => {
  for (const [terms, field] of [
    [{ sha256: "abc" }, "sha256"],
    [{ sha256: "g".repeat(64) }, "sha256"],
    [{ sha256: 7 }, "sha256"],
    [{ size: -1 }, "size"],
    [{ size: 1.5 }, "size"],
    [{ size: "53000" }, "size"],
    [{ size: 1e300 }, "size"],
    [{ force: "yes" }, "force"],
  ] as const) {
    const { status, body } = await send("/packages/a/b/c/d", JSON.stringify({ name: "e.deb", ...terms }));
    expect([status, terms]).toEqual([400, terms]);
    expect(body.message).toContain(field);
  }
});

test("the repositories' errors are problems, as RFC 9457 has them, with a sentence of what is wrong", async () => {
  for (const [body, says] of [
    ["not json", /JSON/],
    ["{}", /name.*type|type.*name/],
    ['{"name":"x"}', /unknown type: acceptable types are yum, apt, dir/],
    ['{"name":"x","type":"deb"}', /type: unknown type: acceptable types are yum, apt, dir/],
    ['{"type":"apt"}', /name/],
    ['{"name":"X","type":"apt"}', /name: must match \^\[a-z0-9\]/],
    ['{"name":"a/b","type":"apt"}', /name: must match/],
    ['{"name":"..","type":"apt"}', /name: must match/],
    ['{"name":"","type":"apt"}', /name: must match/],
    ['{"name":"x","type":"apt","colour":"red"}', /"colour"/],
    ['{"name":"x","type":"apt","accepts":["a"]}', /accepts\.0: "a": a pattern is/],
    ['{"name":"x","type":"apt","accepts":[{"path":"a/**","suit":"x"}]}', /"suit"/],
    ['{"name":"x","type":"apt","accepts":"a/**"}', /accepts/],
    ['{"name":"x","type":"apt","suite":"../x"}', /suite/],
    ['{"name":"x","type":"apt","architectures":["AMD 64"]}', /architectures\.0/],
    ['{"name":"x","type":"apt","label":"two\\nlines"}', /label: must be one line/],
  ] as const) {
    const answer = await send("/repo", body);
    expect([answer.status, body]).toEqual([400, body]);
    expect(answer.headers.get("content-type")).toContain("application/problem+json");
    expect(answer.body).toMatchObject({ type: "about:blank", title: "Invalid request", status: 400 });
    expect(answer.body.detail).toMatch(says);
  }
  expect((await packhouse.call("GET", "/repo/x")).status).toBe(404);
});

test("a name that is taken is 409 and says so; another type may have it", async () => {
  const again = await packhouse.call("POST", "/repo", { name: "taken", type: "apt" });
  expect(again.status).toBe(409);
  expect(again.body.detail).toContain("taken");
  const other = await packhouse.call("POST", "/repo", { name: "taken", type: "yum" });
  expect([other.status, other.body]).toEqual([201, { uri: `${packhouse.url}/repo/taken?type=yum` }]);
  const listing = (await packhouse.call("GET", "/repo")).body;
  expect(Object.keys(listing).filter((name) => name.includes("taken"))).toHaveLength(2);
  for (const uri of Object.values(listing)) expect((await packhouse.call("GET", String(uri))).status).toBe(200);
});

test("PUT of a repo says what is wrong with it", async () => {
  for (const [path, body, status, says] of [
    ["/repo/taken", { name: "other" }, 400, /the URL says/],
    ["/repo/fresh", {}, 400, /type is missing: acceptable types are yum, apt, dir/],
    ["/repo/Fresh", { type: "apt" }, 400, /must match/],
    ["/repo/taken", { colour: "red" }, 400, /colour/],
    ["/repo/taken?type=deb", {}, 400, /acceptable types/],
  ] as const) {
    const answer = await packhouse.call("PUT", path, body);
    expect([answer.status, path]).toEqual([status, path]);
    expect(answer.body.detail).toMatch(says);
  }
});

test("a body over a megabyte is 413, in the surface's own shape, and one below is not", async () => {
  const big = (bytes: number) => JSON.stringify({ name: "x".repeat(bytes) });
  const discovery = await send("/packages/", big(1024 * 1024 + 1));
  expect(discovery.status).toBe(413);
  expect(discovery.body).toEqual({ msg: discovery.body.message, message: expect.stringContaining("1048576") });
  const repos = await send("/repo", big(1024 * 1024 + 1));
  expect([repos.status, repos.body.status]).toEqual([413, 413]);
  expect((await send("/packages/", big(1024 * 1024 - 100))).status).toBe(400);
  expect((await send("/packages/", big(7 * 1024 * 1024))).status).toBe(413);
});

test("queries that make no sense are 400", async () => {
  for (const path of [
    "/packages/?after=",
    "/repo?after=",
    "/jobs/x?wait=soon",
    "/jobs/x?wait=-1",
    "/repo/taken?type=x",
  ]) {
    expect([(await packhouse.call("GET", path)).status, path]).toEqual([400, path]);
  }
});

test("a job that is not there is 404 and named", async () => {
  for (const id of [
    "x",
    "0".repeat(32),
    `${"0".repeat(32)}-eA`,
    `${"0".repeat(32)}-${"A".repeat(3000)}`,
    "%00",
    "__proto__",
  ]) {
    const { status, body } = await packhouse.call("GET", `/jobs/${id}`);
    expect([status, id]).toEqual([404, id]);
    expect(body.detail).toMatch(/no job/);
  }
});

test("a path that nobody answers is 404 and leads to the front page", async () => {
  for (const path of ["/nothing", "/packages/a/b/c/d/e/f", "/repo/taken/colours", "/PACKAGES"]) {
    const { status, body } = await packhouse.call("GET", path);
    expect([status, path]).toEqual([404, path]);
    expect(body.detail ?? body.message).toMatch(/\/ says what is here/);
  }
});
