import { gunzipSync, gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { readXml } from "../../shared/yum/index-tree.ts";
import { type MergedRecord, mergeRecords } from "../../shared/yum/merge-records.ts";
import { memoryBlobs } from "../support/memory-blobs.ts";

const store = memoryBlobs();

async function merged(record: MergedRecord, ...texts: (string | Buffer)[]) {
  const parts = await Promise.all(
    texts.map(async (text, index) => {
      const bytes = Buffer.from(text);
      const packed = bytes[0] === 0x1f;
      const file = {
        path: packed ? "x.xml.gz" : "x.xml",
        record,
        sha256: await store.putBlob(bytes),
        sizeBytes: bytes.length,
      };
      return { name: `source ${index}`, file };
    }),
  );
  const file = await mergeRecords(store, record, parts);
  const bytes = Buffer.from(await store.getBlob(file.sha256));
  return { file, text: String(bytes[0] === 0x1f ? gunzipSync(bytes) : bytes) };
}

const DOCTYPE = '<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">';
const comps = (...children: string[]) =>
  `<?xml version="1.0"?>\n${DOCTYPE}\n<comps>\n${children.join("\n")}\n</comps>\n`;
const group = (id: string, name: string) =>
  `<group><id>${id}</id><name>${name}</name><packagelist><packagereq>id</packagereq></packagelist></group>`;

test("groups, categories and environments are told apart by kind and id; the first of one id stays, byte for byte", async () => {
  const one = comps(group("core", "One &amp; <![CDATA[<id>]]>"), "<category><id>core</id></category>", "<langpacks/>");
  const two = comps(
    group(" core ", "Two"),
    group("web", "Web"),
    "<environment><id>core</id></environment>",
    "<langpacks></langpacks>",
  );
  const { file, text } = await merged("group", one, gzipSync(two));
  const root = readXml(Buffer.from(text), "comps");
  const told = root.children.map((child) => [child.name, child.first("id")?.text, child.first("name")?.text]);
  expect(told).toEqual([
    ["group", "core", "One & <id>"],
    ["category", "core", undefined],
    ["langpacks", undefined, undefined],
    ["group", "web", "Web"],
    ["environment", "core", undefined],
  ]);
  expect(text).toContain(group("core", "One &amp; <![CDATA[<id>]]>"));
  expect(file).toMatchObject({
    path: "comps.xml.gz",
    record: "group",
    openSha256: sha256Of(text),
    openSizeBytes: text.length,
  });
  // The same again is the same blob.
  expect((await merged("group", one, gzipSync(two))).file.sha256).toBe(file.sha256);
});

test("an advisory that two repositories tell alike is one; where each tells its own packages both stay", async () => {
  const update = (id: string, rpm: string) =>
    `<update type="security"><id>${id}</id><pkglist><package name="${rpm}"/></pkglist></update>`;
  const one = `<updates>${update("A-1", "x")}${update("A-2", "x")}</updates>`;
  const two = `<updates>${update("A-1", "x")}${update("A-2", "y")}</updates>`;
  const { text } = await merged("updateinfo", one, two, "<updates/>");
  const found = readXml(Buffer.from(text), "updates").children.map((one) => [
    one.first("id")?.text,
    one.deep("package")[0]?.attributes.name,
  ]);
  expect(found).toEqual([
    ["A-1", "x"],
    ["A-2", "x"],
    ["A-2", "y"],
  ]);
});

test("streams of modules stand behind each other, each of its documents begun and ended", async () => {
  const { text, file } = await merged("modules", "---\na: 1\n...\n", "b: 2", "---\nc: 3\n---\nd: 4\n");
  expect(text).toBe("---\na: 1\n...\n---\nb: 2\n...\n---\nc: 3\n---\nd: 4\n...\n");
  expect(file.path).toBe("modules.yaml.gz");
});

test("a single record, and equal ones, stay as they are", async () => {
  const text = comps(group("core", "One"));
  const { file } = await merged("group", text, text);
  expect(file).toMatchObject({ path: "x.xml", sha256: sha256Of(text) });
});

test.each([
  ["no XML", "<comps><group>"],
  ["another document", "<updates/>"],
  ["a DTD of its own", '<!DOCTYPE comps [<!ENTITY x "y">]><comps/>'],
  ["bytes that are no gzip", Buffer.from([0x1f, 0x8b, 1, 2])],
])("%s is refused, and it says whose", async (_, damaged) => {
  await expect(merged("group", comps(), damaged)).rejects.toThrow("group of source 1");
});

test("a record that unpacks to more than its bound is refused", async () => {
  const bomb = gzipSync(Buffer.alloc(70 * 1024 * 1024));
  await expect(merged("group", comps(), bomb)).rejects.toThrow("group of source 1: more than");
});
