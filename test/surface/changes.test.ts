import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { smallKey } from "../support/small-key.ts";
import { changesOf, type NamedBytes, sourcePackage } from "../support/sources.ts";
import { heldBy, jobIn, send } from "../support/surface-changes.ts";
import { sha256 } from "../support/surface-requests.ts";

const SOURCE = sourcePackage();
const DSC = SOURCE[0] as NamedBytes;
const TARS = SOURCE.slice(1);
const debOf = (name: string, text = ""): NamedBytes => ({
  name: `${name}_1.0-1_amd64.deb`,
  bytes: buildDeb({ control: { Package: name }, files: { "usr/share/lab": `lab ${text}` } }),
});
const DEBS = [debOf("hello"), debOf("hello-doc")];
const BUILD = [...SOURCE, ...DEBS];
const CHANGES = changesOf(BUILD);

let packhouse: TestPackhouse;
let number = 0;
let release = "";
const level = (architecture = "amd64") => ({ level: `hello/debian/${release}/${architecture}` });
const repo = () => `apt-${release}`;
const files = () => `dir-${release}`;

beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

beforeEach(async () => {
  number += 1;
  release = `r${number}`;
  for (const [name, type] of [
    [repo(), "apt"],
    [files(), "dir"],
  ]) {
    const accepts = [`hello/debian/${release}/*`];
    const made = await packhouse.call("POST", "/repo", { ...(await smallKey()), name, type, accepts });
    expect(made.status).toBe(201);
  }
});

const NOTHING = { commit: 0, held: [] };

describe("a source package", () => {
  test.each([
    ["first", [DSC, ...TARS]],
    ["last", [...TARS, DSC]],
    ["in between", [TARS[0] as NamedBytes, DSC, ...TARS.slice(1)]],
  ])("whose .dsc comes %s is in the repo when its last part is here, and not before", async (_, order) => {
    const jobs = new Map<string, string>();
    for (const file of order) {
      expect(await heldBy(packhouse, repo())).toEqual(NOTHING);
      jobs.set(file.name, await send(packhouse, file, level(file === DSC ? "source" : "amd64")));
      await jobIn(packhouse, jobs.get(file.name) ?? "", "waiting", "done");
    }
    const job = await jobIn(packhouse, jobs.get(DSC.name) ?? "", "done");
    expect(job.repos).toHaveProperty(repo());
    expect((await heldBy(packhouse, repo())).held).toEqual([DSC.name]);
    expect((await heldBy(packhouse, files())).held).toEqual(SOURCE.map(({ name }) => name).sort());
  });

  test("says which parts it waits for, and is downloadable meanwhile", async () => {
    const job = await send(packhouse, DSC, level());
    const { notes, repos } = await jobIn(packhouse, job, "waiting");
    expect(notes).toEqual([
      `waits for ${TARS.map(({ name }) => name)
        .sort()
        .reverse()
        .join(", ")}`,
    ]);
    expect(repos).toEqual({});
    const got = await fetch(`${packhouse.url}/packages/hello/debian/${release}/amd64/${DSC.name}`);
    expect(sha256(Buffer.from(await got.arrayBuffer()))).toBe(sha256(DSC.bytes));
  });

  test("with a part of other bytes is refused with what was expected and what came; sent again it is taken", async () => {
    const [tar, ...rest] = TARS as [NamedBytes];
    const wrong = Buffer.from(tar.bytes).fill(1, 0, 1);
    await send(packhouse, { ...tar, bytes: wrong }, level());
    for (const one of rest) await send(packhouse, one, level());
    const job = await jobIn(packhouse, await send(packhouse, DSC, level()), "failed");
    expect(job.error).toContain(`${tar.name} has SHA-256 ${sha256(wrong)}, ${DSC.name} says ${sha256(tar.bytes)}`);
    expect(await heldBy(packhouse, repo())).toEqual(NOTHING);
    await jobIn(packhouse, await send(packhouse, tar, { ...level(), force: true }), "done");
    expect(await heldBy(packhouse, repo())).toEqual(NOTHING);
    await jobIn(packhouse, await send(packhouse, DSC, level()), "done");
    expect((await heldBy(packhouse, repo())).held).toEqual([DSC.name]);
  });
});

describe("a .changes", () => {
  const orders: [string, NamedBytes[]][] = [
    ["first", [CHANGES, ...BUILD]],
    ["last", [...BUILD, CHANGES]],
    ["in between", [...DEBS, CHANGES, ...SOURCE]],
  ];

  test.each(orders)("that comes %s brings all that names it in one commit, and nothing before", async (_, order) => {
    const jobs: string[] = [];
    for (const file of order) {
      expect(await heldBy(packhouse, repo())).toEqual(NOTHING);
      jobs.push(await send(packhouse, file, { ...level(), changes: CHANGES.name }));
      if (jobs.length < order.length) await jobIn(packhouse, jobs.at(-1) ?? "", "waiting");
    }
    for (const job of jobs) {
      const { repos } = await jobIn(packhouse, job, "done");
      expect(repos).toMatchObject({ [repo()]: { commit: 1 }, [files()]: { commit: 1 } });
    }
    const packages = [DSC, ...DEBS].map(({ name }) => name).sort();
    expect(await heldBy(packhouse, repo())).toEqual({ commit: 1, held: packages });
    const everything = [CHANGES, ...BUILD].map(({ name }) => name).sort();
    expect(await heldBy(packhouse, files())).toEqual({ commit: 1, held: everything });
  });

  test("that is here holds back what it names, though nothing else says so", async () => {
    const job = await send(packhouse, CHANGES, level());
    expect((await jobIn(packhouse, job, "waiting")).notes[0]).toMatch(/^waits for hello_1\.0/);
    const jobs = await Promise.all(BUILD.map((file) => send(packhouse, file, level())));
    await Promise.all([job, ...jobs].map((one) => jobIn(packhouse, one, "done")));
    expect((await heldBy(packhouse, repo())).commit).toBe(1);
  });

  test.each([
    [
      "other bytes",
      (bytes: Buffer) => Buffer.from(bytes).fill(7, bytes.length - 1),
      /has SHA-256 \w+, hello.* says \w+/,
    ],
    ["another size", (bytes: Buffer) => Buffer.concat([bytes, Buffer.from("\n")]), /has \d+ bytes, hello.* says \d+/],
  ])("with a part of %s is refused, and nothing of it goes in", async (_, damage, message) => {
    const [part, ...others] = [...TARS, DSC, ...DEBS] as [NamedBytes];
    const damaged = { ...part, bytes: damage(part.bytes) };
    const terms = { ...level(), changes: CHANGES.name };
    const jobs = await Promise.all([damaged, ...others, CHANGES].map((file) => send(packhouse, file, terms)));
    for (const job of jobs) {
      const { error } = await jobIn(packhouse, job, "failed");
      expect(error).toMatch(new RegExp(`${part.name}.*${message.source}`));
    }
    expect(await heldBy(packhouse, repo())).toEqual(NOTHING);
    expect(await heldBy(packhouse, files())).toEqual(NOTHING);
    // The right part alone is not enough: what it belongs to was refused.
    const mended = await send(packhouse, part, { ...level(), force: true });
    expect((await jobIn(packhouse, mended, "failed")).error).toContain(`${CHANGES.name} was refused`);
    expect(await heldBy(packhouse, repo())).toEqual(NOTHING);
    await jobIn(packhouse, await send(packhouse, CHANGES, level()), "done");
    expect((await heldBy(packhouse, repo())).held).toEqual([DSC, ...DEBS].map(({ name }) => name).sort());
  });

  test("goes into no repo that holds one of its packages with other bytes, and wholly into others", async () => {
    await packhouse.call("POST", "/repo", {
      ...(await smallKey()),
      name: `old-${release}`,
      type: "apt",
      accepts: [`hello/debian/${release}/*`, `other/debian/${release}/*`],
    });
    const old = await packhouse.upload(`/packages/other/debian/${release}/amd64/x.deb`, debOf("hello", "old").bytes);
    expect(old.state).toBe("done");
    const terms = { ...level(), changes: CHANGES.name };
    const [job] = await Promise.all([CHANGES, ...BUILD].map((file) => send(packhouse, file, terms)));
    const { notes, repos } = await jobIn(packhouse, job ?? "", "done");
    expect(Object.keys(repos).sort()).toEqual([repo(), files()].sort());
    expect(notes).toEqual([expect.stringMatching(/^repo old-r\d+ takes nothing of it: .* other bytes/)]);
    expect((await heldBy(packhouse, `old-${release}`)).held).toEqual(["x.deb"]);
  });

  test("is taken wholly by a repo whose patterns come to take it, and not at all by one that takes its parts' levels alone", async () => {
    const terms = { changes: CHANGES.name };
    const job = await send(packhouse, CHANGES, level("source"));
    await Promise.all([
      ...SOURCE.map((file) => send(packhouse, file, { ...level("source"), ...terms })),
      ...DEBS.map((file) => send(packhouse, file, { ...level(), ...terms })),
    ]);
    await jobIn(packhouse, job, "done");
    for (const architecture of ["source", "amd64"]) {
      const name = `late-${architecture}-${release}`;
      const accepts = [`hello/debian/${release}/${architecture}`];
      await packhouse.call("POST", "/repo", { ...(await smallKey()), name, type: "apt", accepts });
      const wanted = architecture === "source" ? 3 : 0;
      await expect.poll(async () => (await heldBy(packhouse, name)).held.length, { timeout: 10_000 }).toBe(wanted);
    }
    expect((await heldBy(packhouse, `late-source-${release}`)).commit).toBe(1);
  });
});

test("two .changes at once that share an original both go in", async () => {
  const second = sourcePackage({ version: "1.0-2" });
  const shared = second.filter(({ name }) => name.endsWith(".orig.tar.gz"));
  expect(shared[0]?.bytes.equals(TARS.find(({ name }) => name === shared[0]?.name)?.bytes ?? Buffer.alloc(0))).toBe(
    true,
  );
  const [one, two] = [changesOf(SOURCE), changesOf(second, { version: "1.0-2" })];
  const jobs = await Promise.all([
    ...[one, ...SOURCE].map((file) => send(packhouse, file, { ...level(), changes: one.name })),
    ...[two, ...second.filter((file) => !shared.includes(file))].map((file) =>
      send(packhouse, file, { ...level(), changes: two.name }),
    ),
  ]);
  await Promise.all(jobs.map((job) => jobIn(packhouse, job, "done")));
  expect((await heldBy(packhouse, repo())).held).toEqual([DSC.name, "hello_1.0-2.dsc"]);
});

test("what names no .changes cannot be waited for", async () => {
  const bad = await packhouse.call("POST", `/packages/hello/debian/${release}/amd64/`, {
    name: "a.deb",
    changes: "a.txt",
  });
  expect([bad.status, bad.body.msg]).toEqual([400, 'changes "a.txt" names no .changes']);
});
