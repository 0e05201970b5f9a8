import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { arOf, buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { buildRpm, numbers } from "../support/rpm-builder.ts";
import { announced, ask, ended, put, sha256 } from "../support/surface-requests.ts";

const FOLDER = "/packages/hello/debian/bookworm/amd64";
const LABELS = {
  built_by: "ci/job 7",
  ref: "feature/größe",
  sha1: "A".repeat(40),
  extra: { run: 12, tags: ["x"], none: null, ["__proto__"]: { deep: true } },
};
let packhouse: TestPackhouse;

beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

const meta = async (name: string) => (await packhouse.call("GET", `${FOLDER}/${name}?meta`)).body;
const post = (name: string, terms: object) => ask(packhouse, `${FOLDER.slice("/packages/".length)}/${name}`, terms);
const digest = (kind: string, bytes: Buffer) => createHash(kind).update(bytes).digest("hex");

async function send(name: string, bytes: Buffer, terms: object = {}, method = "POST") {
  const asked =
    method === "POST"
      ? await post(name, { ...announced(bytes), ...terms })
      : await packhouse.call("PUT", `${FOLDER}/${name}`, { ...announced(bytes), ...terms });
  expect([asked.status, asked.body.msg]).toEqual([200, undefined]);
  if (asked.body.upload) expect((await put(asked.body.upload, bytes)).status).toBe(200);
  return ended(packhouse, asked.body.job);
}

const HELLO = buildDeb({
  control: { Package: "hello", Version: "2.10-3", Depends: "libc6 (>= 2.34), tiny | other", Provides: "greeting" },
});

test("?meta tells everything of a package: what it says of itself, its checksums, labels and repos", async () => {
  const accepts = ["hello/**", { path: "hello/**", suite: "extra" }];
  await packhouse.call("POST", "/repo", { name: "tools", type: "apt", accepts });
  await packhouse.call("POST", "/repo", { name: "hand", type: "apt" });
  await send("hello.deb", HELLO, LABELS);
  await packhouse.call("PATCH", "/repo/hand/packages", { add: { [sha256(HELLO)]: {} } });
  const commit = (await packhouse.call("GET", "/repo/tools")).body.commit;
  const told = await meta("hello.deb");
  expect(told).toMatchObject({
    name: "hello.deb",
    path: "hello/debian/bookworm/amd64/hello.deb",
    state: "stored",
    format: "deb",
    problem: null,
    package: "hello",
    version: "2.10-3",
    architecture: "amd64",
    depends: ["libc6 (>= 2.34)", "tiny | other"],
    provides: ["greeting"],
    control: expect.objectContaining({ Package: "hello", Maintainer: expect.any(String) }),
    signed: false,
    size_bytes: HELLO.length,
    sha256: sha256(HELLO),
    sha512: digest("sha512", HELLO),
    checksums: {
      md5: digest("md5", HELLO),
      sha1: digest("sha1", HELLO),
      sha256: sha256(HELLO),
      sha512: digest("sha512", HELLO),
    },
    ...{ built_by: LABELS.built_by, ref: LABELS.ref, sha1: "a".repeat(40), expires_at: null },
    last_updated: expect.stringContaining("ago"),
  });
  expect(JSON.stringify(told.extra)).toBe(JSON.stringify(LABELS.extra));
  const own = { suite: "stable", component: "main" };
  expect(told.repos).toEqual([
    { ...of("hand"), commit: 1, places: [own], follows: false },
    { ...of("tools"), commit, places: [{ ...own, suite: "extra" }, own], follows: true },
  ]);
  const { body } = await packhouse.call("GET", FOLDER);
  expect(body["hello.deb"].sha512).toBe(digest("sha512", HELLO));
});

const of = (name: string) => ({ name, type: "apt", url: `${packhouse.url}/repo/${name}?type=apt` });

test("what is not known is null: of bytes that are awaited, of a file that says nothing, of what is no package", async () => {
  const awaited = { sha256: "b".repeat(64), size: 5 };
  await post("awaited.deb", { ...awaited, built_by: "me" });
  expect(await meta("awaited.deb")).toMatchObject({
    ...{ state: "awaiting", format: null, sha256: null, sha512: null, package: null, version: null, repos: [] },
    checksums: { md5: null, sha1: null, sha256: null, sha512: null },
    ...{ built_by: "me", ref: null, sha1: null, extra: null },
    expires_at: expect.stringMatching(/Z$/),
  });
  await send("notes.txt", Buffer.from("notes"));
  expect(await meta("notes.txt")).toMatchObject({ format: "file", package: null, version: null, built_by: null });
  await send("bad.deb", Buffer.from("no deb"));
  const bad = await meta("bad.deb");
  expect(bad).toMatchObject({ format: "unreadable", problem: expect.stringContaining("ar magic"), version: null });
  expect(bad.sha512).toBe(digest("sha512", Buffer.from("no deb")));
  expect((await packhouse.call("GET", `${FOLDER}/nothing.deb?meta`)).status).toBe(404);
});

test("a binary is signed when its file carries a signature", async () => {
  const member = arOf([{ name: "_gpgorigin", content: Buffer.from("signature") }]).subarray("!<arch>\n".length);
  await send("signed.deb", Buffer.concat([buildDeb({ control: { Package: "signed" } }), member]));
  const signature = { tag: 268, type: 7, values: [Buffer.from("signature")] };
  await send("signed.rpm", buildRpm({ name: "signed", signatureTags: [signature] }));
  await send("plain.rpm", buildRpm({ name: "plain", signatureTags: [numbers(1000, [1])] }));
  const { body } = await packhouse.call("GET", FOLDER);
  const signed = ["signed.deb", "signed.rpm", "plain.rpm", "hello.deb"].map((name) => body[name].signed);
  expect(signed).toEqual([true, true, false, false]);
  expect(await meta("signed.rpm")).toMatchObject({ signed: true, format: "rpm", package: "signed" });
});

test.each([
  ["built_by", ""],
  ["built_by", "x".repeat(201)],
  ["built_by", "two\nlines"],
  ["built_by", "nul\0"],
  ["built_by", "half \ud800"],
  ["built_by", 7],
  ["ref", "x".repeat(256)],
  ["ref", ["main"]],
  ["sha1", "abc"],
  ["sha1", "g".repeat(40)],
  ["extra", "x".repeat(64 * 1024)],
  ["extra", JSON.parse(`${"[".repeat(40)}${"]".repeat(40)}`)],
])("%s that is out of bounds is 400 and named", async (field, value) => {
  for (const method of ["POST", "PUT"]) {
    const path = method === "POST" ? FOLDER : `${FOLDER}/limits.deb`;
    const { status, body } = await packhouse.call(method, path, { name: "limits.deb", [field]: value });
    expect([status, body.msg]).toEqual([400, expect.stringContaining(field)]);
  }
  expect((await packhouse.call("GET", FOLDER)).body).not.toHaveProperty("limits.deb");
});

test("extra that no parser could go down is refused like any that is too deep", async () => {
  const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
  const answer = await fetch(`${packhouse.url}${FOLDER}`, {
    method: "POST",
    headers: { authorization: `Bearer ${packhouse.folder.rootToken}`, "content-type": "application/json" },
    body: `{"name": "deep.txt", "extra": ${deep}}`,
  });
  expect([answer.status, z.object({ msg: z.string() }).parse(await answer.json()).msg]).toEqual([
    400,
    expect.stringContaining("extra: is nested"),
  ]);
});

test("extra is any JSON up to 64 KB; null says nothing", async () => {
  const most = "x".repeat(64 * 1024 - 2);
  for (const [index, extra] of [most, 0, false, "", [], 1.5].entries()) {
    await send(`extra-${index}.txt`, Buffer.from(`extra ${index}`), { extra });
    expect((await meta(`extra-${index}.txt`)).extra).toEqual(extra);
  }
  await send("nulls.txt", Buffer.from("nulls"), { built_by: null, ref: null, sha1: null, extra: null });
  expect(await meta("nulls.txt")).toMatchObject({ built_by: null, ref: null, sha1: null, extra: null });
});

test("labels are those of the bytes: a POST of what is there changes none, a PUT tells them anew", async () => {
  const bytes = Buffer.from("labelled");
  await send("labels.txt", bytes, { built_by: "first", ref: "main" });
  await send("labels.txt", bytes, { built_by: "second" });
  expect(await meta("labels.txt")).toMatchObject({ built_by: "first", ref: "main" });
  const { last_updated_at: at } = await meta("labels.txt");
  await send("labels.txt", bytes, { built_by: "third" }, "PUT");
  expect(await meta("labels.txt")).toMatchObject({ built_by: "third", ref: null, last_updated_at: at });
  const found = async (by: string) => (await packhouse.call("GET", `/search/?built_by=${by}`)).body.length;
  await expect.poll(() => found("third"), { timeout: 10_000 }).toBe(1);
  expect(await found("first")).toBe(0);
  await send("labels.txt", Buffer.from("other bytes"), {}, "PUT");
  expect(await meta("labels.txt")).toMatchObject({ built_by: null, ref: null });
  expect((await packhouse.call("DELETE", `${FOLDER}/labels.txt`)).status).toBe(204);
  expect(await found("third")).toBe(0);
});
