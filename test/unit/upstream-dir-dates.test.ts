import { expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { rememberLearned } from "../../shared/sync/learned.ts";
import { readDir } from "../../shared/sync/read-dir.ts";
import { siteOf } from "../../shared/sync/site.ts";
import { createUpstream } from "../../shared/sync/upstream.ts";
import { memoryContext } from "../support/memory-context.ts";
import { openFetcher, openUpstream } from "../support/upstream-site.ts";

const HOUR = 3_600_000;
const TAKEN = { sha256: sha256Of("x"), sizeBytes: 1 };

/** A listing that shows one file, written on 21 November at noon by a clock in some zone. */
async function follow(shown = "21-Nov-2026 12:00   1") {
  const site = await openUpstream((request, response) => {
    if (request.url === "/SHA256SUMS") return void response.writeHead(404).end();
    if (request.url?.startsWith("/x")) {
      ctx.clock.ms += headMs;
      return void response.writeHead(200, { etag: '"e"', "content-length": "1" }).end();
    }
    const links = Array.from({ length: count }, (_, index) => `<a href="x${index}">x</a>  ${shown}`);
    response.end(`<title>Index of /</title>${links.join("\n")}`);
  });
  let [count, headMs] = [1, 0];
  const ctx = { ...memoryContext(), fetcher: openFetcher() };
  const upstream = await createUpstream(ctx, { type: "dir", name: "far" }, { path: site.origin }, "somebody");
  /** One reading: what is to be read is read. How many heads were asked for, and how many files. */
  const read = async () => {
    site.requests.length = 0;
    const found = await readDir(await siteOf(ctx, upstream), undefined);
    if (found === "unchanged") throw new Error("unchanged");
    let files = 0;
    for await (const one of found.found) {
      if (!("unknown" in one)) continue;
      files += 1;
      await rememberLearned(ctx, upstream, one.unknown, TAKEN);
    }
    return { heads: site.requests.filter(({ line }) => line.startsWith("HEAD /x")).length, files };
  };
  const grow = (files: number, msOfHead: number) => {
    [count, headMs] = [files, msOfHead];
  };
  return { read, grow, clock: ctx.clock };
}

test("a date that no zone has behind it is not trusted, and once it has passed it is", async () => {
  const { read, clock } = await follow();
  clock.ms = Date.parse("2026-11-21T13:00:00Z");
  expect(await read()).toEqual({ heads: 1, files: 1 });
  expect(await read()).toEqual({ heads: 1, files: 0 });
  clock.ms += 24 * HOUR;
  expect(await read()).toEqual({ heads: 1, files: 0 });
  clock.ms += 24 * HOUR;
  // What its head told is known; from now on the listing is enough.
  expect(await read()).toEqual({ heads: 1, files: 0 });
  expect(await read()).toEqual({ heads: 0, files: 0 });
});

test("of a file that is old when it is first seen, the listing is enough from then on", async () => {
  const { read, clock } = await follow();
  clock.ms = Date.parse("2026-12-21T12:00:00Z");
  expect(await read()).toEqual({ heads: 1, files: 1 });
  expect(await read()).toEqual({ heads: 0, files: 0 });
});

test("where there are too many files to ask for each, dates are enough", async () => {
  const { read, grow } = await follow("21-Nov-2024 12:00   1");
  grow(100, 60_000);
  const { heads, files } = await read();
  expect(files).toBe(100);
  expect(heads).toBeLessThan(20);
  grow(100, 0);
  expect(await read()).toEqual({ heads: 0, files: 0 });
});

test("where there are too many, and no dates, that is an error that says what would do", async () => {
  const { read, grow } = await follow("");
  grow(100, 60_000);
  await expect(read()).rejects.toThrow(/too many files to ask for the dates of each .* a SHA256SUMS would tell/);
});
