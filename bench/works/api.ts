import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { sha256Of } from "../../shared/blob.ts";
import type { Bench, Row, Work } from "../bench.ts";
import { BENCH } from "../inputs/folder.ts";
import { profiled } from "../profile.ts";
import { type BenchPackhouse, copyOf, startBench } from "../server/packhouse.ts";
import { type Operation, tellCosts } from "./api-costs.ts";
import { expectAsUploaded, filledAt, filledTable } from "./api-filled.ts";

const run = promisify(execFile);
const AUTOCANNON = join(BENCH, "../node_modules/.bin/autocannon");
const CONNECTIONS = 20;
const BINARIES = 100_000;
const SECONDS = 8;

const Told = z.object({
  latency: z.object({ p50: z.number(), p99: z.number() }),
  requests: z.object({ average: z.number(), total: z.number() }),
  non2xx: z.number(),
  errors: z.number(),
});

const ONE = filledAt("package-00007", 3);

const OPERATIONS: readonly Operation[] = [
  { name: "api-listing", path: "/packages/" },
  { name: "api-listing-binaries", path: `/packages/${ONE.folder}/` },
  { name: "api-search", path: "/search/?name-has=00007&arch=amd64" },
  { name: "api-package", path: `/package/${sha256Of(ONE.bytes)}` },
  { name: "api-repo", path: "/repo/bench" },
  {
    name: "api-presign",
    path: `/packages/${ONE.folder}/`,
    body: JSON.stringify({ name: "new-[<id>].bin", sha256: sha256Of("new"), size: 3 }),
  },
];

export const api: Work = {
  name: "api",
  what: `requests with ${BINARIES} binaries in the table, by ${CONNECTIONS} connections: the seconds are p50; and what a million cost`,
  isQuick: false,
  growsNot: true,
  async run(bench) {
    const filled = await filledTable(BINARIES);
    const packhouse = await startBench({ dataFolder: copyOf(filled) });
    const shots: Shot[] = [];
    try {
      await expectAsUploaded(packhouse);
      for (const operation of OPERATIONS) {
        const shot = await shoot(bench, packhouse, operation);
        shots.push(shot);
      }
    } finally {
      await packhouse.remove();
    }
    await tellCosts(filled, shots);
    return shots.map(({ row }) => row);
  },
};

/** `cpuSeconds`: of one request. */
type Shot = Operation & { readonly row: Row; readonly cpuSeconds: number };

async function shoot(bench: Bench, packhouse: BenchPackhouse, operation: Operation): Promise<Shot> {
  const { name, path, body } = operation;
  const headers = ["-H", `authorization=Bearer ${packhouse.token}`, "-H", "content-type=application/json"];
  const sent = body === undefined ? [] : ["-m", "POST", "-I", "-b", body];
  const load = (seconds: number) =>
    run(AUTOCANNON, [
      "-j",
      "-n",
      "-c",
      `${CONNECTIONS}`,
      "-d",
      `${seconds}`,
      ...headers,
      ...sent,
      packhouse.url + path,
    ]);
  // Code that runs often is compiled.
  await load(2);
  packhouse.forgetPeak();
  const before = await packhouse.act(z.number(), "cpu");
  const { stdout } = await load(SECONDS);
  const cpu = (await packhouse.act(z.number(), "cpu")) - before;
  const { latency, requests, non2xx, errors } = Told.parse(JSON.parse(stdout));
  if (non2xx + errors > 0) throw new Error(`wrong result: ${name}: ${non2xx} refused, ${errors} failed`);
  const peakMb = packhouse.peakMb();
  const cpuSeconds = cpu / requests.total;
  const note = `p99 ${latency.p99} ms, ${requests.average.toFixed(0)} requests a second; the CPU is of one`;
  if (bench.options.profile) console.log(`\n${name}: ${await profiled(packhouse, name, () => load(2))}`);
  return {
    ...operation,
    row: {
      work: name,
      size: BINARIES,
      seconds: [latency.p50 / 1000],
      cpuSeconds: [cpuSeconds],
      peakMb,
      peers: [],
      note,
    },
    cpuSeconds,
  };
}
