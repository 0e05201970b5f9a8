import { afterAll, beforeAll, expect, test } from "vitest";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { buildRpm } from "../support/rpm-builder.ts";
import { aptPackages, sha256 } from "../support/surface-requests.ts";

let packhouse: TestPackhouse;

beforeAll(async () => {
  packhouse = await startPackhouse();
  for (const type of ["apt", "yum", "dir"]) {
    const accepts = ["url/**", "broken/**", "twice/**"];
    expect((await packhouse.call("POST", "/repo", { name: type, type, accepts })).status).toBe(201);
  }
});
afterAll(() => packhouse.remove());

test("a control file that disagrees with the address decides, and the job says so", async () => {
  const deb = buildDeb({ control: { Package: "control", Version: "7", Architecture: "arm64" } });
  const job = await packhouse.upload("/packages/url/debian/bookworm/amd64/url_7.deb", deb);
  expect(job.state).toBe("done");
  expect(job.repos).toHaveProperty("apt");
  expect(job.notes).toEqual([
    "the control file names the package control, the URL url: the control file decides",
    "the control file says architecture arm64, the URL amd64: the control file decides",
  ]);
  expect(await aptPackages(packhouse, "apt")).toEqual([]);
  const [found] = await aptPackages(packhouse, "apt", "dists/stable/main/binary-arm64");
  expect(found).toMatchObject({ name: "control", version: "7" });
});

test("an rpm's header decides in the same way", async () => {
  const rpm = buildRpm({ name: "header", version: "1", release: "1", arch: "aarch64" });
  const job = await packhouse.upload("/packages/url/centos/9/x86_64/header.rpm", rpm);
  expect(job.notes).toHaveLength(2);
  expect(job.notes[1]).toBe("the header says architecture aarch64, the URL x86_64: the header decides");
  expect(job.repos).toHaveProperty("yum");
});

test("packages for every architecture lie under any without a word", async () => {
  const deb = buildDeb({ control: { Package: "url", Version: "8", Architecture: "all" } });
  expect((await packhouse.upload("/packages/url/debian/bookworm/amd64/url_8.deb", deb)).notes).toEqual([]);
  const rpm = buildRpm({ name: "url", version: "8", release: "1", arch: "noarch" });
  expect((await packhouse.upload("/packages/url/centos/9/x86_64/url.rpm", rpm)).notes).toEqual([]);
  for (const architecture of ["amd64", "arm64"]) {
    const found = await aptPackages(packhouse, "apt", `dists/stable/main/binary-${architecture}`);
    expect(found.map(({ version }) => version)).toContain("8");
  }
});

const DEB = buildDeb({ control: { Package: "broken" } });
const RPM = buildRpm({ name: "broken" });

test.each([
  ["text.deb", Buffer.from("this is no package\n")],
  ["empty.deb", Buffer.alloc(0)],
  ["cut.deb", DEB.subarray(0, 100)],
  ["flipped.deb", Buffer.from(DEB).fill(0xff, 140, 180)],
  ["text.rpm", Buffer.from("this is no package\n")],
  ["empty.rpm", Buffer.alloc(0)],
  ["cut.rpm", RPM.subarray(0, 120)],
])(
  "%s, which cannot be read, stays downloadable; the job says what is wrong and where; no repo takes it",
  async (name, bytes) => {
    const path = `/packages/broken/debian/bookworm/amd64/${name}`;
    const job = await packhouse.upload(path, bytes);
    expect(job.state).toBe("failed");
    expect(job.repos).toEqual({});
    expect(job.error).toMatch(
      new RegExp(`^${name.replace(".", "\\.")} is stored, but no repo takes it: .+ \\(at byte \\d+\\)$`),
    );
    expect(job.error).not.toContain("\n");
    const got = await fetch(`${packhouse.url}${path}`);
    expect(sha256(Buffer.from(await got.arrayBuffer()))).toBe(sha256(bytes));
    const { body } = await packhouse.call("GET", "/packages/broken/debian/bookworm/amd64/");
    expect(body[name]).toMatchObject({ state: "stored", signed: false, sha256: sha256(bytes) });
  },
);

test("an unreadable file sent a second time, under another name, is told so again", async () => {
  const job = await packhouse.upload(
    "/packages/broken/debian/bookworm/amd64/again.deb",
    Buffer.from("this is no package\n"),
  );
  expect(job.state).toBe("failed");
  expect(job.error).toContain("again.deb");
});

test("the same package at two places of the tree is in the repo once, and both jobs end well", async () => {
  const deb = buildDeb({ control: { Package: "twice", Version: "1" } });
  const first = await packhouse.upload("/packages/twice/debian/bookworm/amd64/twice_1_amd64.deb", deb);
  const second = await packhouse.upload("/packages/twice/debian/trixie/amd64/twice_1_amd64.deb", deb);
  const renamed = await packhouse.upload("/packages/twice/debian/sid/amd64/another-name.deb", deb);
  for (const job of [first, second, renamed]) {
    expect(job).toMatchObject({ state: "done", notes: [] });
    expect(job.repos).toHaveProperty("apt");
  }
  const found = (await aptPackages(packhouse, "apt")).filter(({ name }) => name === "twice");
  expect(found).toEqual([expect.objectContaining({ filename: `pool/${sha256(deb)}/twice_1_amd64.deb` })]);
});

test("of two files with one name, version and architecture the repo keeps the first, and the job says so", async () => {
  const control = { Package: "twice", Version: "2" };
  const first = buildDeb({ control, files: { "usr/share/one": "1" } });
  const second = buildDeb({ control, files: { "usr/share/two": "2" } });
  await packhouse.upload("/packages/twice/debian/bookworm/amd64/twice_2_amd64.deb", first);
  const job = await packhouse.upload("/packages/twice/debian/trixie/amd64/twice_2_amd64.deb", second);
  expect(job.state).toBe("done");
  expect(job.repos).not.toHaveProperty("apt");
  expect(job.notes).toContain("repo apt already holds twice 2 amd64 with other bytes; it keeps them");
  const found = (await aptPackages(packhouse, "apt")).filter(({ version }) => version === "2");
  expect(found.map((one) => one.sha256)).toEqual([sha256(first)]);
  const got = await fetch(`${packhouse.url}/packages/twice/debian/trixie/amd64/twice_2_amd64.deb`);
  expect(sha256(Buffer.from(await got.arrayBuffer()))).toBe(sha256(second));
});
