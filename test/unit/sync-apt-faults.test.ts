import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { buildDeb } from "../support/deb-builder.ts";
import { expectWhole, openSyncBench, type SyncBench } from "../support/sync-memory.ts";
import { type AptSite, startAptSite } from "../support/upstream-apt-site.ts";
import { openFetcher } from "../support/upstream-site.ts";

/** `file`: what should be answered, where there is such a file. */
type Fault = (request: IncomingMessage, response: ServerResponse, file: Buffer) => void;

function sendHalf(response: ServerResponse, file: Buffer, then: () => void): void {
  const announced = response.writeHead(200, { "content-length": String(file.length) });
  announced.write(file.subarray(0, file.length >> 1), then);
}

/** What a server on a bad day does with one request; `passes`: a second try is all it takes. */
const FAULTS: Readonly<Record<string, { readonly passes: boolean; readonly act: Fault }>> = {
  "the connection is reset": { passes: true, act: (request) => request.socket.resetAndDestroy() },
  "503 is answered": { passes: true, act: (_, response) => response.writeHead(503).end("later") },
  "500 is answered": { passes: true, act: (_, response) => response.writeHead(500).end("oh") },
  "429 is answered, with Retry-After": {
    passes: true,
    act: (_, response) => response.writeHead(429, { "retry-after": "1" }).end(),
  },
  "the body ends too early": {
    passes: true,
    act: (_, response, file) => sendHalf(response, file, () => response.destroy()),
  },
  "the server falls silent": { passes: true, act: () => {} },
  "the server falls silent within the body": {
    passes: true,
    act: (_, response, file) => sendHalf(response, file, () => {}),
  },
  "404 is answered": { passes: false, act: (_, response) => response.writeHead(404).end("none") },
  "403 is answered": { passes: false, act: (_, response) => response.writeHead(403).end("no") },
  "other bytes come": { passes: false, act: (_, response) => response.writeHead(200).end("<html>other bytes") },
  "nothing comes": { passes: false, act: (_, response) => response.writeHead(200).end() },
  "it leads in a circle": {
    passes: false,
    act: (request, response) => response.writeHead(302, { location: request.url }).end(),
  },
};

let site: AptSite;
let bench: SyncBench;
let pauses: number[];

const deb = (Package: string, Version: string) => buildDeb({ control: { Package, Version } });

/** A bench whose upstream was synced once, and has something new since. */
beforeEach(async () => {
  site = await startAptSite();
  pauses = [];
  const fetcher = openFetcher({
    idleTimeoutMs: 150,
    sleep: async (ms) => void pauses.push(ms),
  });
  bench = openSyncBench(fetcher, { atOnce: 4 });
  site.add("alpha.deb", deb("alpha", "1"));
  site.index();
  await bench.make({ path: site.url, series: ["stable"] });
  await bench.drain();
  expect(await bench.state()).toMatchObject({ number: 1, packages: ["alpha_1"] });
  site.add("alpha.deb", deb("alpha", "2"));
  site.add("beta.deb", deb("beta", "1"));
  site.index();
  site.asked();
  return () => site.close();
});

/** Runs a sync whose nth request (from 0), and `times - 1` that follow, meet a fault. Answers that request's path, if there was one. */
async function syncWith(on: SyncBench, nth: number, act: Fault, times = 1): Promise<string | undefined> {
  let seen = 0;
  let met: string | undefined;
  site.meanwhile = (path, request, response) => {
    const at = seen;
    seen += 1;
    if (at < nth || at >= nth + times) return false;
    met ??= path;
    const file = join(site.folder, path);
    act(request, response, existsSync(file) ? readFileSync(file) : Buffer.from("two parts"));
    return true;
  };
  await on.again();
  await on.drain();
  site.meanwhile = () => false;
  return met;
}

async function expectNew(on: SyncBench): Promise<void> {
  expect(await on.job()).toMatchObject({ state: "done", commit: 2 });
  expect(await on.state()).toMatchObject({ number: 2, packages: ["alpha_2", "beta_1"] });
  await expectWhole(on);
}

describe("at each request of a sync:", () => {
  test.each(Object.entries(FAULTS))("%s once", async (_, { passes, act }) => {
    for (let nth = 0; ; nth += 1) {
      const on = bench.restarted();
      const path = await syncWith(on, nth, act);
      if (path === undefined) {
        expect(nth).toBeGreaterThanOrEqual(5);
        return;
      }
      const job = await on.job();
      if (passes) expect([path, job.state]).toEqual([path, "done"]);
      if (job.state === "failed") {
        const [name = ""] = path.split(".gz");
        expect(job.errors.at(-1)?.message).toContain(`${site.url}/${name}`);
        expect(await on.state()).toMatchObject({ number: 1, packages: ["alpha_1"] });
        await on.again();
        await on.drain();
      }
      await expectNew(on);
    }
  });

  test.each(["503 is answered", "the connection is reset"])("%s for good", async (fault) => {
    for (let nth = 0; nth < 5; nth += 1) {
      const on = bench.restarted();
      const from = on.ctx.clock.ms;
      const path = await syncWith(on, nth, FAULTS[fault]?.act ?? (() => {}), Number.POSITIVE_INFINITY);
      const job = await on.job();
      expect([path, job.state]).toEqual([path, "failed"]);
      expect(new Set(job.errors.map(({ url }) => url))).toContain(`${site.url}/${path}`);
      // It may be gone for half a minute.
      expect(on.ctx.clock.ms - from).toBeGreaterThan(30_000);
      expect(await on.state()).toMatchObject({ number: 1, packages: ["alpha_1"] });
      await on.again();
      await on.drain();
      await expectNew(on);
    }
  });
});

test("an upstream that asks to be left alone for an hour is left alone for that time", async () => {
  const from = bench.ctx.clock.ms;
  await syncWith(bench, 2, (_, response) => response.writeHead(429, { "retry-after": "3600" }).end());
  await expectNew(bench);
  expect(bench.ctx.clock.ms - from).toBeGreaterThanOrEqual(3600 * 1000);
  expect(Math.max(0, ...pauses)).toBeLessThan(60_000);
});

test("what many batches meet at the same time is one fault", async () => {
  const names = ["b-1", "b-2", "b-3", "b-4", "b-5", "b-6", "b-7", "b-8"];
  for (const name of names) site.add(`${name}.deb`, deb(name, "1"));
  // What is said to be large goes into batches of its own; what it is said to be is not what this is about.
  const sizes = new Map<string, string>();
  site.index({
    edit: (index) => {
      sizes.set(index, readFileSync(index, "utf8"));
      writeFileSync(index, readFileSync(index, "utf8").replace(/^Size: .*/gm, `Size: ${200 * 1024 * 1024}`));
    },
  });
  const on = openSyncBench(bench.ctx.fetcher, { atOnce: 8 }, bench.ctx.restarted());
  let refused = 0;
  site.meanwhile = (path, _, response) => {
    if (!path.startsWith("pool/") || refused >= 60) return false;
    refused += 1;
    response.writeHead(503).end();
    return true;
  };
  await on.again();
  await on.drain();
  expect(refused).toBeGreaterThan(40);
  // Two rounds of pauses at most, and then the sizes that are wrong end it.
  expect((await on.job()).faults).toBeLessThanOrEqual(2);
});
