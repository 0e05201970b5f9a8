import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { compressionOfName, decompressStream } from "../../shared/decompress-stream.ts";
import { AppError } from "../../shared/error.ts";
import type { IndexKind } from "../../shared/yum/chunks.ts";
import { readPackagesXml } from "../../shared/yum/index-packages.ts";
import { rewriteOther, rewritePrimary } from "../../shared/yum/index-rewrite.ts";
import { readRepomd } from "../../shared/yum/repomd-read.ts";
import { KINDS } from "../support/createrepo.ts";
import { someRpms, upstreamOf } from "../support/index-rpms.ts";
import { inPieces, joined, listed, pack, pieceSizes } from "../support/index-streams.ts";

const RPMS = someRpms();

type Upstream = ReturnType<typeof upstreamOf>;

function plain(upstream: Upstream, kind: IndexKind): Promise<Buffer> {
  const record = readRepomd(upstream("repodata/repomd.xml"), "repomd.xml").records.find((one) => one.type === kind);
  const href = record?.href ?? "";
  return joined(decompressStream(compressionOfName(href), inPieces(upstream(href), [999]), { maxBytes: 1 << 24 }));
}

const parts = (kind: IndexKind, bytes: Uint8Array, sizes = [65_536]) =>
  listed(readPackagesXml(kind, inPieces(bytes, sizes), { where: `${kind}.xml` }));

const primaries = (bytes: Uint8Array, sizes = [65_536]) =>
  listed(readPackagesXml("primary", inPieces(bytes, sizes), { where: "primary.xml" }));

describe.each(["gz", "xz", "bz2", "zst"] as const)("an upstream of createrepo_c, packed as %s", (compression) => {
  // The createrepo_c of Debian 12 knows no zstd, so its files are packed anew.
  const upstream = upstreamOf(RPMS, "--general-compress-type", compression === "zst" ? "gz" : compression);

  test("repomd.xml tells each file as it is", async () => {
    const { revision, records, tags } = readRepomd(upstream("repodata/repomd.xml"), "repomd.xml");
    expect(revision).toMatch(/^\d+$/);
    expect(tags).toEqual({ distro: [{ cpeid: "cpe:/o:x:1", name: "X & 1" }] });
    expect(new Map(records.map(({ type, use }) => [type, use]))).toEqual(
      new Map(
        Object.entries({
          primary: "index",
          filelists: "index",
          other: "index",
          primary_db: "drop",
          filelists_db: "drop",
          other_db: "drop",
          group: "carry",
          [`group_${compression === "zst" ? "gz" : compression}`]: "carry",
        }),
      ),
    );
    for (const { href, checksum, sizeBytes, openChecksum, openSizeBytes, timestamp } of records) {
      const bytes = upstream(href);
      expect(checksum).toEqual({ type: "sha256", value: sha256Of(bytes) });
      expect(sizeBytes).toBe(bytes.length);
      expect(timestamp).toBeGreaterThan(1_700_000_000);
      if (openChecksum === undefined) continue;
      const open = await joined(
        decompressStream(compressionOfName(href), inPieces(bytes, [4096]), { maxBytes: 1 << 24 }),
      );
      expect([openChecksum.value, openSizeBytes]).toEqual([sha256Of(open), open.length]);
    }
  });

  test("each index gives each package as it stands there, however the stream is cut", async () => {
    for (const kind of KINDS) {
      const whole = await plain(upstream, kind);
      const source =
        compression === "zst"
          ? pack("zst", whole)
          : upstream(
              readRepomd(upstream("repodata/repomd.xml"), "").records.find((one) => one.type === kind)?.href ?? "",
            );
      const stream = decompressStream(compression, inPieces(source, [100]), { maxBytes: 1 << 24 });
      const found = await listed(readPackagesXml(kind, stream, { where: kind }));
      expect(found.map((one) => String(one.chunk))).toEqual(String(whole).match(/<package [\s\S]*?<\/package>/g));
      expect(found.map((one) => one.pkgid).sort()).toEqual(Object.values(RPMS).map(sha256Of).sort());
      expect(
        new Set(found.map((one) => `${one.name}-${one.epoch}:${one.version}-${one.release}.${one.architecture}`)),
      ).toEqual(
        new Set([
          "one-0:1.0~rc1^git-1.noarch",
          "two-1:1.1~rc1^git-1.x86_64",
          "three-2:1.2~rc1^git-1.noarch",
          "four-3:1.3~rc1^git-1.x86_64",
        ]),
      );
    }
  });
});

const UPSTREAM = upstreamOf(RPMS);

test("primary tells where each rpm is, and how large", async () => {
  const found = await primaries(await plain(UPSTREAM, "primary"));
  for (const { href, checksum, ...one } of found.map((part) => ({ ...part, checksum: part.checksumType }))) {
    const bytes = RPMS[href.replace("Packages/", "")] ?? Buffer.alloc(0);
    expect(checksum).toBe("sha256");
    expect([one.pkgid, one.sizeBytes, one.base]).toEqual([sha256Of(bytes), bytes.length, undefined]);
  }
  const based = upstreamOf(RPMS, "--baseurl", "https://cdn.example.org/a b/", "--checksum", "sha1");
  for (const one of await primaries(await plain(based, "primary"))) {
    const bytes = RPMS[one.href.replace("Packages/", "")] ?? Buffer.alloc(0);
    expect(one).toMatchObject({ base: "https://cdn.example.org/a b/", checksumType: "sha1" });
    expect(one.pkgid).toBe(createHash("sha1").update(bytes).digest("hex"));
  }
});

test.each([
  ["where they are known from reading", true],
  ["where they are looked for", false],
])("what is republished is what createrepo_c writes of the same rpms in our places, %s", async (_, isKnown) => {
  const theirs = upstreamOf(RPMS, "--baseurl", "https://cdn.example.org/", "--checksum", "sha512");
  for (const kind of KINDS) {
    const wanted = String(await plain(UPSTREAM, kind)).match(/<package [\s\S]*?<\/package>\n/g) ?? [];
    const hrefs = new Map((await primaries(await plain(theirs, "primary"))).map((one) => [one.pkgid, one.href]));
    const rewritten = (await parts(kind, await plain(theirs, kind))).map(({ chunk, pkgid, places: read }) => {
      expect(read).toBeDefined();
      const places = isKnown ? read : undefined;
      const href = hrefs.get(pkgid) ?? "";
      const bytes = RPMS[href.replace("Packages/", "")] ?? Buffer.alloc(0);
      const sha256 = sha256Of(bytes);
      return String(
        kind === "primary"
          ? rewritePrimary(chunk, { pkgid: sha256, href, sizeBytes: bytes.length }, places)
          : rewriteOther(chunk, sha256, places),
      );
    });
    expect(rewritten.sort()).toEqual([...wanted].sort());
    expect(rewritten.length).toBe(4);
  }
});

describe("an index as only XML itself obliges it to be", () => {
  const SHA = sha256Of("x");
  const odd = `\ufeff<?xml version='1.0' encoding='utf-8'?><!-- <package> -->
<?pi <package>?><c:metadata xmlns:c='http://linux.duke.edu/metadata/common' packages = '9'
  xmlns:x='urn:x' xmlns:r='http://linux.duke.edu/metadata/rpm'><!-- - --> <other><package/></other>
<c:package
  type='rpm'><c:location href='a&amp;b.rpm' xml:base="http://h/"></c:location><c:name>n<![CDATA[-&a]]>&#x6D;e<!-- no --></c:name ><c:arch>x</c:arch>
<c:version rel='2>1' ver='1' /><c:checksum pkgid='YES' type='sha'>${"A".repeat(40)}
</c:checksum><c:size package='7'/><c:description>]&gt; &lt;/package> <![CDATA[</package>]]></c:description><c:format><r:entry x:y='1'/><name>no</name></c:format></c:package><!-- end --></c:metadata>
<!-- after -->`;

  test.each([[[65_536]], [[1]], [[7, 2]]])("in pieces of %j", async (sizes) => {
    const [one, ...more] = await primaries(Buffer.from(odd), sizes);
    expect(more).toEqual([]);
    expect({ ...one, chunk: "" }).toEqual({
      chunk: "",
      name: "n-&ame",
      architecture: "x",
      epoch: 0,
      version: "1",
      release: "2>1",
      pkgid: "a".repeat(40),
      checksumType: "sha1",
      sizeBytes: 7,
      href: "a&b.rpm",
      base: "http://h/",
      buildTime: 0,
    });
    const chunk = String(one?.chunk);
    expect(chunk).toMatch(/^<package xmlns:x="urn:x"\n {2}type='rpm'><location /);
    expect(chunk).toContain("<rpm:entry x:y='1'/><name>no</name></format></package>");
    const ours = String(
      rewritePrimary(one?.chunk ?? Buffer.alloc(0), { pkgid: SHA, href: "pool/é&.rpm", sizeBytes: 8 }),
    );
    expect(ours).toContain(`type='rpm'><location href="pool/&#xE9;&amp;.rpm"/><name>`);
    expect(ours).toContain(`<checksum type="sha256" pkgid="YES">${SHA}</checksum><size package='8'/><description>`);
    expect(ours.endsWith("</package>\n")).toBe(true);
    expect(ours).not.toContain("xml:base");
  });

  test("no package at all", async () => {
    expect(await primaries(Buffer.from("<metadata/>"))).toEqual([]);
    expect(await parts("filelists", Buffer.from('<filelists packages="0">\n</filelists>\n'))).toEqual([]);
  });

  const of = (inner: string) =>
    `<filelists><package pkgid="${SHA}" name="n" arch="x"><version ver="1" rel="1"/>${inner}</package></filelists>`;
  const faults: [string, string | Buffer, RegExp][] = [
    ["nothing", "", /ends before its root element/],
    ["no end", of("").slice(0, -3), /it ends before <\/filelists>/],
    ["an end within a package", of("").slice(0, -20), /it ends within a package/],
    ["a web page", "<!DOCTYPE html><html>", /a DOCTYPE/],
    ["entities of its own", `<!DOCTYPE x [<!ENTITY a "b">]>${of("&a;")}`, /a DOCTYPE/],
    ["an unknown entity", of("<file>&eacute;</file>"), /"&eacute;\S*" begins no reference/],
    ["a reference to a forbidden character", of("&#0;"), /begins no reference/],
    ["a bare ampersand", of("<file>a & b</file>"), /begins no reference/],
    ["an ampersand in a value", of('<file x="a&b"/>'), /begins no reference/],
    ["a control character", of("\u0001"), /a control character/],
    ["crossed elements", of("<a><b></a></b>"), /<\/b> expected, <\/a> found/],
    ["an attribute without quotes", of("<a b=c/>"), /lacks its quotes/],
    ["an attribute twice", of('<a b="c" b="d"/>'), /the attribute b stands there twice/],
    ["a tag in a value", of('<a b="<c>"/>'), /`<` in an attribute's value/],
    ["attributes without space", of('<a b="c"d="e"/>'), /an attribute is written name="value"/],
    ["no UTF-8", Buffer.from(of("<file>\xe9</file>"), "latin1"), /bytes that are no UTF-8/],
    ["a forbidden character", of("\uffff"), /a character that XML forbids/],
    ["UTF-16", Buffer.from(`\ufeff${of("")}`, "utf16le"), /UTF-16/],
    [
      "another encoding",
      `<?xml version="1.0" encoding="ISO-8859-1"?>${of("")}`,
      /"ISO-8859-1" is not read, only UTF-8/,
    ],
    ["another root", "<metadata/>", /the root element is metadata; filelists is expected/],
    ["another namespace", '<filelists xmlns="urn:x"/>', /of namespace urn:x/],
    ["two roots", `${of("")}<a/>`, /a open where a package should begin|something follows/],
    ["text between packages", "<filelists>hello<package/></filelists>", /a text where a package should begin/],
    ["text at the end", `${of("")}hello`, /something follows the root element/],
    ["no pkgid", of("").replace("pkgid", "id"), /package "n": pkgid: "" is no checksum/],
    ["no name", of("").replace('name="n"', ""), /name: "nothing" should be one word/],
    ["a name that is a path", of("").replace('"n"', '"../n"'), /name: "\.\.\/n" should be one word/],
    [
      "an epoch that is none",
      of("").replace("<version", "<version epoch='x'"),
      /package "n": version: epoch: "x" should be a number/,
    ],
    ["no version", of("").replace(/<version[^>]*>/, ""), /package "n": the element version is missing/],
    ["a version twice", of("<version/>"), /a second element version/],
    ["a bottomless depth", of("<a>".repeat(100)), /elements more than 64 deep/],
  ];
  test.each(faults)("refused: %s", async (_, text, message) => {
    for (const sizes of [[65_536], [1]]) {
      const error = await parts("filelists", Buffer.from(text), sizes).catch((thrown) => thrown);
      expect(error).toMatchObject({ kind: "unprocessable" });
      expect(error.message).toMatch(message);
      expect(error.message).toMatch(/^filelists.xml: .*\(at byte \d+\)$/);
    }
  });

  const primary = (edit: (text: string) => string) =>
    edit(
      `<metadata><package type="rpm"><name>n</name><arch>x</arch><version epoch="0" ver="1" rel="1"/><checksum type="sha256" pkgid="YES">${SHA}</checksum><time build="5"/><size package="7"/><location href="a.rpm"/></package></metadata>`,
    );
  const primaryFaults: [string, string, RegExp][] = [
    [
      "a path that leads out",
      primary((text) => text.replace("a.rpm", "../a.rpm")),
      /package "n": location: the path "..\/a.rpm" is refused/,
    ],
    [
      "an encoded path that leads out",
      primary((text) => text.replace("a.rpm", "%2E&#46;/a.rpm")),
      /is refused: it has a percent-encoded dot/,
    ],
    [
      "a base that is no URL",
      primary((text) => text.replace("href", 'xml:base="file:///etc" href')),
      /xml:base "file:\/\/\/etc" should be an http/,
    ],
    [
      "a checksum of no kind",
      primary((text) => text.replace("sha256", "crc32")),
      /package "n": element checksum: it should be/,
    ],
    ["a checksum of another length", primary((text) => text.replace(SHA, "abc")), /element checksum/],
    ["no checksum", primary((text) => text.replace(/<checksum.*checksum>/, "")), /the element checksum is missing/],
    ["no place", primary((text) => text.replace(/<location[^>]*>/, "")), /the element location is missing/],
    ["no size", primary((text) => text.replace('package="7"', "")), /size: package: "nothing" should be a number/],
    ["a name of elements", primary((text) => text.replace(">n<", "><b>n</b><")), /element name: <b> in it/],
    ["another kind of package", primary((text) => text.replace('"rpm"', '"deb"')), /type: "deb" should be rpm/],
  ];
  test.each(primaryFaults)("refused in primary: %s", async (_, text, message) => {
    await expect(primaries(Buffer.from(text))).rejects.toThrow(message);
    expect(await primaries(Buffer.from(primary((same) => same)))).toHaveLength(1);
  });
});

test("cuts anywhere change nothing; an end too early and noise are errors or leave sound packages", async () => {
  const bytes = await plain(UPSTREAM, "primary");
  const whole = await primaries(bytes);
  await fc.assert(
    fc.asyncProperty(pieceSizes, async (sizes) => {
      expect(await primaries(bytes, sizes)).toEqual(whole);
    }),
    { numRuns: 20 },
  );
  const content = String(bytes).trimEnd().length;
  await fc.assert(
    fc.asyncProperty(fc.nat(content - 1), pieceSizes, async (length, sizes) => {
      await expect(primaries(bytes.subarray(0, length), sizes)).rejects.toThrow(AppError);
    }),
    { numRuns: 100 },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
      fc.nat(content),
      pieceSizes,
      async (noise, at, sizes) => {
        const damaged = Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at + 3)]);
        const result = await primaries(damaged, sizes).catch((thrown: unknown) => thrown);
        if (!Array.isArray(result)) expect(result).toBeInstanceOf(AppError);
      },
    ),
    { numRuns: 200 },
  );
});
