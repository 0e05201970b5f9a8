import { expect, test } from "vitest";
import { headOf } from "../../shared/sync/dir-head.ts";
import { siteOf } from "../../shared/sync/site.ts";
import { createUpstream } from "../../shared/sync/upstream.ts";
import { memoryContext } from "../support/memory-context.ts";
import { openFetcher, openUpstream, type UpstreamSite } from "../support/upstream-site.ts";

const DATE = "Sat, 21 Nov 2026 12:00:00 GMT";
const LAST_YEAR = "Fri, 21 Nov 2025 12:00:00 GMT";

async function told(answer: Parameters<typeof openUpstream>[0], times = 1): Promise<[unknown, UpstreamSite]> {
  const site = await openUpstream(answer);
  const ctx = { ...memoryContext(), fetcher: openFetcher({ sleep: async () => {} }) };
  const upstream = await createUpstream(ctx, { type: "dir", name: "far" }, { path: site.origin }, "somebody");
  const at = await siteOf(ctx, upstream);
  let head: unknown;
  for (let time = 0; time < times; time++) head = await headOf(at, `${site.origin}/x`);
  return [head, site];
}

test.each([
  ["all that is told", { etag: '"e"', "last-modified": LAST_YEAR, "content-length": "7" }, ['"e"', LAST_YEAR, 7]],
  ["a date alone", { "last-modified": LAST_YEAR }, [null, LAST_YEAR, null]],
  ["an ETag alone", { etag: 'W/"e"', "content-length": "7" }, ['W/"e"', null, 7]],
  [
    "a date to come",
    { "last-modified": "Sat, 21 Nov 2037 12:00:00 GMT" },
    [null, "Sat, 21 Nov 2037 12:00:00 GMT", null],
  ],
])("a file is told from what it was by %s", async (_, headers, version) => {
  const [head] = await told((__, response) => void response.writeHead(200, { date: DATE, ...headers }).end());
  expect(head).toMatchObject({ version: JSON.stringify(version) });
});

test.each([
  ["nothing", {}],
  ["a length alone", { "content-length": "7" }],
  ["a date of this very second", { "last-modified": DATE, etag: '"e"' }],
])("by %s it is not", async (_, headers) => {
  const [head] = await told((__, response) => void response.writeHead(200, { date: DATE, ...headers }).end());
  expect(head).toMatchObject({ version: undefined });
});

test("heads come one after the other on one connection, without a body", async () => {
  const [head, site] = await told((_, response) => void response.writeHead(200, { "content-length": "7" }).end(), 3);
  expect(head).toMatchObject({ sizeBytes: 7 });
  expect(site.requests.map(({ line }) => line)).toEqual(["HEAD /x", "HEAD /x", "HEAD /x"]);
  expect(site.connections.made).toBe(1);
});

test.each([404, 410])("a file that answers %i is absent", async (status) => {
  expect((await told((_, response) => void response.writeHead(status).end()))[0]).toBe("absent");
});

test.each([405, 501])("of a server that answers %i nothing is known", async (status) => {
  const [head, site] = await told((_, response) => void response.writeHead(status).end());
  expect(head).toEqual({ sizeBytes: undefined, version: undefined });
  expect(site.requests).toHaveLength(1);
});

test("a file that may not be read is an error, one that can't be right now is asked for again", async () => {
  await expect(told((_, response) => void response.writeHead(403).end())).rejects.toThrow(/\/x: expected 200, got 403/);
  let faults = 2;
  const [head] = await told((_, response) => void response.writeHead(faults-- > 0 ? 503 : 200).end());
  expect(head).toMatchObject({ version: undefined });
});
