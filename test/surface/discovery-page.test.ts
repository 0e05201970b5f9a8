import { createHash } from "node:crypto";
import { beforeEach, expect, test } from "vitest";
import { listingPage } from "../../functions/http/discovery/listing-page.ts";
import { childrenOf } from "../../shared/binary/node.ts";
import { type DiscoveryApp, discoveryApp } from "../support/discovery-app.ts";

const BROWSER = { accept: "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8" };
const LEAF = ["hello", "debian", "sid", "amd64", "hello.deb"];

let app: DiscoveryApp;
beforeEach(async () => {
  app = await discoveryApp();
});

const pageAt = async (path: string) => {
  const answer = await app.ask("GET", path, undefined, BROWSER);
  expect([path, answer.status, answer.headers.get("content-type")]).toEqual([path, 200, "text/html; charset=UTF-8"]);
  return { html: String(answer.body), headers: answer.headers };
};

test("a browser gets a page at every level, a program that names none JSON", async () => {
  await app.stored(LEAF);
  for (let depth = 0; depth < LEAF.length; depth += 1) {
    const path = `/packages/${LEAF.slice(0, depth).join("/")}`;
    const { html, headers } = await pageAt(path);
    expect(headers.get("vary")).toBe("Accept");
    expect(html).toContain(`>${LEAF[depth]}</a>`);
    expect((await app.ask("GET", path)).headers.get("content-type")).toBe("application/json");
  }
});

test("a page has the way back up, sizes, dates in UTC and in words, and where to go on", async () => {
  await app.stored(LEAF, 3661);
  await app.awaited([...LEAF.slice(0, 4), "late.deb"]);
  const { html } = await pageAt("/packages/hello/debian/sid/amd64/");
  for (const path of ["/", "/hello/", "/hello/debian/", "/hello/debian/sid/"]) {
    expect(html).toContain(`<a href="http://packhouse.test/packages${path}">`);
  }
  expect(html).toContain('<span aria-current="page">amd64</span>');
  expect(html).toContain(">12M</td>");
  expect(html).toContain(
    '<time datetime="2026-11-21T10:58:59.000Z">2026-11-21 10:58 UTC <small>1 hour, 1 minute, 1 second ago',
  );
  expect(html).toContain('<a href="http://packhouse.test/packages/hello/debian/sid/amd64/hello.deb">hello.deb</a>');
  expect(html).toContain("hello.deb?info");
  // There is nothing to download yet.
  expect(html).not.toContain('late.deb">late.deb</a>');
});

test("a page needs no script, fetches nothing, allows its own style alone, and fits a phone", async () => {
  await app.stored(LEAF);
  for (const path of [
    "/packages/",
    "/packages/hello/debian/sid/amd64",
    "/packages/hello/debian/sid/amd64/hello.deb?info",
  ]) {
    const { html, headers } = await pageAt(path);
    expect(html).not.toMatch(/<script|<link|<img|<form|\son[a-z]+=|\sstyle=/i);
    expect(html).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">');
    const style = /<style>([\s\S]*?)<\/style>/.exec(html)?.[1] ?? "";
    expect(style).toContain("@media (max-width:40rem)");
    const hash = createHash("sha256").update(style).digest("base64");
    const rules = headers.get("content-security-policy") ?? "";
    expect(rules).toContain("default-src 'none'");
    expect(rules).toContain(`style-src 'sha256-${hash}'`);
    expect(rules).toContain("frame-ancestors 'none'");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
  }
});

/** None of these may be made over HTTP: a page escapes them all the same. */
const HOSTILE = [
  "<script>alert(1)</script>",
  '"><img src=x onerror=alert(1)>',
  "'><svg onload=alert(1)>",
  "javascript:alert(1)",
  "</title><script>",
  "</style><script>",
  "&lt;b&gt;",
  "{{alert(1)}}",
  "\u202egnp.exe",
];

const tagsOf = (html: string) => [...html.matchAll(/<[/!]?[a-z][^>\s]*/gi)].map(([tag]) => tag);

test.each(HOSTILE.map((name) => [name]))("a name as %s is text on a page, and no part of it", async (name) => {
  const render = async (one: string) => {
    const other = await discoveryApp();
    const segments = [one, one, one, one];
    await other.stored([...segments, one]);
    await other.awaited([...segments, `${one}2`]);
    const { children } = await childrenOf(other.ctx, segments);
    return listingPage(other.ctx, { segments, children, next: undefined }, other.ctx.now());
  };
  const html = await render(name);
  expect(tagsOf(html)).toEqual(tagsOf(await render("plain")));
  for (const [, address = ""] of html.matchAll(/href="([^"]*)"/g)) {
    expect(address).toMatch(/^http:\/\/packhouse\.test\/packages\/[A-Za-z0-9%._~!*()&#;/?-]*$/);
  }
  const escaped = name.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  expect(html).toContain(escaped.replaceAll('"', "&quot;").replaceAll("'", "&#39;"));
});

test("what is wrong with a binary is told on its page, as text", async () => {
  await app.stored(LEAF, 0, { problem: "<script>alert(1)</script> at byte 7" });
  const { html } = await pageAt("/packages/hello/debian/sid/amd64/hello.deb?info");
  expect(html).toContain("&lt;script&gt;alert(1)&lt;/script&gt; at byte 7");
  expect(html).not.toContain("<script");
  expect(html).toContain("No repository carries it.");
});

test("there is no page about a binary that is not there, or did not come in time", async () => {
  await app.awaited(LEAF);
  const path = "/packages/hello/debian/sid/amd64/hello.deb?info";
  expect((await pageAt(path)).html).toContain("awaiting its bytes");
  app.ctx.clock.ms += 3601 * 1000;
  expect((await app.ask("GET", path)).status).toBe(404);
  expect((await app.ask("GET", "/packages/hello/debian/sid/amd64/other.deb?info")).status).toBe(404);
});

test("an empty level says so", async () => {
  await app.ask("POST", "/packages/", { name: "empty" });
  expect((await pageAt("/packages/empty")).html).toContain("Nothing is here yet.");
});

test("a page of many has a link to the next", async () => {
  for (let number = 0; number < 1001; number += 1) {
    await app.stored([...LEAF.slice(0, 4), `p${String(number).padStart(4, "0")}`]);
  }
  const { html } = await pageAt("/packages/hello/debian/sid/amd64");
  expect(html).toContain('<a rel="next" href="http://packhouse.test/packages/hello/debian/sid/amd64/?after=p0999">');
});
