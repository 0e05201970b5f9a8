import { afterAll, beforeAll, expect, test } from "vitest";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { raw } from "../support/surface-requests.ts";

let packhouse: TestPackhouse;
let token: string;

beforeAll(async () => {
  packhouse = await startPackhouse();
  token = packhouse.folder.rootToken;
  await packhouse.call("POST", "/packages/", { name: "known" });
  await packhouse.call("POST", "/repo", { name: "tools", type: "apt" });
});
afterAll(() => packhouse.remove());

let made = 0;
const write = (headers: Record<string, string>) => {
  made += 1;
  return raw(packhouse, "POST", "/packages/", { headers, body: JSON.stringify({ name: `p${made}` }) });
};
const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

test("a token is taken in each of its forms, whatever the case of the scheme and the body's content type", async () => {
  for (const headers of [
    { authorization: `Bearer ${token}` },
    { authorization: `bearer ${token}` },
    { authorization: `Token ${token}` },
    { "x-snarl-token": token },
    { authorization: basic("root", token) },
    { authorization: basic("", token) },
    { authorization: `Bearer ${token}`, "content-type": "application/x-www-form-urlencoded" },
    { authorization: `Bearer ${token}`, "content-type": "text/plain" },
  ]) {
    const { status, body } = await write(headers as Record<string, string>);
    expect([status, body, headers]).toEqual([200, { name: `p${made}` }, headers]);
  }
});

test("writing without a token is 401, in the surface's own shape, and says how to send one", async () => {
  const discovery = await write({});
  expect(discovery.status).toBe(401);
  expect(discovery.body).toEqual({ msg: discovery.body.message, message: expect.stringContaining("Authorization") });
  expect(discovery.headers.get("www-authenticate")).toMatch(/^Bearer/);
  const repos = await raw(packhouse, "POST", "/repo", { body: "{}" });
  expect(repos.status).toBe(401);
  expect(repos.headers.get("content-type")).toContain("application/problem+json");
  expect(repos.body).toMatchObject({
    status: 401,
    title: "Unauthorized",
    detail: expect.any(String),
    type: "about:blank",
  });
  for (const [method, path] of [
    ["PUT", "/repo/tools"],
    ["POST", "/packages/known/debian"],
    ["DELETE", "/packages/known"],
    ["PUT", "/nowhere"],
  ] as const) {
    expect((await raw(packhouse, method, path, { body: "{}" })).status).toBe(401);
  }
});

test("a wrong token is 401, on writes and on reads", async () => {
  for (const headers of [
    { authorization: "Bearer wrong" },
    { authorization: `Bearer ${token}x` },
    { authorization: "Token wrong" },
    { "x-snarl-token": "wrong" },
    { "x-snarl-token": "" },
    { authorization: basic("root", "wrong") },
    { authorization: "Basic ???" },
    { authorization: "Digest abc" },
    { authorization: "Bearer" },
    { authorization: token },
    { authorization: `Bearer ${"x".repeat(5000)}` },
  ]) {
    expect([(await write(headers as Record<string, string>)).status, headers]).toEqual([401, headers]);
    for (const path of ["/packages/", "/repo", "/repo/tools", "/health", "/", "/nothing"]) {
      const read = await raw(packhouse, "GET", path, { headers: headers as Record<string, string> });
      expect([read.status, path, headers]).toEqual([401, path, headers]);
    }
  }
});

test("a wrong token is answered alike whether or not what it asks for exists, and is not told back", async () => {
  const headers = { authorization: "Bearer secret-guess" };
  const [there, not] = [
    await raw(packhouse, "GET", "/packages/known", { headers }),
    await raw(packhouse, "GET", "/packages/unknown", { headers }),
  ];
  expect(there.body).toEqual(not.body);
  expect(JSON.stringify(there.body)).not.toContain("secret-guess");
});

test("reads are public", async () => {
  for (const path of ["/", "/health", "/openapi.json", "/packages/", "/packages/known", "/repo", "/repo/tools"]) {
    expect([(await raw(packhouse, "GET", path)).status, path]).toEqual([200, path]);
  }
  expect((await raw(packhouse, "GET", "/apt/tools/dists/stable/InRelease")).status).toBe(200);
});

test("HEAD is answered like GET without the body", async () => {
  const { status, body } = await raw(packhouse, "HEAD", "/packages/");
  expect([status, body]).toEqual([200, ""]);
});

test("the store's own address takes nothing that is not signed", async () => {
  for (const [method, path] of [
    ["GET", "/_s3/packhouse"],
    ["GET", "/_s3/packhouse?list-type=2"],
    ["PUT", "/_s3/packhouse/blobs/00/x"],
    ["DELETE", "/_s3/packhouse/pointers/apt/tools/key.asc"],
  ] as const) {
    expect((await raw(packhouse, method, path)).status).toBe(403);
  }
});
