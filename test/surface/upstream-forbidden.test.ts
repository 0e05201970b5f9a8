import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RunningServer, startServer } from "../../infra/local/server.ts";

const dataFolder = mkdtempSync(join(tmpdir(), "packhouse-"));
let server: RunningServer;
let inner: Server;
let port: number;
let connections = 0;

/** As it comes: no upstream may lie at an address that is not public. */
beforeAll(async () => {
  server = await startServer({ dataFolder, host: "127.0.0.1", port: 0, publicUrl: undefined }, () => {});
  inner = createServer((_, response) => response.end("secret")).listen(0, "127.0.0.1");
  inner.on("connection", () => {
    connections += 1;
  });
  await new Promise((resolve) => inner.once("listening", resolve));
  port = (inner.address() as AddressInfo).port;
});
afterAll(async () => {
  await server.close();
  await new Promise((resolve) => inner.close(resolve));
  rmSync(dataFolder, { recursive: true, force: true });
});

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> {
  const response = await fetch(path.startsWith("http") ? path : `${server.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${server.folder.rootToken}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}

let made = 0;
async function syncOf(type: string, path: string) {
  made += 1;
  const settings = type === "apt" ? { series: ["stable"] } : {};
  const name = `inner-${made}`;
  expect((await call("POST", "/upstream", { name, type, path, ...settings })).status).toBe(201);
  const { body } = await call("GET", `/upstream/${name}`);
  return {
    job: (await call("GET", `${body.job}?wait=25`)).body,
    upstream: (await call("GET", `/upstream/${name}`)).body,
  };
}

const HOSTS = ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0.0.0.0", "169.254.169.254"];

test.each(["apt", "yum"].flatMap((type) => HOSTS.map((host) => [type, host] as const)))(
  "an upstream of type %s at %s is taken, and its sync refused without a connection",
  async (type, host) => {
    const { job, upstream } = await syncOf(type, `http://${host}:${port}/`);
    expect(job).toMatchObject({ state: "failed", errors: [{ message: expect.stringContaining("public address") }] });
    expect(upstream).toMatchObject({ commit: 0, packages: 0 });
    expect(connections).toBe(0);
  },
);

test.each([
  ["poop", /URL/],
  ["file:///etc/passwd", /http/],
  ["gopher://example.org/", /http/],
  ["http://", /URL/],
  ["http:///", /URL/],
])("the path %j is taken, and is the error of its sync", async (path, told) => {
  const { job } = await syncOf("yum", path);
  expect(job).toMatchObject({ state: "failed", errors: [{ message: expect.stringMatching(told) }] });
});

test("credentials are told nowhere", async () => {
  const { job, upstream } = await syncOf("yum", `http://ci:hunter2@127.0.0.1:${port}/`);
  expect(job.state).toBe("failed");
  expect(JSON.stringify([job, upstream])).not.toContain("hunter2");
  expect(upstream.path).toBe(`http://127.0.0.1:${port}/`);
});
