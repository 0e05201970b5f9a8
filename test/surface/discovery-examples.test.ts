import { beforeAll, expect, test } from "vitest";
import { type DiscoveryApp, discoveryApp } from "../support/discovery-app.ts";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const CEPH_AGO = 14 * HOUR + 39 * MINUTE + 19;
const RELEASE = "el7.centos.x86_64.rpm";

let app: DiscoveryApp;
beforeAll(async () => {
  app = await discoveryApp();
  const rest = 6 * HOUR + 39 * MINUTE + 19;
  const centos = (name: string) => ["ceph", "centos", "7", "x86_64", name];
  await app.stored(centos(`ceph-0.87-0.${RELEASE}`), 35 * DAY + rest);
  await app.stored(centos(`ceph-0.87.1-0.${RELEASE}`), 20 * DAY + rest);
  await app.stored(centos(`ceph-0.87.2-0.${RELEASE}`), CEPH_AGO);
  await app.stored(["ceph", "centos", "6", "i386", "ceph.rpm"], CEPH_AGO);
  for (const distribution of ["redhat", "debian", "ubuntu"]) {
    await app.stored(["ceph", distribution, "1", "noarch", "ceph.rpm"], CEPH_AGO);
  }
  await app.stored(["ceph-deploy", "debian", "sid", "all", "a.deb"], 15 * HOUR + 42 * MINUTE + 28);
  await app.stored(["radosgw-agent", "debian", "sid", "all", "a.deb"], 12 * HOUR + 56 * MINUTE + 8);
});

/** The words alone: what a client of the document's examples looks at. */
async function told(path: string, ...fields: string[]) {
  const { status, body } = await app.ask("GET", path);
  expect(status).toBe(200);
  const rows = Object.entries<Record<string, unknown>>(body);
  return Object.fromEntries(
    rows.map(([name, row]) => [name, Object.fromEntries(fields.map((field) => [field, row[field]]))]),
  );
}

test("GET /packages/ is the document's example", async () => {
  expect(await told("/packages/", "last_updated")).toEqual({
    ceph: { last_updated: "14 hours, 39 minutes, 19 seconds ago" },
    "ceph-deploy": { last_updated: "15 hours, 42 minutes, 28 seconds ago" },
    "radosgw-agent": { last_updated: "12 hours, 56 minutes, 8 seconds ago" },
  });
});

test("GET /packages/ceph/ is the document's example", async () => {
  expect(await told("/packages/ceph/", "last_updated")).toEqual({
    centos: { last_updated: "14 hours, 39 minutes, 19 seconds ago" },
    redhat: { last_updated: "14 hours, 39 minutes, 19 seconds ago" },
    debian: { last_updated: "14 hours, 39 minutes, 19 seconds ago" },
    ubuntu: { last_updated: "14 hours, 39 minutes, 19 seconds ago" },
  });
});

test("GET /packages/ceph/centos/ is the document's example", async () => {
  expect(await told("/packages/ceph/centos/", "last_updated")).toEqual({
    "7": { last_updated: "14 hours, 39 minutes, 19 seconds ago" },
    "6": { last_updated: "14 hours, 39 minutes, 19 seconds ago" },
  });
});

test("GET /packages/ceph/centos/7/ is the document's example", async () => {
  expect(await told("/packages/ceph/centos/7/", "last_updated")).toEqual({
    x86_64: { last_updated: "14 hours, 39 minutes, 19 seconds ago" },
  });
});

test("GET /packages/ceph/centos/7/x86_64/ is the document's example", async () => {
  expect(await told("/packages/ceph/centos/7/x86_64/", "signed", "size", "last_updated")).toEqual({
    "ceph-0.87.2-0.el7.centos.x86_64.rpm": {
      signed: true,
      size: "12M",
      last_updated: "14 hours, 39 minutes, 19 seconds ago",
    },
    "ceph-0.87.1-0.el7.centos.x86_64.rpm": {
      signed: true,
      size: "12M",
      last_updated: "20 days, 6 hours, 39 minutes, 19 seconds ago",
    },
    "ceph-0.87-0.el7.centos.x86_64.rpm": {
      signed: true,
      size: "12M",
      last_updated: "35 days, 6 hours, 39 minutes, 19 seconds ago",
    },
  });
});

test("the last level tells beside the document's fields what programs need", async () => {
  const { body } = await app.ask("GET", "/packages/ceph/centos/7/x86_64/");
  expect(body[`ceph-0.87.2-0.${RELEASE}`]).toEqual({
    signed: true,
    size: "12M",
    last_updated: "14 hours, 39 minutes, 19 seconds ago",
    last_updated_at: "2026-11-20T21:20:41.000Z",
    size_bytes: 12_582_912,
    sha256: "ab".repeat(32),
    sha512: null,
    state: "stored",
    url: `http://packhouse.test/packages/ceph/centos/7/x86_64/ceph-0.87.2-0.${RELEASE}`,
  });
});

test("a GET of the final URL leads to the binary", async () => {
  const { status, headers } = await app.ask("GET", `/packages/ceph/centos/7/x86_64/ceph-0.87.2-0.${RELEASE}`);
  expect(status).toBe(302);
  expect(headers.get("location")).toMatch(/\/blobs\/ab\/(?:ab){32}\/ceph-0\.87\.2-0\.el7\.centos\.x86_64\.rpm$/);
});

test("each key is a part of the URL that can be consumed, down to the binaries", async () => {
  const paths = ["/packages/"];
  let leaves = 0;
  for (const path of paths) {
    const { body } = await app.ask("GET", path);
    for (const [name, row] of Object.entries<{ state?: string }>(body)) {
      if (row.state === undefined) paths.push(`${path}${encodeURIComponent(name)}/`);
      else leaves += 1;
    }
  }
  expect([paths.length, leaves]).toEqual([24, 9]);
});

test('POST {"name": "my_new_package"} makes it once; then it "already exists"', async () => {
  expect((await app.ask("POST", "/packages/", { name: "my_new_package" })).status).toBe(200);
  const again = await app.ask("POST", "/packages/", { name: "my_new_package" });
  expect(again.status).toBe(400);
  expect(again.body).toEqual({ msg: "my_new_package already exists", message: "my_new_package already exists" });
  expect((await app.ask("GET", "/packages/my_new_package/")).body).toEqual({});
});

test.each([
  ["/packages/ceph/", "fedora"],
  ["/packages/ceph/centos/", "9"],
  ["/packages/ceph/centos/7/", "aarch64"],
])("POST to %s makes %s, and says when it is there", async (path, name) => {
  const made = await app.ask("POST", path, { name });
  expect([made.status, made.body]).toEqual([200, { name }]);
  expect((await app.ask("GET", path)).body).toHaveProperty([name, "last_updated"], "0 seconds ago");
  const again = await app.ask("POST", path, { name });
  expect([again.status, again.body.msg]).toEqual([400, `${name} already exists`]);
});

test("a POST to a URL of which nothing existed makes all parts of it", async () => {
  app.ctx.objects.presignUpload = async () => ({
    method: "PUT",
    url: "http://store.test",
    headers: {},
    expires_at: "2027",
  });
  const name = "ceph-0.87.2-0.el10.centos.x86_64.rpm";
  const { status, body } = await app.ask("POST", `/packages/ceph/centos/10/x86_64/${name}`, { name });
  expect([status, body.name]).toEqual([200, name]);
  expect((await app.ask("GET", "/packages/ceph/centos/")).body).toHaveProperty("10");
  expect((await app.ask("GET", "/packages/ceph/centos/10/")).body).toHaveProperty("x86_64");
  expect((await app.ask("GET", "/packages/ceph/centos/10/x86_64/")).body).toHaveProperty([name, "state"], "awaiting");
});

test("the document's other URL structure leads to the first", async () => {
  const long = `/packages/ceph/distributions/centos/releases/7/archs/x86_64/ceph-0.87.2-0.${RELEASE}`;
  const { status, headers } = await app.ask("GET", long);
  expect(status).toBe(308);
  expect(headers.get("location")).toBe(`http://packhouse.test/packages/ceph/centos/7/x86_64/ceph-0.87.2-0.${RELEASE}`);
});
