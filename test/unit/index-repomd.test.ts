import { describe, expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { AppError } from "../../shared/error.ts";
import { joinIndexes } from "../../shared/yum/index-join.ts";
import type { PrimaryPart, RpmPart } from "../../shared/yum/index-packages.ts";
import { readMetalink, readMirrorlist } from "../../shared/yum/metalink.ts";
import { readRepomd } from "../../shared/yum/repomd-read.ts";
import { listed } from "../support/index-streams.ts";

const SUM = sha256Of("x");
const data = (type: string, inner = `<checksum type="sha256">${SUM}</checksum><location href="repodata/x.xml.gz"/>`) =>
  `<data type="${type}">${inner}</data>`;
const repomd = (...records: string[]) =>
  Buffer.from(`<repomd xmlns="http://linux.duke.edu/metadata/repo">${records.join("")}</repomd>`);

describe("repomd.xml", () => {
  test("of an old createrepo: sha, a time with a fraction, no sizes, a base", () => {
    const sha1 = "B".repeat(40);
    const old = data(
      "primary",
      `<location xml:base='http://h/r/' href="repodata/p.xml.gz"/><checksum type="sha">${sha1} </checksum><timestamp>1200000000.55</timestamp><open-checksum type="md5">${"c".repeat(32)}</open-checksum>`,
    );
    expect(readRepomd(repomd(old), "r")).toEqual({
      records: [
        {
          type: "primary",
          use: "index",
          checksum: { type: "sha1", value: "b".repeat(40) },
          openChecksum: { type: "md5", value: "c".repeat(32) },
          href: "repodata/p.xml.gz",
          base: "http://h/r/",
          timestamp: 1_200_000_000,
        },
      ],
      tags: {},
    });
  });

  test("what becomes of each record", () => {
    const types = {
      primary: "index",
      other: "index",
      group: "carry",
      group_gz: "carry",
      updateinfo: "carry",
      modules: "carry",
      productid: "carry",
      prestodelta: "drop",
      primary_zck: "drop",
      filelists_db: "drop",
      "filelists-ext": "drop",
      updateinfo_zck: "drop",
    };
    const { records } = readRepomd(repomd(...Object.keys(types).map((type) => data(type))), "r");
    expect(Object.fromEntries(records.map(({ type, use }) => [type, use]))).toEqual(types);
  });

  test.each([
    [
      "another document",
      Buffer.from("<html></html>"),
      /^r: element html: the root element should be repomd \(at byte 0\)$/,
    ],
    ["no primary", repomd(data("other")), /element repomd: no record of type primary/],
    ["primary twice", repomd(data("primary"), data("primary")), /2 records of type primary/],
    [
      "a path that leads out",
      repomd(data("primary").replace("repodata/x", "../x")),
      /element location: the path "..\/x.xml.gz" is refused/,
    ],
    [
      "a foreign base",
      repomd(data("primary").replace("href", 'xml:base="file:///" href')),
      /element location: xml:base/,
    ],
    [
      "no location",
      repomd(data("primary", `<checksum type="sha256">${SUM}</checksum>`)),
      /element data: the element location is missing/,
    ],
    [
      "a weak checksum",
      repomd(data("primary").replace("sha256", "crc")),
      /element checksum: it should be md5 or a SHA/,
    ],
    ["no type", repomd("<data/>"), /element data: the attribute type is missing/],
    [
      "a size that is none",
      repomd(data("primary").replace("<location", "<size>-1</size><location")),
      /element size: "-1" should be a number/,
    ],
    ["an end too early", repomd(data("primary")).subarray(0, -3), /it ends too early/],
    ["more than one document", Buffer.concat([repomd(data("primary")), repomd()]), /a second root element/],
    ["entities", Buffer.from("<!DOCTYPE a [<!ENTITY b 'c'>]><repomd/>"), /a DOCTYPE/],
    ["something huge", Buffer.alloc(17 * 1024 * 1024, " "), /more than 16777216 bytes/],
  ])("refused: %s", (_, bytes, message) => {
    expect(() => readRepomd(bytes, "r")).toThrow(message);
    expect(() => readRepomd(bytes, "r")).toThrow(AppError);
  });
});

const METALINK = `<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic" generator="mirrormanager" xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files>
  <file name="repomd.xml">
   <mm0:timestamp>1700000000</mm0:timestamp>
   <size>3000</size>
   <verification><hash type="md5">${"a".repeat(32)}</hash><hash type="sha256">${SUM}</hash></verification>
   <mm0:alternates><mm0:alternate>
    <mm0:timestamp>1600000000</mm0:timestamp><size>2000</size>
    <verification><hash type="sha512">${SUM}${SUM}</hash></verification>
   </mm0:alternate></mm0:alternates>
   <resources maxconnections="1">
    <url protocol="rsync" type="rsync" preference="100">rsync://a.example/f/repodata/repomd.xml</url>
    <url protocol="http" type="http" preference="90">http://b.example/f/repodata/repomd.xml</url>
    <url protocol="https" preference="100">https://c.example/f/repodata/repomd.xml</url>
    <url protocol="https" preference="100">https://d.example/f/repodata/repomd.xml</url>
    <url protocol="https" preference="99">https://e.example/other.xml</url>
   </resources>
  </file>
 </files>
</metalink>
`;

describe("mirrors", () => {
  test("of a metalink, the preferred first, with what repomd.xml may be", () => {
    expect(readMetalink(Buffer.from(METALINK), "m")).toEqual({
      urls: ["https://c.example/f/", "https://d.example/f/", "http://b.example/f/"],
      repomds: [
        {
          checksums: [
            { type: "md5", value: "a".repeat(32) },
            { type: "sha256", value: SUM },
          ],
          sizeBytes: 3000,
          timestamp: 1_700_000_000,
        },
        { checksums: [{ type: "sha512", value: SUM + SUM }], sizeBytes: 2000, timestamp: 1_600_000_000 },
      ],
    });
  });

  test.each([
    ["another document", "<repomd/>", /element repomd: the root element should be metalink/],
    ["no repomd.xml", METALINK.replace('"repomd.xml"', '"x"'), /no element file of name repomd.xml/],
    ["no hash", METALINK.replace(/<verification>.*<\/verification>/g, ""), /element file: no hash of repomd.xml/],
    ["no usable URL", METALINK.replaceAll("http", "ftp"), /no http or https URL/],
    ["a text", "# no metalink\nhttp://a.example/\n", /m: /],
  ])("a metalink refused: %s", (_, text, message) => {
    expect(() => readMetalink(Buffer.from(text), "m")).toThrow(message);
  });

  test("of a mirrorlist", () => {
    const text =
      "# repo = x arch = y\r\nhttps://a.example/x\r\n\n ftp://b.example/\nhttp://c.example/y/ \nhttps://a.example/x/\nrsync://d\nhttps://e.example/?q\n";
    expect(readMirrorlist(text, "m")).toEqual(["https://a.example/x/", "http://c.example/y/"]);
    expect(() => readMirrorlist("<html>\n", "m")).toThrow('m: no line is an http or https URL; it begins "<html>"');
    expect(() => readMirrorlist("", "m")).toThrow(AppError);
  });
});

describe("the three indexes are joined", () => {
  const part = (id: number, size = 1000): RpmPart => ({
    chunk: Buffer.alloc(size),
    pkgid: `${id}`,
    name: `n${id}`,
    architecture: "x",
    epoch: 0,
    version: "1",
    release: "1",
  });
  const primary = (id: number, size?: number): PrimaryPart => ({
    ...part(id, size),
    checksumType: "sha256",
    sizeBytes: 1,
    href: `${id}.rpm`,
    buildTime: 0,
  });
  async function* stream<T>(parts: Iterable<T>, count?: { reads: number }) {
    if (count) count.reads++;
    for (const one of parts) yield one;
  }
  const range = (count: number) => Array.from({ length: count }, (_, i) => i);
  const shuffled = (count: number, factor: number) => range(count).map((i) => (i * factor) % count);
  const ids = (found: { primary: PrimaryPart; filelists?: RpmPart; other?: RpmPart }[]) =>
    found.map((one) => {
      expect([one.filelists?.pkgid, one.other?.pkgid]).toEqual([one.primary.pkgid, one.primary.pkgid]);
      return Number(one.primary.pkgid);
    });

  test("in one order: as they come, each read once, one of each in memory", async () => {
    const count = { reads: 0 };
    const streams = {
      primary: () =>
        stream(
          range(1000).map((i) => primary(i)),
          count,
        ),
      filelists: () =>
        stream(
          range(1000).map((i) => part(i)),
          count,
        ),
      other: () =>
        stream(
          range(1000).map((i) => part(i)),
          count,
        ),
    };
    expect(ids(await listed(joinIndexes(streams, { where: "r", maxBytes: 3000 })))).toEqual(range(1000));
    expect(count.reads).toBe(3);
  });

  test.each([
    [1_000_000_000, 3],
    [300_000, 30],
    [1, 3 + 3 * 499],
  ])("in three orders, within %i bytes", async (maxBytes, reads) => {
    const count = { reads: 0 };
    const streams = {
      primary: () =>
        stream(
          range(499).map((i) => primary(i)),
          count,
        ),
      filelists: () =>
        stream(
          shuffled(499, 101).map((i) => part(i)),
          count,
        ),
      other: () =>
        stream(
          shuffled(499, 257).map((i) => part(i)),
          count,
        ),
    };
    const found = ids(await listed(joinIndexes(streams, { where: "r", maxBytes })));
    expect(found.toSorted((a, b) => a - b)).toEqual(range(499));
    expect(count.reads).toBeLessThanOrEqual(reads);
    // What did not fit was read again.
    expect(count.reads > 3).toBe(maxBytes < 1_000_000);
  });

  test("where there is no index of one kind, without it", async () => {
    const found = await listed(
      joinIndexes({ primary: () => stream([primary(1)]), filelists: () => stream([part(1)]) }, { where: "r" }),
    );
    expect(found).toEqual([{ primary: primary(1), filelists: part(1) }]);
  });

  test("a package that is listed twice, twice", async () => {
    const streams = {
      primary: () => stream([primary(1), primary(2), primary(1)]),
      filelists: () => stream([part(1), part(1), part(2)]),
      other: () => stream([part(2), part(1), part(1)]),
    };
    expect(ids(await listed(joinIndexes(streams, { where: "r" }))).sort()).toEqual([1, 1, 2]);
  });

  test.each([1e9, 1])("a package that one lacks is an error, also within %d bytes", async (maxBytes) => {
    const streams = {
      primary: () => stream([1, 2, 3].map((i) => primary(i))),
      filelists: () => stream([2, 1, 3].map((i) => part(i))),
      other: () => stream([3, 1].map((i) => part(i))),
    };
    await expect(listed(joinIndexes(streams, { where: "r", maxBytes }))).rejects.toThrow(
      "r: package n2 (2) is in primary and filelists but not in other",
    );
    const more = { ...streams, primary: () => stream([primary(1)]), other: undefined };
    await expect(listed(joinIndexes(more, { where: "r", maxBytes }))).rejects.toThrow(
      /package n[23] \([23]\) is in filelists but not in primary/,
    );
  });

  test("who stops reading closes all three", async () => {
    let closed = 0;
    async function* open<T>(one: T) {
      try {
        yield one;
        yield one;
      } finally {
        closed++;
      }
    }
    const streams = { primary: () => open(primary(1)), filelists: () => open(part(1)), other: () => open(part(1)) };
    for await (const one of joinIndexes(streams, { where: "r" })) if (one) break;
    expect(closed).toBe(3);
  });
});
