import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { readAutoindex } from "../../shared/dir/autoindex.ts";
import { readSums } from "../../shared/dir/sums.ts";
import { faultOfPath } from "../../shared/dir/upstream-path.ts";
import { AppError } from "../../shared/error.ts";
import { scratchFolder } from "../support/createrepo.ts";

const NAMES = ["a.tar.gz", "b 1.0+~^:x.deb", "é&<'\">.txt", "100% #1?.iso", "(brackets) [x]", "*star", "  two spaces"];
const SUM = sha256Of("x");

const paths = (html: string, url = "https://example.org/pub/") =>
  readAutoindex(html, url).map(({ name, isDirectory }) => (isDirectory ? `${name}/` : name));

describe("sums", () => {
  test.each([[[]], [["--binary"]], [["--tag"]]])("as sha256sum %j writes them", (options) => {
    const folder = scratchFolder("index-sums");
    try {
      const names = [...NAMES, "folder/in/c", "SHA256 (x) = y"];
      mkdirSync(join(folder, "folder/in"), { recursive: true });
      for (const name of names) writeFileSync(join(folder, name), name);
      const text = execFileSync("sha256sum", [...options, "--", ...names.map((name) => `./${name}`)], {
        cwd: folder,
        encoding: "utf8",
      });
      expect(readSums(text, "SHA256SUMS")).toEqual(names.map((path) => ({ path, sha256: sha256Of(path) })));
      writeFileSync(join(folder, "back\\slash\nline"), "");
      const escaped = execFileSync("sha256sum", [...options, "back\\slash\nline"], { cwd: folder, encoding: "utf8" });
      // It is understood for what it is, and so refused.
      expect(() => readSums(escaped, "SHA256SUMS")).toThrow(
        /line 1: the path "back\\\\slash\\nline" is refused: it has a control character/,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("comments, other sums, upper case, carriage returns and repetitions", () => {
    const text = `# Fedora: 12 bytes\r\nMD5 (a) = abc\nSHA512 (a) = ${SUM}${SUM}\nSHA256 (a) = ${SUM.toUpperCase()}\r\n\n${SUM} *a\n`;
    expect(readSums(text, "w")).toEqual([{ path: "a", sha256: SUM }]);
  });

  test.each([
    ["", /^w: it has no line "HASH {2}NAME"/],
    ["SHA512 (a) = ab\n", /it has no line/],
    ["<html>", /line 1: "<html>" is neither/],
    [`${SUM}  a\n\n${SUM.slice(1)}  b\n`, /line 3: "[0-9a-f]{63}" should be 64 hex digits/],
    [`${SUM}  ../a\n`, /line 1: the path "..\/a" is refused: it leads out/],
    [`${SUM}  /etc/passwd\n`, /is refused: it is absolute/],
    [`${SUM}  a/\n`, /it names a folder/],
    [`\\${SUM}  a\\b\n`, /"\\\\b" in the name is no escape/],
    [`${SUM}  a\n${sha256Of("y")}  ./a\n`, /line 2: "a" stands there twice with two sums/],
  ])("refused: %j", (text, message) => {
    expect(() => readSums(text, "w")).toThrow(message);
    expect(() => readSums(text, "w")).toThrow(AppError);
  });

  test("noise is an error or harmless", () => {
    const word = fc.constantFrom(SUM, "SHA256 (", ") = ", "  ", " *", "\\", "..", "/", "a", "\n", "%2e", "\r");
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.string()), { maxLength: 12 }), (words) => {
        try {
          for (const { path } of readSums(words.join(""), "w")) expect(faultOfPath(path)).toBeUndefined();
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

test("a page of Python's http.server, as it is", async () => {
  const folder = scratchFolder("index-listing");
  for (const name of NAMES) writeFileSync(join(folder, name), "");
  for (const name of ["folder", "über & so", "x.d"]) mkdirSync(join(folder, name));
  symlinkSync("a.tar.gz", join(folder, "link"));
  const server = spawn("python3", ["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
  });
  try {
    const [line] = await once(server.stdout, "data");
    const url = `${/http:\/\/[^/]+\//.exec(String(line))?.[0]}`;
    const entries = readAutoindex(await (await fetch(url)).text(), url);
    const found = entries.map(({ name, isDirectory }) => (isDirectory ? `${name}/` : name));
    expect(found.sort()).toEqual([...NAMES, "link", "folder/", "über & so/", "x.d/"].sort());
    for (const entry of entries) expect((await fetch(entry.url)).status, entry.url).toBe(200);
    const below = await fetch(`${url}folder/`);
    expect(readAutoindex(await below.text(), below.url)).toEqual([]);
  } finally {
    server.kill();
    rmSync(folder, { recursive: true });
  }
});

const NGINX = `<html>\r
<head><title>Index of /pub/</title></head>\r
<body>\r
<h1>Index of /pub/</h1><hr><pre><a href="../">../</a>\r
<a href="%C3%BCber%20so/">über so/</a>                                           02-Jan-2026 10:00                   -\r
<a href="a%2Bb%3Ac%231%3F.deb">a+b:c#1?.deb</a>                                       02-Jan-2026 10:00                 123\r
<a href="very-long-name-that-is-cut-in-the-listing-but-not-in-the-link.tar.gz">very-long-name-that-is-cut-in-the-listing-but-..&gt;</a> 02-Jan-2026 10:00  1\r
</pre><hr></body>\r
</html>\r
`;

const APACHE_FANCY = `<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html>
 <head>
  <title>Index of /pub</title>
 </head>
 <body>
<h1>Index of /pub</h1>
  <table>
   <tr><th valign="top"><img src="/icons/blank.gif" alt="[ICO]"></th><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th><th><a href="?C=S;O=A">Size</a></th><th><a href="?C=D;O=A">Description</a></th></tr>
   <tr><th colspan="5"><hr></th></tr>
<tr><td valign="top"><img src="/icons/back.gif" alt="[PARENTDIR]"></td><td><a href="/">Parent Directory</a></td><td>&nbsp;</td><td align="right">  - </td><td>&nbsp;</td></tr>
<tr><td valign="top"><img src="/icons/folder.gif" alt="[DIR]"></td><td><a href="folder/">folder/</a></td><td align="right">2026-01-02 10:00  </td><td align="right">  - </td><td>&nbsp;</td></tr>
<tr><td valign="top"><img src="/icons/compressed.gif" alt="[   ]"></td><td><a href="x%20y&amp;z.tar.gz">x y&amp;z.tar.gz</a></td><td align="right">2026-01-02 10:00  </td><td align="right">1.0K</td><td>&nbsp;</td></tr>
<tr><td valign="top"><img src="/icons/unknown.gif" alt="[   ]"></td><td><a href="./a:b">a:b</a></td><td align="right">2026-01-02 10:00  </td><td align="right">1.0K</td><td>&nbsp;</td></tr>
   <tr><th colspan="5"><hr></th></tr>
</table>
<address>Apache/2.4.57 (Debian) Server at example.org Port 443</address>
</body></html>
`;

const APACHE_PLAIN = `<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html>
 <head>
  <title>Index of /pub</title>
 </head>
 <body>
<h1>Index of /pub</h1>
<ul><li><a href="/"> Parent Directory</a></li>
<li><a href="folder/"> folder/</a></li>
<li><a href="x.rpm"> x.rpm</a></li>
</ul>
</body></html>
`;

describe("listing pages", () => {
  test.each([
    [
      "nginx",
      NGINX,
      ["über so/", "a+b:c#1?.deb", "very-long-name-that-is-cut-in-the-listing-but-not-in-the-link.tar.gz"],
    ],
    ["Apache, fancy", APACHE_FANCY, ["folder/", "x y&z.tar.gz", "a:b"]],
    ["Apache, plain", APACHE_PLAIN, ["folder/", "x.rpm"]],
  ])("%s", (_, html, expected) => {
    expect(paths(html)).toEqual(expected);
  });

  test("only what lies directly below is taken", () => {
    const links = [
      "/",
      "/pub",
      "/pub/",
      ".",
      "..",
      "../pub2/x",
      "//evil.example/pub/x",
      "http://example.org/pub/x",
      "https://example.org:444/pub/x",
      "x?y",
      "?C=N",
      "#top",
      "mailto:a@b",
      "javascript:x",
      "a/b",
      "a/b/",
      "%2e%2e/x",
      "\\..\\x",
      "/pub/../x",
      "https://u:p@example.org/pub/own",
      "/pub/mine/",
      "https://[",
    ];
    const html = `<title>Index of /pub/</title>${links.map((link) => `<a class='x' href='${link}'>x</a>`).join("\n")}`;
    expect(readAutoindex(html, "https://u:p@example.org/pub/?sorted")).toEqual([
      { name: "own", isDirectory: false, url: "https://example.org/pub/own" },
      { name: "mine", isDirectory: true, url: "https://example.org/pub/mine/" },
    ]);
  });

  test.each([
    ["%2e%2e%2fetc", /the name "..\/etc" is refused: it has a slash/],
    ["..%5cetc", /is refused: it has a backslash/],
    ["a%00", /control character/],
    ["%252e%252e", /percent-encoded dot/],
    ["%ff", /names something that is no UTF-8/],
  ])("refused: a link to %s", (link, message) => {
    expect(() => paths(`<title>Index of /</title><a href="${link}">x</a>`)).toThrow(message);
  });

  test("a page that is none is refused, without showing what its address holds", () => {
    expect(() => paths("<title>Welcome</title><a href='x'>x</a>", "https://me:secret@example.org/pub/")).toThrow(
      "https://example.org/pub/: no directory listing of nginx",
    );
  });

  test("noise ends, in an error or in names that can be used", () => {
    const word = fc.constantFrom("<a href=", '"', "'", "<", ">", "../", "%2e", "&#x2f;", "&amp;", "x", "//", "\\", "?");
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.string()), { maxLength: 20 }), (words) => {
        try {
          for (const { name } of readAutoindex(
            `<title>Index of /</title>${words.join("")}`,
            "https://example.org/a/b/",
          ))
            expect([faultOfPath(name), name.includes("/")]).toEqual([undefined, false]);
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
        }
      }),
      { numRuns: 1000 },
    );
    const long = `<title>Index of /</title>${"<a ".repeat(2_000_000)}`;
    const started = performance.now();
    expect(paths(long)).toEqual([]);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
