import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { AppError } from "../../shared/error.ts";
import type { Fetched, NotModified } from "../../shared/upstream/fetch.ts";
import { fetchBytes, fetchIfChanged } from "../../shared/upstream/fetch-bytes.ts";
import { UpstreamError, UpstreamFault } from "../../shared/upstream/fetch-error.ts";
import { openFetcher, openUpstream, textOf, thrownBy } from "../support/upstream-site.ts";

const MAX = { maxBytes: 1000 };

function fetched(answer: Fetched | NotModified): Fetched {
  if (answer.status === 304) throw new Error("not modified");
  return answer;
}

test("a file comes with its size, its validators and every header", async () => {
  const modified = "Mon, 01 Jun 2026 10:00:00 GMT";
  const site = await openUpstream((_, response) => {
    response.writeHead(200, { ETag: '"1"', "Last-Modified": modified, "X-Twice": ["a", "b"], "Content-Length": 5 });
    response.end("hello");
  });
  const answer = fetched(await openFetcher().get(`${site.origin}/a%20b?c=d#e`, MAX));
  expect(answer).toMatchObject({ status: 200, etag: '"1"', lastModified: modified, sizeBytes: 5, part: undefined });
  expect(answer.finalUrl).toBe(`${site.origin}/a%20b?c=d`);
  expect(answer.headers["x-twice"]).toBe("a, b");
  expect(await textOf(answer.body)).toBe("hello");
  expect(site.requests[0]).toMatchObject({
    line: "GET /a%20b?c=d",
    headers: { "user-agent": "Packhouse/test", accept: "*/*", "accept-encoding": "identity" },
  });
  expect(site.requests[0]?.headers).not.toHaveProperty("authorization");
});

test("what has not changed is not sent again, and only who asks with validators is told so", async () => {
  const site = await openUpstream((request, response) => {
    const known = request.headers["if-none-match"] === '"1"' || request.headers["if-modified-since"] === "then";
    if (known || request.url === "/always") response.writeHead(304).end();
    else response.writeHead(200, { ETag: '"1"' }).end("hello");
  });
  const fetcher = openFetcher();
  const url = `${site.origin}/`;
  expect(await fetcher.get(url, { ...MAX, etag: '"1"' })).toEqual({ status: 304 });
  expect(await fetcher.get(url, { ...MAX, lastModified: "then" })).toEqual({ status: 304 });
  expect(await fetchIfChanged(fetcher, url, { ...MAX, etag: '"1"' })).toBeUndefined();
  expect(await fetchIfChanged(fetcher, url, { ...MAX, etag: '"0"' })).toMatchObject({ bytes: Buffer.from("hello") });
  expect(await fetchBytes(fetcher, url, MAX)).toMatchObject({ bytes: Buffer.from("hello"), etag: '"1"' });
  expect(await thrownBy(fetcher.get(`${site.origin}/always`, MAX))).toMatchObject({ reason: "status", status: 304 });
  expect(site.connections.made).toBe(1);
});

describe("a range", () => {
  const answers: Record<string, [status: number, contentRange: string | undefined, body: string]> = {
    "/right": [206, "bytes 2-4/5", "llo"],
    "/unknown": [206, "bytes 2-4/*", "llo"],
    "/whole": [200, undefined, "hello"],
    "/other": [206, "bytes 0-2/5", "hel"],
    "/longer": [206, "bytes 2-9/10", "llo world"],
    "/none": [206, undefined, "llo"],
    "/outside": [416, "bytes */1", ""],
  };
  async function ask(path: string, range: { start: number; end?: number } | undefined = { start: 2, end: 4 }) {
    const site = await openUpstream((request, response) => {
      const [status, contentRange, body] = answers[request.url ?? ""] ?? [500, undefined, ""];
      response.writeHead(status, contentRange ? { "Content-Range": contentRange } : {}).end(body);
    });
    const get = () => openFetcher().get(`${site.origin}${path}`, { ...MAX, range, ifRange: '"1"' });
    return { site, get };
  }

  test("is asked for, and comes with its place in the whole", async () => {
    const { site, get } = await ask("/right");
    const answer = fetched(await get());
    expect(answer).toMatchObject({ status: 206, part: { start: 2, totalBytes: 5 } });
    expect(await textOf(answer.body)).toBe("llo");
    expect(site.requests[0]?.headers).toMatchObject({ range: "bytes=2-4", "if-range": '"1"' });
    const open = await ask("/unknown", { start: 2 });
    expect(await open.get()).toMatchObject({ status: 206, part: { start: 2, totalBytes: undefined } });
    expect(open.site.requests[0]?.headers.range).toBe("bytes=2-");
  });

  test("may be answered with the whole", async () => {
    const answer = fetched(await (await ask("/whole")).get());
    expect(answer).toMatchObject({ status: 200, part: undefined });
    expect(await textOf(answer.body)).toBe("hello");
  });

  test.each([
    ["/other", "range"],
    ["/longer", "range"],
    ["/none", "range"],
    ["/outside", "status"],
  ])("of other bytes is refused (%s)", async (path, reason) => {
    expect(await thrownBy((await ask(path)).get)).toMatchObject({ name: "UpstreamError", reason });
  });

  test("that nobody asked for is refused", async () => {
    const site = await openUpstream((_, response) => {
      response.writeHead(206, { "Content-Range": "bytes 0-4/9" }).end("hello");
    });
    expect(await thrownBy(openFetcher().get(site.origin, MAX))).toMatchObject({ reason: "status", status: 206 });
  });
});

describe("an answer that is no success", () => {
  async function failure(status: number, headers: Record<string, string> = {}, now = new Date()) {
    const site = await openUpstream((_, response) => {
      response.writeHead(status, headers).end("some page");
    });
    return thrownBy(openFetcher({ now: () => now }).get(`${site.origin}/x`, MAX));
  }

  test.each([201, 204, 300, 304, 305, 400, 401, 403, 404, 410, 416, 451])("%d is an error for good", async (status) => {
    const error = await failure(status);
    expect(error).toBeInstanceOf(UpstreamError);
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ reason: "status", status, kind: "unprocessable" });
  });

  test.each([408, 425, 429, 500, 502, 503, 504, 599])("%d is a fault that may pass", async (status) => {
    const error = await failure(status);
    expect(error).toBeInstanceOf(UpstreamFault);
    expect(error).not.toBeInstanceOf(AppError);
    expect(error).toMatchObject({ status, retryAfterMs: undefined });
  });

  test("says which URL, what was expected and what came", async () => {
    expect(String(await failure(404))).toMatch(
      /^UpstreamError: http:\/\/127\.0\.0\.1:\d+\/x: expected 200, got 404 Not Found$/,
    );
  });

  test.each([
    ["120", 120_000],
    [" 0 ", 0],
    ["86400", 3_600_000],
    ["99999999999999999999", 3_600_000],
    ["Sun, 06 Nov 1994 08:49:37 GMT", 37_000],
    ["Sunday, 06-Nov-94 08:49:37 GMT", 37_000],
    ["Sun Nov  6 08:49:37 1994", 37_000],
    ["Sun, 06 Nov 1994 08:48:00 GMT", 0],
    ["Sun, 06 Nov 2094 08:48:00 GMT", 3_600_000],
    ["-5", undefined],
    ["1.5", undefined],
    ["soon", undefined],
    ["Sun, soon", undefined],
    ["", undefined],
  ])("Retry-After: %j means %s ms", async (text, ms) => {
    // A date without a zone is not one of this machine's.
    vi.stubEnv("TZ", "America/New_York");
    onTestFinished(() => void vi.unstubAllEnvs());
    const error = await failure(503, { "Retry-After": text }, new Date("1994-11-06T08:49:00Z"));
    expect(error).toMatchObject({ name: "UpstreamFault", retryAfterMs: ms });
  });
});

describe("too many bytes", () => {
  test("that are announced are not even read", async () => {
    const site = await openUpstream((_, response) => {
      response.writeHead(200, { "Content-Length": 1001 });
      response.flushHeaders();
    });
    const error = await thrownBy(openFetcher().get(site.origin, MAX));
    expect(error).toMatchObject({
      reason: "too_large",
      message: expect.stringContaining("at most 1000 bytes, got 1001"),
    });
  });

  test("that are not announced are refused where the limit is, and at the limit taken", async () => {
    const site = await openUpstream(async (request, response) => {
      for (let left = Number(request.url?.slice(1)); left > 0; left -= 10)
        response.write("x".repeat(Math.min(left, 10)));
      response.end();
    });
    const fetcher = openFetcher();
    expect((await fetchBytes(fetcher, `${site.origin}/1000`, MAX)).bytes).toHaveLength(1000);
    const error = await thrownBy(fetchBytes(fetcher, `${site.origin}/1001`, MAX));
    expect(error).toMatchObject({ name: "UpstreamError", reason: "too_large" });
  });
});

describe("Content-Encoding", () => {
  const packed = gzipSync("hello");
  async function get(path: string, encoding: string, encoded = false) {
    const site = await openUpstream((request, response) => {
      if (request.url === "/moved.gz") response.writeHead(302, { Location: "/blob" }).end();
      else response.writeHead(200, { "Content-Encoding": encoding }).end(packed);
    });
    return fetchBytes(openFetcher(), `${site.origin}${path}`, { ...MAX, encoded });
  }

  test.each([
    ["/Packages.gz", "gzip"],
    ["/Packages.gz", "x-gzip"],
    ["/Packages.GZ", "GZIP"],
    ["/moved.gz", "gzip"],
    ["/a.tgz", "x-gzip"],
    ["/Packages.xz", "x-xz"],
    ["/Packages.bz2", "x-bzip2"],
    ["/primary.xml.zst", "zstd"],
    ["/Packages", "identity"],
  ])("of a file that is compressed itself changes nothing (%s, %s)", async (path, encoding) => {
    expect(packed.equals((await get(path, encoding)).bytes)).toBe(true);
  });

  test.each([
    ["/Packages", "gzip"],
    ["/Packages.xz", "gzip"],
    ["/Packages.gz", "br"],
    ["/Packages.gz", "gzip, gzip"],
    ["/x", "constructor"],
  ])("that the name does not explain is refused (%s, %s)", async (path, encoding) => {
    expect(await thrownBy(get(path, encoding))).toMatchObject({ reason: "encoding" });
  });

  test("is nothing to one who has a hash to compare", async () => {
    expect(packed.equals((await get("/by-hash/SHA256/1", "gzip", true)).bytes)).toBe(true);
  });
});
