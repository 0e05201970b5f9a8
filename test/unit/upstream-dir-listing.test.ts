import { expect, test } from "vitest";
import { readAutoindex } from "../../shared/dir/autoindex.ts";

const LONG = "very-long-name-that-is-certainly-cut-in-the-listing-but-not-in-the-link-1.0.tar.gz";
const URL_OF_PAGE = "http://example.org/pub/";

/** Name, what is shown as date and as size. */
function shownOf(rows: string, title = "<title>Index of /pub/</title>"): string[] {
  return readAutoindex(`${title}${rows}`, URL_OF_PAGE).map(({ name, isDirectory, shown }) => {
    const kind = isDirectory ? "/" : "";
    return `${name}${kind} ${shown ? `${shown.at.toISOString().slice(0, 16)} ${shown.size}` : "-"}`;
  });
}

test("dates and sizes as nginx shows them", () => {
  const rows = `<hr><pre><a href="../">../</a>
<a href="sub/">sub/</a>                                               21-Nov-2026 06:09                   -
<a href="a%26b%27s%20%3Cc%3E.txt">a&amp;b's &lt;c&gt;.txt</a>                                      21-Nov-2026 06:09                   3
<a href="big%20file%2B1.0~rc1.tar.gz">big file+1.0~rc1.tar.gz</a>                            21-Nov-2026 06:09             2500000
<a href="empty">empty</a>                                              04-Mar-2025 05:06                   0
<a href="${LONG}">very-long-name-that-is-certainly-cut-in-the-lis..&gt;</a> 21-Nov-2026 06:09      2M
</pre><hr>`;
  expect(shownOf(rows)).toEqual([
    "sub/ -",
    "a&b's <c>.txt 2026-11-21T06:09 3",
    "big file+1.0~rc1.tar.gz 2026-11-21T06:09 2500000",
    "empty 2025-03-04T05:06 0",
    `${LONG} 2026-11-21T06:09 2M`,
  ]);
});

test("dates and sizes as Apache shows them in a table", () => {
  const rows = `<tr><th valign="top">&nbsp;</th><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td valign="top">&nbsp;</td><td><a href="/">Parent Directory</a></td><td>&nbsp;</td><td align="right">  - </td><td>&nbsp;</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="a&amp;b's%20%3cc%3e.txt">a&amp;b's &lt;c&gt;.txt</a></td><td align="right">2026-11-21 06:09  </td><td align="right">  3 </td><td>&nbsp;</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="big%20file+1.0~rc1.tar.gz">big file+1.0~rc1.tar.gz</a></td><td align="right">2026-11-21 06:09  </td><td align="right">2.4M</td><td>since 2020-01-01 00:00 7</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="sub/">sub/</a></td><td align="right">2026-11-21 06:09  </td><td align="right">  - </td><td>&nbsp;</td></tr>`;
  expect(shownOf(rows)).toEqual([
    "a&b's <c>.txt 2026-11-21T06:09 3",
    "big file+1.0~rc1.tar.gz 2026-11-21T06:09 2.4M",
    "sub/ -",
  ]);
});

test("of a name that Apache links twice, by icon and text, date and size are found", () => {
  const rows = `<pre>      <a href="?C=N;O=D">Name</a> <a href="?C=M;O=A">Last modified</a> <hr><a href="/"><img src="/icons/unknown.gif" alt="[PARENTDIR]"></a> <a href="/">Parent Directory</a>                             -   
<a href="empty"><img src="/icons/unknown.gif" alt="[   ]"></a> <a href="empty">empty</a>                   2025-03-04 05:06    0   
<a href="sub/"><img src="/icons/unknown.gif" alt="[DIR]"></a> <a href="sub/">sub/</a>                    2026-11-21 06:09    -   
<a href="${LONG}"><img src="/icons/x.gif" alt="[   ]"></a> <a href="${LONG}">very-long-name-that-..&gt;</a> 2026-11-21 06:09    5   
<hr></pre>`;
  expect(shownOf(rows)).toEqual(["empty 2025-03-04T05:06 0", "sub/ -", `${LONG} 2026-11-21T06:09 5`]);
});

test("where nothing is shown, or what is no date, there is none", () => {
  const rows = `<ul><li><a href="a"> a</a></li><li><a href="b">b</a> 2026-11-21 06:09</li>
<li><a href="c">c</a> yesterday 12</li><li><a href="2026-11-21 06:09 5">2026-11-21 06:09 5</a></li>
<li><a href="d">d</a> 12-Foo-2026 06:09 5</li><li><a href="e">e 2026-11-21 06:09 5</li></ul>`;
  expect(shownOf(rows, "<title>Directory listing for /</title>")).toEqual([
    "a -",
    "b -",
    "c -",
    "2026-11-21 06:09 5 -",
    "d -",
    "e -",
  ]);
});

test("a page of 100,000 entries is read in a moment, one more is refused", () => {
  const row = (index: number) =>
    `<a href="file-${index}.tar.gz">file-${index}.tar.gz</a>  21-Nov-2026 06:09   ${index}\n`;
  const rows = Array.from({ length: 100_000 }, (_, index) => row(index)).join("");
  const started = performance.now();
  expect(shownOf(rows)).toHaveLength(100_000);
  expect(performance.now() - started).toBeLessThan(5_000);
  expect(() => shownOf(rows + row(100_000))).toThrow(/more than 100000 entries/);
});

test("a page that is nothing but links is given up soon", () => {
  const started = performance.now();
  expect(() => shownOf('<a href="x">'.repeat(1_300_000))).toThrow(/more than 200100 links/);
  expect(performance.now() - started).toBeLessThan(10_000);
});
