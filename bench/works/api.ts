import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { sha256Of } from "../../shared/blob.ts";
import { countsOf } from "../../test/support/surface-cost.ts";
import type { Bench, Row, Work } from "../bench.ts";
import { newDeb } from "../inputs/debs.ts";
import { BENCH, keptFolder } from "../inputs/folder.ts";
import { dollarsAMillion } from "../prices.ts";
import { type BenchPackhouse, copyOf, startBench } from "../server/packhouse.ts";
import { rest, untilChanged, untilPublished, upload } from "../steps.ts";

const run = promisify(execFile);
const AUTOCANNON = join(BENCH, "../node_modules/.bin/autocannon");
const CONNECTIONS = 20;
const BINARIES = 100_000;
const PACKAGES = 1_000;
const FOLDER = "/packages/package-00007/debian/bookworm/amd64";

const Shot = z.object({
  latency: z.object({ p50: z.number(), p99: z.number() }),
  requests: z.object({ average: z.number() }),
  non2xx: z.number(),
  errors: z.number(),
});
const Spans = z.array(z.object({ name: z.string(), bytes: z.number() }));

type Operation = { readonly name: string; readonly path: string; readonly body?: string };

const OPERATIONS: readonly Operation[] = [
  { name: "api-listing", path: "/packages/" },
  { name: "api-listing-binaries", path: `${FOLDER}/` },
  {
    name: "api-package",
    path: `/package/${sha256Of(`${FOLDER.slice("/packages/".length)}/package-00007_3_amd64.bin`)}`,
  },
  { name: "api-repo", path: "/repo/bench" },
  {
    name: "api-presign",
    path: `${FOLDER}/`,
    body: JSON.stringify({ name: "new-[<id>].bin", sha256: sha256Of("new"), size: 3 }),
  },
];

export const api: Work = {
  name: "api",
  what: `requests with ${BINARIES} binaries in the table, by ${CONNECTIONS} connections: the seconds are p50; and what a million cost`,
  isQuick: false,
  growsNot: true,
  async run(bench) {
    const filled = await filledTable();
    const packhouse = await startBench({ dataFolder: copyOf(join(filled, "data")) });
    const rows: Row[] = [];
    try {
      for (const operation of OPERATIONS) rows.push(await shoot(packhouse, operation, bench.options.quick ? 3 : 8));
    } finally {
      await packhouse.remove();
    }
    await costs(bench, filled);
    return rows;
  },
};

/** Made once for each form of the items, since that many writes take minutes. */
async function filledTable(): Promise<string> {
  const form = ["node.ts", "../package.ts", "../store/keys.ts"].map((file) =>
    readFileSync(join(BENCH, "../shared/binary", file)),
  );
  return keptFolder(`table-${BINARIES}-${sha256Of(Buffer.concat(form)).slice(0, 8)}`, async (folder) => {
    const packhouse = await startBench({ dataFolder: join(folder, "data"), careless: true });
    await packhouse.call(z.unknown(), "POST", "/repo", { name: "bench", type: "apt" });
    await packhouse.act(z.unknown(), "binaries", { packages: PACKAGES, binariesEach: BINARIES / PACKAGES });
    await packhouse.kill();
  });
}

async function shoot(packhouse: BenchPackhouse, { name, path, body }: Operation, seconds: number): Promise<Row> {
  const headers = ["-H", `authorization=Bearer ${packhouse.token}`, "-H", "content-type=application/json"];
  const sent = body === undefined ? [] : ["-m", "POST", "-I", "-b", body];
  const args = [
    "-j",
    "-n",
    "-c",
    String(CONNECTIONS),
    "-d",
    String(seconds),
    ...headers,
    ...sent,
    `${packhouse.url}${path}`,
  ];
  const { stdout } = await run(AUTOCANNON, args);
  const { latency, requests, non2xx, errors } = Shot.parse(JSON.parse(stdout));
  if (non2xx + errors > 0) throw new Error(`wrong result: ${name}: ${non2xx} refused, ${errors} failed`);
  const note = `p99 ${latency.p99} ms, ${requests.average.toFixed(0)} requests a second`;
  return { work: name, size: BINARIES, seconds: [latency.p50 / 1000], peakMb: undefined, peers: [], note };
}

/** Each operation once, when warm: its requests to table, store and queues. */
async function costs(bench: Bench, filled: string): Promise<void> {
  const packhouse = await startBench({ dataFolder: copyOf(join(filled, "data")), trace: true });
  const tell = async (name: string, once: () => Promise<unknown>) => {
    await packhouse.act(Spans, "spans");
    await once();
    const spans = await packhouse.act(Spans, "spans");
    const counts = Object.entries(countsOf(spans.map((span) => span.name))).map(([call, count]) => `${count} ${call}`);
    console.log(`${name.padEnd(22)} $${dollarsAMillion(spans).toFixed(2).padStart(8)} a million: ${counts.join(", ")}`);
  };
  try {
    // What a start looks through is no part of any operation.
    await untilPublished(packhouse, "bench");
    await rest();
    for (const { name, path, body } of OPERATIONS) {
      const ask = (id: string) =>
        body === undefined
          ? packhouse.ask("GET", path)
          : packhouse.ask("POST", path, JSON.parse(body.replace("[<id>]", id)));
      await ask("warm");
      await tell(name, () => ask("cost"));
    }
    const deb = newDeb(bench.runs);
    let sha256 = "";
    await tell("upload", async () => {
      sha256 = await upload(packhouse, `${deb.name}/debian/bookworm/amd64`, deb.filename, deb.bytes);
    });
    await rest();
    await tell("commit and publication", () =>
      untilChanged(packhouse, "/apt/bench/dists/stable/InRelease", () =>
        packhouse.call(z.unknown(), "PATCH", "/repo/bench/packages", { add: { [sha256]: {} } }),
      ),
    );
  } finally {
    await packhouse.remove();
  }
}
