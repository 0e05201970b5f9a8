import { expect, test } from "vitest";
import { type ListedFile, type WalkLimits, walkListing } from "../../shared/sync/dir-walk.ts";
import { siteOf } from "../../shared/sync/site.ts";
import { createUpstream } from "../../shared/sync/upstream.ts";
import { memoryContext } from "../support/memory-context.ts";
import { openFetcher, openUpstream, type UpstreamSite } from "../support/upstream-site.ts";

const LIMITS: WalkLimits = { pages: 20, files: 50, depth: 4 };

/** A server whose pages have these links, by path; a function is asked for those of any path. */
function serve(links: Readonly<Record<string, string[]>> | ((path: string) => string[])): Promise<UpstreamSite> {
  return openUpstream((request, response) => {
    const path = request.url ?? "/";
    const found = typeof links === "function" ? links(path) : links[path];
    if (!found) return void response.writeHead(404).end();
    response.end(`<title>Index of ${path}</title>${found.map((link) => `<a href="${link}">x</a>`).join("\n")}`);
  });
}

async function walked(
  url: string,
  { limits = LIMITS, folder = () => true }: { limits?: WalkLimits; folder?: (path: string) => boolean } = {},
): Promise<string[]> {
  const ctx = { ...memoryContext(), fetcher: openFetcher({ sleep: async () => {} }) };
  const upstream = await createUpstream(ctx, { type: "dir", name: "far" }, { path: url }, "somebody");
  const files: ListedFile[] = [];
  for await (const page of await walkListing(await siteOf(ctx, upstream), { folder }, limits)) files.push(...page);
  return files.map(({ path }) => path).sort();
}

test("folders are walked, and their names decoded once", async () => {
  const site = await serve({
    "/pub/": ["a", "%C3%BC%20b/", "empty/", "c%2520d"],
    "/pub/%C3%BC%20b/": ["x%2By"],
    "/pub/empty/": [],
  });
  expect(await walked(`${site.origin}/pub`)).toEqual(["a", "c%20d", "ü b/x+y"]);
});

test("links that lead elsewhere are not followed, nor asked for", async () => {
  const other = await serve({});
  const site = await serve({
    "/pub/": [
      `${other.origin}/pub/`,
      "//127.0.0.2/pub/x/",
      "/",
      "/other/",
      "../up/",
      "?C=M;O=A",
      "sub/?C=M",
      "javascript:alert(1)",
      "data:text/html,x/",
      "file:///etc/passwd",
      "s3://packhouse/blobs/",
      "ok",
    ],
  });
  expect(await walked(`${site.origin}/pub/`)).toEqual(["ok"]);
  expect(site.requests.map(({ line }) => line)).toEqual(["GET /pub/"]);
  expect(other.requests).toEqual([]);
});

test.each(["..%2f..%2fetc/", "%2e%2e%5cx", "a%00b", "%252e%252e/"])("a link to %s is refused", async (link) => {
  const site = await serve({ "/": ["fine", link] });
  await expect(walked(site.origin)).rejects.toThrow(/is refused/);
});

test("a link in a circle is an error that names it and the way out, after bounded work", async () => {
  const site = await serve(() => ["file", "loop/"]);
  await expect(walked(site.origin)).rejects.toThrow(
    `${site.origin}${"/loop".repeat(5)}/: folders within 4 others (does a link lead in a circle? \`exclude\` leaves out`,
  );
  expect(site.requests).toHaveLength(5);
  expect(await walked(site.origin, { folder: (path) => path !== "loop" })).toEqual(["file"]);
});

test("circles that multiply end at the number of pages", async () => {
  const site = await serve(() => ["a/", "b/", "c/"]);
  await expect(walked(site.origin, { limits: { ...LIMITS, depth: 32 } })).rejects.toThrow(/more than 20 folders/);
  expect(site.requests.length).toBeLessThanOrEqual(20);
});

test("more files than may be are an error", async () => {
  const site = await serve((path) => [
    ...Array.from({ length: 26 }, (_, i) => `${i}`),
    ...(path === "/" ? ["a/"] : []),
  ]);
  await expect(walked(site.origin)).rejects.toThrow(/more than 50 files/);
});

test("a path that grows too long is refused, however short its names are", async () => {
  const site = await serve(() => [`${"x".repeat(200)}/`, "y".repeat(240)]);
  await expect(walked(site.origin, { limits: { ...LIMITS, depth: 32 } })).rejects.toThrow(
    /longer than 1000 characters/,
  );
});

test("the first page may lie elsewhere, a folder may not", async () => {
  const site = await openUpstream((request, response) => {
    const to = { "/old/": "/new/", "/new/away/": "/", "/new/in/": "/new/in/deeper/" }[request.url ?? ""];
    if (to) return void response.writeHead(302, { location: to }).end();
    const links = request.url === "/new/" ? ["x", "away/", "in/"] : ["y"];
    response.end(`<title>Index of /</title>${links.map((link) => `<a href="${link}">x</a>`).join("")}`);
  });
  const only = (name: string) => ({ folder: (path: string) => path === name });
  expect(await walked(`${site.origin}/old`, only("none"))).toEqual(["x"]);
  for (const name of ["away", "in"]) {
    await expect(walked(`${site.origin}/old`, only(name))).rejects.toThrow(
      /expected the listing of this folder, got a redirect/,
    );
  }
});

test("a fault that passes is asked again, one that stays is told", async () => {
  let faults = 2;
  const site = await openUpstream((request, response) => {
    if (request.url === "/in/" && faults-- > 0) return void response.writeHead(503).end();
    response.end(`<title>Index of /</title>${request.url === "/" ? '<a href="in/">x</a>' : '<a href="x">x</a>'}`);
  });
  expect(await walked(site.origin)).toEqual(["in/x"]);
  faults = 100;
  await expect(walked(site.origin)).rejects.toThrow(/in\/: expected 200, got 503/);
});

test("a page that is none is an error that says what was looked for", async () => {
  const site = await openUpstream((_, response) => void response.end("<h1>Welcome</h1>"));
  await expect(walked(site.origin)).rejects.toThrow(/no directory listing of nginx, Apache or Python/);
});
