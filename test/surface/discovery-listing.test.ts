import fc from "fast-check";
import { beforeEach, expect, test } from "vitest";
import { keys } from "../../shared/store/keys.ts";
import { type DiscoveryApp, discoveryApp } from "../support/discovery-app.ts";

const LEAF = ["hello", "debian", "sid", "amd64", "hello.deb"];
const LEVELS = ["/packages", "/packages/hello", "/packages/hello/debian", "/packages/hello/debian/sid"];
const FOLDER = "/packages/hello/debian/sid/amd64";

let app: DiscoveryApp;
beforeEach(async () => {
  app = await discoveryApp();
});

test("without content the root is an empty object, and every other level unknown", async () => {
  for (const slash of ["", "/"]) {
    const { status, body } = await app.ask("GET", `/packages${slash}`);
    expect([status, body]).toEqual([200, {}]);
    for (const path of [...LEVELS.slice(1), FOLDER, `${FOLDER}/hello.deb`]) {
      expect([(await app.ask("GET", path + slash)).status, path]).toEqual([404, path]);
    }
  }
});

test("an ETag covers what is told, not how long ago it was", async () => {
  await app.stored(LEAF);
  for (const accept of ["application/json", "text/html"]) {
    for (const path of [...LEVELS, FOLDER]) {
      const first = await app.ask("GET", path, undefined, { accept });
      const tag = first.headers.get("etag") ?? "";
      expect(tag).toMatch(/^W\/"[^"]+"$/);
      app.ctx.clock.ms += 3 * 24 * 3600_000;
      for (const told of [tag, tag.slice(2), `"other", ${tag}`, "*"]) {
        const again = await app.ask("GET", path, undefined, { accept, "if-none-match": told });
        expect([path, told, again.status, again.body]).toEqual([path, told, 304, ""]);
        expect(again.headers.get("etag")).toBe(tag);
        expect(again.headers.get("vary")).toBe("Accept");
        expect(again.headers.get("cache-control")).toBe("private, no-cache");
      }
      const whole = await app.ask("GET", path, undefined, { accept, "if-none-match": 'W/"other"' });
      expect([whole.status, whole.headers.get("etag")]).toEqual([200, tag]);
      expect(JSON.stringify(whole.body)).toMatch(/[3-9] days ago|\d\d days ago/);
    }
  }
});

test("an ETag changes with each change that is told: another child, other bytes, a lapse, a page more", async () => {
  await app.stored(LEAF);
  await app.awaited([...LEAF.slice(0, 4), "awaited.deb"]);
  const seen = new Set<string>();
  const look = async (accept = "application/json") => {
    const tag = (await app.ask("GET", FOLDER, undefined, { accept })).headers.get("etag") ?? "";
    expect([seen.has(tag), seen.size]).toEqual([false, seen.size]);
    seen.add(tag);
  };
  await look();
  await look("text/html");
  app.ctx.clock.ms += 1000;
  await app.stored(LEAF, 0, { sha256: "cd".repeat(32) });
  await look();
  await app.awaited([...LEAF.slice(0, 4), "more.deb"]);
  await look();
  // Nobody writes anything; what did not come in time is told no more.
  app.ctx.clock.ms += 3601 * 1000;
  await look();
  await app.ctx.table.delete(keys.node(LEAF));
  await look();
});

test("HEAD answers as GET does, without a body", async () => {
  await app.stored(LEAF);
  for (const path of [...LEVELS, FOLDER, `${FOLDER}/hello.deb`]) {
    const [get, head] = [await app.ask("GET", path), await app.ask("HEAD", path)];
    expect([head.status, head.body]).toEqual([get.status, ""]);
    for (const name of ["etag", "content-type", "location", "vary"]) {
      expect([path, name, head.headers.get(name)]).toEqual([path, name, get.headers.get(name)]);
    }
  }
  expect((await app.ask("HEAD", "/packages/nobody")).status).toBe(404);
});

test("a level of 2,500 is three pages, each one query, each with a link to the next but the last", async () => {
  const names = Array.from({ length: 2500 }, (_, number) => `p+${String(number).padStart(4, "0")}.deb`);
  for (const name of names) await app.stored([...LEAF.slice(0, 4), name]);
  const seen: string[] = [];
  let path: string | undefined = `${FOLDER}/`;
  const pages: number[] = [];
  while (path !== undefined) {
    const before = app.ctx.calls;
    const { body, headers } = await app.ask("GET", path);
    // The token is warm from the second page on.
    expect(app.ctx.calls - before).toBe(pages.length === 0 ? 2 : 1);
    pages.push(Object.keys(body).length);
    seen.push(...Object.keys(body));
    const next: string | undefined = /^<http:\/\/packhouse\.test(\S+)>; rel="next"$/.exec(
      headers.get("link") ?? "",
    )?.[1];
    expect(headers.has("link")).toBe(next !== undefined);
    path = next;
  }
  expect(pages).toEqual([1000, 1000, 500]);
  expect(seen).toEqual(names);
});

test("the root's pages lead on too", async () => {
  for (let number = 0; number < 1001; number += 1) {
    const name = `p${String(number).padStart(4, "0")}`;
    await app.ctx.table.put({ ...keys.node([name]), kind: "level", updatedAt: "2026-11-01T00:00:00.000Z" });
  }
  const { headers } = await app.ask("GET", "/packages");
  expect(headers.get("link")).toBe('<http://packhouse.test/packages/?after=p0999>; rel="next"');
  expect(Object.keys((await app.ask("GET", "/packages/?after=p0999")).body)).toEqual(["p1000"]);
});

test("whatever lies in the tree, a level tells the keys right below it and none of another's", async () => {
  const name = fc.constantFrom("a", "a.", "a-b", "a+b", "a:b", "aa", "b", "0", "__proto__", "constructor");
  const leaf = fc.tuple(name, name, name, name, name);
  await fc.assert(
    fc.asyncProperty(fc.array(leaf, { minLength: 1, maxLength: 12 }), async (leaves) => {
      app = await discoveryApp();
      for (const path of leaves) await app.stored(path);
      for (const path of leaves) {
        for (let depth = 0; depth < 5; depth += 1) {
          const above = path.slice(0, depth);
          const below = leaves.filter((other) => above.every((part, index) => other[index] === part));
          const { body } = await app.ask("GET", `/packages/${above.map(encodeURIComponent).join("/")}`);
          expect(Object.keys(body).sort()).toEqual([...new Set(below.map((other) => other[depth]))].sort());
        }
      }
    }),
    { numRuns: 25 },
  );
});

test("a path answers 405 to a method that it does not know, and tells those that it does", async () => {
  await app.stored(LEAF);
  for (const path of [...LEVELS, FOLDER, `${FOLDER}/`]) {
    for (const method of ["PUT", "PATCH", "PROPFIND"]) {
      const { status, headers, body } = await app.ask(method, path, method === "PUT" ? {} : undefined);
      expect([method, path, status]).toEqual([method, path, 405]);
      const allowed = headers.get("allow")?.split(", ") ?? [];
      expect(allowed).toEqual(expect.arrayContaining(["GET", "HEAD", "OPTIONS", "POST"]));
      expect(allowed).not.toContain(method);
      expect(body).toEqual({ msg: expect.stringContaining(method), message: body.msg });
    }
    const options = await app.ask("OPTIONS", path);
    expect([options.status, options.body]).toEqual([204, ""]);
    expect(options.headers.get("allow")).toContain("POST");
  }
  const binary = await app.ask("PROPFIND", `${FOLDER}/hello.deb`);
  expect([binary.status, binary.headers.get("allow")]).toEqual([405, expect.stringMatching(/\bGET, HEAD\b/)]);
});

test.each([
  ["/distributions", ""],
  ["/distributions/", "/"],
  ["/distributions/debian", "/debian"],
  ["/distributions/debian/", "/debian/"],
  ["/distributions/debian/releases", "/debian"],
  ["/distributions/debian/releases/sid/", "/debian/sid/"],
  ["/distributions/debian/releases/sid/archs", "/debian/sid"],
  ["/distributions/debian/releases/sid/archs/amd64", "/debian/sid/amd64"],
  ["/distributions/debian/releases/sid/archs/amd64/a.deb", "/debian/sid/amd64/a.deb"],
  ["/distributions/debian/releases/sid/archs/amd64/a.deb/uploads/1/abort", "/debian/sid/amd64/a.deb/uploads/1/abort"],
  ["/distributions/a%2Bb/releases/1%3A2/archs/%253a?after=x&info", "/a%2Bb/1%3A2/%253a?after=x&info"],
])("the long form %s is 308 to the short one with every method", async (long, short) => {
  for (const method of ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
    const { status, headers } = await app.ask(method, `/packages/g%2B%2B${long}`);
    expect([method, status]).toEqual([method, 308]);
    expect(headers.get("location")).toBe(`http://packhouse.test/packages/g%2B%2B${short}`);
  }
});

test("what begins as the long form and goes on otherwise is unknown", async () => {
  for (const rest of ["/debian/sid", "/debian/releases/sid/amd64", "/debian/archs/amd64", "//archs"]) {
    expect([rest, (await app.ask("GET", `/packages/p/distributions${rest}`)).status]).toEqual([rest, 404]);
  }
});

test("a binary of which no byte came is told until its time is over, and cannot be downloaded", async () => {
  await app.awaited(LEAF, { sizeBytes: 5 * 1024 ** 3 });
  const { body } = await app.ask("GET", FOLDER);
  expect(body["hello.deb"]).toMatchObject({
    state: "awaiting",
    signed: false,
    size: "5G",
    size_bytes: 5 * 1024 ** 3,
    sha256: null,
    sha512: null,
  });
  const got = await app.ask("GET", `${FOLDER}/hello.deb`);
  expect([got.status, got.body.msg]).toEqual([404, expect.stringContaining("awaited")]);
  app.ctx.clock.ms += 3601 * 1000;
  expect((await app.ask("GET", FOLDER)).body).toEqual({});
});

test("to make what is there moves no time; to make something moves it of all levels above", async () => {
  await app.stored(LEAF, 3600);
  const times = async () => {
    const all = await Promise.all(LEVELS.slice(0, 3).map(async (path) => (await app.ask("GET", path)).body));
    return all.map((body) => Object.values<{ last_updated: string }>(body)[0]?.last_updated);
  };
  expect(await times()).toEqual(Array(3).fill("1 hour ago"));
  expect((await app.ask("POST", "/packages/hello/debian/sid", { name: "amd64" })).status).toBe(400);
  expect(await times()).toEqual(Array(3).fill("1 hour ago"));
  expect((await app.ask("POST", "/packages/hello/debian/sid", { name: "arm64" })).status).toBe(200);
  expect(await times()).toEqual(Array(3).fill("0 seconds ago"));
});
