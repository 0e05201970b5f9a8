import { afterAll, beforeAll, expect, test } from "vitest";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { buildRpm } from "../support/rpm-builder.ts";
import { raw, sha256 } from "../support/surface-requests.ts";

let packhouse: TestPackhouse;
beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

/** The answer behind the redirect, asked for as the address stands. */
async function follow(method: string, path: string, headers: Record<string, string> = {}) {
  const first = await raw(packhouse, method, path);
  expect([path, first.status]).toEqual([path, 302]);
  return raw(packhouse, method, new URL(first.headers.get("location") ?? "").pathname, { headers });
}

const DEB = buildDeb({ control: { Package: "get", Version: "1" } });

test.each([
  ["get_1_amd64.deb", DEB, "application/vnd.debian.binary-package", "get_1_amd64.deb"],
  ["get-1-1.noarch.rpm", buildRpm({ name: "get", arch: "noarch" }), "application/x-rpm", "get-1-1.noarch.rpm"],
  ["notes.txt", Buffer.from("notes"), "text/plain; charset=utf-8", "notes.txt"],
  ["page.html", Buffer.from("<script>alert(1)</script>"), "application/octet-stream", "page.html"],
  ["g++_1:2~a^b=c@d.deb", DEB, "application/vnd.debian.binary-package", "g++_1:2~a^b=c@d.deb"],
])("%s arrives whole, with its name and type, and may be kept for ever", async (name, bytes, type, filename) => {
  const path = `/packages/get/debian/sid/amd64/${encodeURIComponent(name)}`;
  await packhouse.upload(`/packages/get/debian/sid/amd64/${name}`, bytes);
  const { status, headers } = await follow("GET", path);
  expect(status).toBe(200);
  expect(headers.get("content-type")).toBe(type);
  expect(headers.get("content-disposition")).toBe(`attachment; filename="${filename}"`);
  expect(headers.get("content-length")).toBe(String(bytes.length));
  expect(headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
  expect(headers.get("accept-ranges")).toBe("bytes");
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("content-security-policy")).toBe("sandbox");
  const tag = headers.get("etag") ?? "";
  expect(tag).toMatch(/^"[^"]+"$/);

  const head = await follow("HEAD", path);
  expect([head.status, head.body]).toEqual([200, ""]);
  expect(head.headers.get("content-length")).toBe(String(bytes.length));
  const held = await follow("GET", path, { "if-none-match": tag });
  expect([held.status, held.body]).toEqual([304, ""]);
  const part = await follow("GET", path, { range: "bytes=1-3" });
  expect([part.status, part.headers.get("content-range")]).toEqual([206, `bytes 1-3/${bytes.length}`]);
  expect(part.headers.get("content-disposition")).toBe(headers.get("content-disposition"));
  expect((await follow("GET", path, { range: `bytes=${bytes.length}-` })).status).toBe(416);
  const whole = await fetch(`${packhouse.url}${path}`);
  expect(sha256(Buffer.from(await whole.arrayBuffer()))).toBe(sha256(bytes));
});

test("a name with %3a is found as it is listed and as it is written, and made at its own address", async () => {
  const name = "get_1%3a2_amd64.deb";
  const folder = "/packages/get/debian/sid/arm64";
  const auth = { authorization: `Bearer ${packhouse.folder.rootToken}` };
  const made = await raw(packhouse, "POST", `${folder}/${name}`, { headers: auth, body: JSON.stringify({ name }) });
  expect([made.status, made.body.name]).toEqual([200, name]);
  await packhouse.upload(`${folder}/${name}`, DEB);
  expect(Object.keys((await packhouse.call("GET", folder)).body)).toEqual([name]);
  for (const path of [`${folder}/${name}`, `${folder}/${encodeURIComponent(name)}`]) {
    expect((await follow("GET", path)).headers.get("content-disposition")).toBe(
      "attachment; filename*=UTF-8''get_1%253a2_amd64.deb",
    );
  }
});

test("a method that no function can be asked with is refused, never a fault", async () => {
  const { status, headers } = await raw(packhouse, "TRACE", "/packages/");
  expect([status, headers.get("allow")]).toEqual([405, expect.stringContaining("GET")]);
});
