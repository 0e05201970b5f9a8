import { afterAll, beforeAll, expect, test } from "vitest";
import { appOf } from "../../functions/http/app.ts";
import type { Context } from "../../shared/context.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { ask, ended, put, raw } from "../support/surface-requests.ts";

let packhouse: TestPackhouse;
beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

test("/ says what is here, to programs and to people, and every address in it answers", async () => {
  const { status, body } = await raw(packhouse, "GET", "/");
  expect(status).toBe(200);
  expect(body).toMatchObject({ name: "packhouse", openapi: `${packhouse.url}/openapi.json` });
  for (const url of Object.values(body).filter(
    (value) => String(value).startsWith("http") && !String(value).includes("{"),
  )) {
    expect([(await fetch(String(url))).status, url]).toEqual([200, url]);
  }
  const page = await raw(packhouse, "GET", "/", { headers: { accept: "text/html,*/*" } });
  expect(page.headers.get("content-type")).toContain("text/html");
  for (const [, href = ""] of String(page.body).matchAll(/href="([^"]+)"/g)) {
    expect([(await fetch(href)).status, href]).toEqual([200, href]);
  }
});

test("/health is 200 while table, store and queues answer", async () => {
  const { status, body } = await raw(packhouse, "GET", "/health");
  expect([status, body]).toEqual([200, { status: "ok", table: "ok", store: "ok", queues: "ok" }]);
});

const fails = () => Promise.reject(new Error("it is gone, and this says where: 10.0.0.7"));

test.each([
  ["table", (ctx: Context): Context => ({ ...ctx, table: { ...ctx.table, get: fails } })],
  ["store", (ctx: Context): Context => ({ ...ctx, objects: { ...ctx.objects, check: fails } })],
  ["queues", (ctx: Context): Context => ({ ...ctx, queues: { ...ctx.queues, check: fails } })],
])("/health is 503 and names the %s that does not answer", async (part, broken) => {
  const answer = await appOf(() => broken(packhouse.context)).request("/health");
  expect(answer.status).toBe(503);
  const all = { status: "failing", table: "ok", store: "ok", queues: "ok" };
  expect(await answer.json()).toEqual({ ...all, [part]: "failing" });
});

test("a fault of ours is a 500 that tells nothing of our insides, in the surface's own shape", async () => {
  const broken = appOf(() => ({ ...packhouse.context, table: { ...packhouse.context.table, query: fails } }));
  for (const path of ["/packages/", "/repo"]) {
    const answer = await broken.request(path);
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toMatch(/10\.0\.0\.7|gone|stack/);
  }
});

test("a job waits until it is done, and no longer than asked", async () => {
  const { body } = await ask(packhouse, "wait/debian/sid/amd64/wait.txt");
  const start = performance.now();
  expect((await packhouse.call("GET", `${body.job}?wait=1`)).body.state).toBe("awaiting");
  expect(performance.now() - start).toBeGreaterThan(900);
  expect(performance.now() - start).toBeLessThan(3_000);
  const waiting = ended(packhouse, body.job);
  expect((await put(body.upload, Buffer.from("now"))).status).toBe(200);
  expect((await waiting).state).toBe("done");
  expect(performance.now() - start).toBeLessThan(8_000);
  expect((await packhouse.call("GET", body.job)).body).toMatchObject({
    state: "done",
    binary: "wait/debian/sid/amd64/wait.txt",
    notes: [],
    repos: {},
  });
});

test("every answer says how long it may be kept, and lets no browser guess what it is", async () => {
  for (const path of ["/", "/health", "/packages/", "/repo", "/nothing", "/packages/nothing", "/openapi.json"]) {
    const { headers } = await raw(packhouse, "GET", path);
    expect([headers.get("cache-control"), headers.get("x-content-type-options"), path]).toEqual([
      expect.any(String),
      "nosniff",
      path,
    ]);
  }
});
