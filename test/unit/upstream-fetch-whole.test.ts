import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { downloadWhole } from "../../shared/upstream/fetch-download.ts";
import {
  CHECKSUM,
  cutAt,
  FILE,
  file,
  OTHER,
  run,
  type Step,
  sha256,
  status,
  whole,
} from "../support/upstream-download.ts";
import { openFetcher, openUpstream, thrownBy } from "../support/upstream-site.ts";

/** What comes at once is what comes piece by piece, and so is what goes wrong. */
const chunked =
  (bytes: Buffer): Step =>
  (_, response) => {
    response.flushHeaders();
    response.end(bytes);
  };
const silent: Step = (_, response) => {
  response.writeHead(200, { "Content-Length": FILE.length });
  response.write(FILE.subarray(0, 10));
};
const KNOWN = { sizeBytes: FILE.length, checksum: CHECKSUM };
const FINE = whole(file(FILE));

type Scenario = readonly [name: string, steps: readonly Step[], want: Parameters<typeof run>[1]];
const SCENARIOS: readonly Scenario[] = [
  ["a file that is right", [FINE], KNOWN],
  ["a file of no announced length", [chunked(FILE)], KNOWN],
  ["an empty file", [whole(file(Buffer.alloc(0)))], { sizeBytes: 0 }],
  ["a file of another announced size", [FINE], { sizeBytes: FILE.length + 1 }],
  ["a file that is too short", [chunked(FILE.subarray(1))], { sizeBytes: FILE.length }],
  ["a file that is too long", [chunked(FILE)], { sizeBytes: 100_000 }],
  ["a file above the limit", [chunked(FILE)], { maxBytes: 100_000 }],
  ["a file announced above the limit", [FINE], { maxBytes: 100_000 }],
  ["other bytes", [whole(file(OTHER))], KNOWN],
  ["an encoding that a checksum makes no matter", [whole(file(FILE, { "Content-Encoding": "gzip" }))], KNOWN],
  ["an encoding that nothing explains", [whole(file(FILE, { "Content-Encoding": "gzip" }))], {}],
  ["a file that is not there", [status(404)], KNOWN],
  ["faults that pass", [status(503), status(502), FINE], KNOWN],
  ["faults that do not pass", [status(503), status(503), status(503)], { ...KNOWN, tries: 3 }],
  ["one try", [status(503)], { ...KNOWN, tries: 1 }],
  ["an upstream that wants to be left alone", [status(503, { "Retry-After": "3600" })], KNOWN],
  ["silence in its midst", [silent], { ...KNOWN, tries: 1 }],
  ["an end in its midst", [cutAt(file(FILE), 1000)], { ...KNOWN, tries: 1 }],
];

describe("of a whole that is asked for at once", () => {
  test.each(SCENARIOS)("%s", async (_, steps, want) => {
    const pieces = await run(steps, want);
    const atOnce = await run(steps, want, true);
    const told = ({ error, origin }: typeof pieces) => String(error).replaceAll(origin, "http://site");
    expect(told(atOnce)).toBe(told(pieces));
    if (pieces.error === undefined) expect(atOnce.bytes.equals(pieces.bytes)).toBe(true);
    else expect(atOnce.bytes.length).toBe(0);
    expect(atOnce.pauses).toEqual(pieces.pauses);
    expect(atOnce.asked).toEqual(pieces.asked);
  });

  test("a file that broke off is asked for again, whole, and then read on from where it breaks off", async () => {
    const tagged = file(FILE, { ETag: '"1"' });
    const { bytes, asked } = await run([cutAt(tagged, 9), cutAt(tagged, 100_000), whole(tagged)], KNOWN, true);
    expect(bytes.equals(FILE)).toBe(true);
    expect(asked.map(([range]) => range)).toEqual([undefined, undefined, "bytes=100000-"]);
  });

  test("any bytes come through, in any pieces", async () => {
    const site = await openUpstream((request, response) => {
      const [bytes = "", step = "1"] = (request.url ?? "").slice(1).split("/");
      const all = Buffer.from(bytes, "base64url");
      for (let at = 0; at < all.length; at += Number(step)) response.write(all.subarray(at, at + Number(step)));
      response.end();
    });
    const fetcher = openFetcher();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 400 }), async (given, step) => {
        const bytes = Buffer.from(given);
        const checksum = { algorithm: "sha256", value: sha256(bytes) } as const;
        const url = `${site.origin}/${bytes.toString("base64url")}/${step}`;
        const got = await downloadWhole(fetcher, url, { maxBytes: 300, sizeBytes: bytes.length, checksum });
        expect(got.equals(bytes)).toBe(true);
      }),
      { numRuns: 100 },
    );
    expect(site.connections.made).toBe(1);
  });

  test("one that comes slowly, but comes, takes the time that it takes", async () => {
    const site = await openUpstream((_, response) => {
      let left = 5;
      const drip = setInterval(() => {
        response.write("x");
        left -= 1;
        if (left > 0) return;
        clearInterval(drip);
        response.end();
      }, 300);
    });
    const got = await downloadWhole(openFetcher({ idleTimeoutMs: 1200 }), site.origin, { maxBytes: 10, tries: 1 });
    expect(got.toString()).toBe("xxxxx");
  });

  test("one that is given up ends with the reason", async () => {
    const givenUp = new AbortController();
    const site = await openUpstream((request, response) => {
      silent(request, response);
      setImmediate(() => givenUp.abort(new Error("no more")));
    });
    const going = downloadWhole(openFetcher(), site.origin, { maxBytes: 1e9, signal: givenUp.signal });
    expect(String(await thrownBy(going))).toBe("Error: no more");
  });
});
