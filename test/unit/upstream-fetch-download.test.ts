import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { download } from "../../shared/upstream/fetch-download.ts";
import {
  CHECKSUM,
  cutAt,
  FILE,
  file,
  ignoringIfRange,
  ignoringRanges,
  OLD,
  OTHER,
  run,
  type Step,
  sha256,
  status,
  whole,
} from "../support/upstream-download.ts";
import { openFetcher, openUpstream, thrownBy } from "../support/upstream-site.ts";

test("a file that comes in one piece is asked for once", async () => {
  const { error, bytes, asked } = await run([whole(file(FILE))], { sizeBytes: FILE.length, checksum: CHECKSUM });
  expect(error).toBeUndefined();
  expect(bytes.equals(FILE)).toBe(true);
  expect(asked).toEqual([[undefined, undefined]]);
});

test("an empty file is a file", async () => {
  const empty = Buffer.alloc(0);
  const checksum = { algorithm: "sha256", value: sha256(empty) } as const;
  expect(await run([whole(file(empty))], { sizeBytes: 0, checksum })).toMatchObject({ error: undefined, bytes: empty });
});

describe("after a fault in its midst", () => {
  test("a file goes on where it broke off, as long as it is the same", async () => {
    const tagged = file(FILE, { ETag: '"1"' });
    const { error, bytes, asked, pauses } = await run([
      cutAt(tagged, 100_000),
      status(503),
      cutAt(tagged, 70_000),
      whole(tagged),
    ]);
    expect(error).toBeUndefined();
    expect(bytes.equals(FILE)).toBe(true);
    expect(asked).toEqual([
      [undefined, undefined],
      ["bytes=100000-", '"1"'],
      ["bytes=100000-", '"1"'],
      ["bytes=170000-", '"1"'],
    ]);
    expect(pauses).toEqual([500, 1000, 2000]);
  });

  test.each<[string, Record<string, string>, string | undefined, boolean]>([
    ["an ETag", { ETag: '"1"', "Last-Modified": OLD, Date: "Mon, 01 Jun 2026 12:00:00 GMT" }, '"1"', true],
    ["a date long past", { "Last-Modified": OLD, Date: "Mon, 01 Jun 2026 10:01:00 GMT" }, OLD, true],
    ["no date of just now", { "Last-Modified": OLD, Date: "Mon, 01 Jun 2026 10:00:59 GMT" }, undefined, false],
    ["no weak ETag", { ETag: 'W/"1"' }, undefined, false],
    ["nothing", {}, undefined, false],
  ])("a part counts on %s", async (_, headers, ifRange, ranged) => {
    const { error, bytes, asked } = await run([cutAt(file(FILE, headers), 5), whole(file(FILE, headers))]);
    expect(error).toBeUndefined();
    expect(bytes.equals(FILE)).toBe(true);
    expect(asked[1]).toEqual([ranged ? "bytes=5-" : undefined, ifRange]);
  });

  test("with a checksum a part needs nothing else", async () => {
    const { bytes, asked } = await run([cutAt(file(FILE), 5), whole(file(FILE))], { checksum: CHECKSUM });
    expect(bytes.equals(FILE)).toBe(true);
    expect(asked[1]).toEqual(["bytes=5-", undefined]);
  });

  test.each<[string, Step]>([
    ["gives the whole", ignoringRanges(file(FILE, { ETag: '"1"' }))],
    ["names another version of the same bytes", whole(file(FILE, { ETag: '"2"' }))],
  ])("an upstream that %s is read again up to there", async (_, again) => {
    const known = { maxBytes: FILE.length, sizeBytes: FILE.length };
    const { error, bytes } = await run([cutAt(file(FILE, { ETag: '"1"' }), 100_000), again], known);
    expect(error).toBeUndefined();
    expect(bytes.equals(FILE)).toBe(true);
  });

  test.each<[string, Step]>([
    ["has other bytes now", whole(file(OTHER, { ETag: '"2"' }))],
    ["has fewer bytes now", whole(file(FILE.subarray(0, 99_999), { ETag: '"2"' }))],
    ["has none now", whole(file(Buffer.alloc(0), { ETag: '"2"' }))],
  ])("an upstream that %s has changed, for good", async (_, again) => {
    const { error } = await run([cutAt(file(FILE, { ETag: '"1"' }), 100_000), again]);
    expect(error).toMatchObject({ name: "UpstreamError", reason: "changed" });
  });

  test.each<[string, Step]>([
    ["refuses the part", status(416, { "Content-Range": "bytes */300000" })],
    [
      "gives another part",
      (_, response) => void response.writeHead(206, { "Content-Range": "bytes 0-4/300000" }).end("hello"),
    ],
    ["gives a part of another file", ignoringIfRange(file(OTHER, { ETag: '"2"' }))],
  ])("an upstream that %s is asked for the whole at once", async (_, again) => {
    const tagged = file(FILE, { ETag: '"1"' });
    const { error, bytes, asked, pauses } = await run([cutAt(tagged, 100_000), again, whole(tagged)]);
    expect(error).toBeUndefined();
    expect(bytes.equals(FILE)).toBe(true);
    expect(asked[2]).toEqual([undefined, undefined]);
    expect(pauses).toHaveLength(1);
  });

  test("a part that is shorter than asked for is followed by the next", async () => {
    const tagged = file(FILE, { ETag: '"1"' });
    const short: Step = (_, response) => {
      response.writeHead(206, { ETag: '"1"', "Content-Range": "bytes 5-9/300000" }).end(FILE.subarray(5, 10));
    };
    const { error, bytes, asked } = await run([cutAt(tagged, 5), short, whole(tagged)]);
    expect(error).toBeUndefined();
    expect(bytes.equals(FILE)).toBe(true);
    expect(asked[2]?.[0]).toBe("bytes=10-");
  });

  test("that came after the last byte nothing more is asked", async () => {
    const chunked: Step = (_, response) => {
      response.write(FILE, () => response.destroy());
    };
    const { error, bytes, asked } = await run([chunked], { sizeBytes: FILE.length, checksum: CHECKSUM });
    expect(error).toBeUndefined();
    expect(bytes.equals(FILE)).toBe(true);
    expect(asked).toHaveLength(1);
  });

  test("wherever it breaks off, and whatever the upstream can do, the bytes are those of the file", async () => {
    const small = FILE.subarray(0, 1000);
    const headers = fc.constantFrom<Record<string, string>>({}, { ETag: '"1"' }, { ETag: 'W/"1"' });
    const cut = fc.record({ at: fc.nat(1000), ranges: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(headers, fc.array(cut, { maxLength: 4 }), fc.boolean(), async (given, cuts, checked) => {
        const of = file(small, given);
        const steps = cuts.map(
          ({ at, ranges }): Step =>
            (request, response) => {
              if (!ranges) delete request.headers.range;
              cutAt(of, at)(request, response);
            },
        );
        const checksum = { algorithm: "sha256", value: sha256(small) } as const;
        const { error, bytes } = await run([...steps, whole(of)], checked ? { checksum } : {});
        expect(error).toBeUndefined();
        expect(bytes.equals(small)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

describe("faults", () => {
  test("in a row end it after so many tries, those with a megabyte between them do not", async () => {
    const large = file(randomBytes(8 * 1024 * 1024), { ETag: '"1"' });
    const far = Array.from({ length: 7 }, () => cutAt(large, 1024 * 1024));
    const near = await run([cutAt(large, 5), cutAt(large, 1024), cutAt(large, 1024), whole(large)], { tries: 3 });
    expect(near.error).toMatchObject({ name: "UpstreamFault" });
    expect(near.asked).toHaveLength(3);
    const { error, bytes, pauses } = await run([...far, whole(large)], { tries: 2 });
    expect(error).toBeUndefined();
    expect(bytes.equals(large.bytes)).toBe(true);
    expect(pauses).toEqual(far.map(() => 500));
  });

  test("are waited out for as long as the upstream asks, or given to the caller", async () => {
    const asks = (seconds: string) => run([status(503, { "Retry-After": seconds }), whole(file(FILE))]);
    expect(await asks("30")).toMatchObject({ error: undefined, pauses: [30_000] });
    expect(await asks("3000")).toMatchObject({ error: { name: "UpstreamFault", retryAfterMs: 3_000_000 }, pauses: [] });
  });

  test("for good are not tried again", async () => {
    const { error, asked } = await run([status(404), whole(file(FILE))]);
    expect(error).toMatchObject({ name: "UpstreamError", status: 404 });
    expect(asked).toHaveLength(1);
  });
});

test("who stops reading ends the connection, and a signal ends it all", async () => {
  const closed = Promise.withResolvers<void>();
  const site = await openUpstream((request, response) => {
    response.once("close", () => closed.resolve());
    if (request.url === "/503") response.writeHead(503, { "Retry-After": "50" }).end();
    else response.write(FILE);
  });
  const fetcher = openFetcher();
  for await (const _ of download(fetcher, site.origin, { maxBytes: 1e9 })) break;
  await closed.promise;
  const abort = new AbortController();
  const reason = new Error("enough");
  const waiting = download(fetcher, `${site.origin}/503`, {
    maxBytes: 1e9,
    signal: abort.signal,
    onFault: () => setImmediate(() => abort.abort(reason)),
  });
  expect(await thrownBy(waiting.next())).toBe(reason);
});
