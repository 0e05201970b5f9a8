import { z } from "zod";
import type { Row, Work } from "../bench.ts";
import { newDeb } from "../inputs/debs.ts";
import { sampled } from "../profile.ts";
import type { BenchPackhouse } from "../server/packhouse.ts";
import { rest, untilChanged, upload } from "../steps.ts";
import { LimitRuns } from "./limit.ts";
import { type Step, stepsOf, stepTable, type Taken } from "./trace-steps.ts";

const WARM_RUNS = 8;

const Spans = z.array(
  z.object({
    name: z.string(),
    start: z.number(),
    end: z.number(),
    bytes: z.number(),
    cpuMs: z.tuple([z.number(), z.number()]),
    from: z.array(z.string()),
  }),
);
type Spans = z.infer<typeof Spans>;

/** What each step of the one-package publication costs, beside the limit: the index hashed, read and written once. */
export const trace: Work = {
  name: "trace",
  what: "the steps of one .deb's publication by a process that did none before, and by one that did; the peer is the limit",
  isQuick: true,
  async run(bench, size) {
    const packhouse = await bench.published("apt", size, { trace: "spans" });
    const rows: Row[] = [];
    try {
      const all: Traced[] = [];
      const limits = await LimitRuns.begin(bench, size);
      for (let run = 0; run <= WARM_RUNS; run += 1) {
        all.push(await traceOne(packhouse, run, size));
        // Beside each, so that both are told of the same minutes of the machine.
        limits.run();
      }
      // The first of the warm ones met code that was not compiled; what one costs depends on the size of the leaf that it falls in.
      const [cold, , ...warm] = all;
      const median = warm.toSorted((a, b) => a.seconds - b.seconds)[warm.length >> 1];
      const limit = limits.median();
      for (const [what, traced] of Object.entries({ cold, warm: median })) {
        if (!traced) continue;
        console.log(`\n${what}\n${stepTable(traced.steps, limit)}\nthe limit is ${limit.told}`);
        if (bench.options.profile) console.log(`\n${requestsOf(traced.spans)}\n\n${traced.told}`);
        const { seconds, cpuSeconds, peakMb } = traced;
        const peers = [{ name: "the limit", seconds: [limit.seconds], kept: false }];
        rows.push({ work: `trace-${what}`, size, seconds: [seconds], cpuSeconds: [cpuSeconds], peakMb, peers });
      }
      return rows;
    } finally {
      await packhouse.remove();
    }
  },
};

/** One package more, by the steps of its publication. */
type Traced = {
  readonly spans: Spans;
  readonly steps: ReadonlyMap<Step, Taken>;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMb: number;
  /** What its CPU profile tells. */
  readonly told: string;
};

async function traceOne(packhouse: BenchPackhouse, run: number, size: number): Promise<Traced> {
  const sha256 = await added(packhouse, run);
  packhouse.forgetPeak();
  await packhouse.act(Spans, "spans");
  const { told, samples } = await sampled(packhouse, `one-deb-${run}-${size}`, () =>
    untilChanged(packhouse, "/apt/bench/dists/stable/InRelease", () => commit(packhouse, sha256)),
  );
  const spans = await packhouse.act(Spans, "spans");
  const steps = stepsOf(spans, samples);
  const sumOf = (one: (taken: Taken) => number) => [...steps.values()].reduce((sum, taken) => sum + one(taken), 0);
  const seconds = sumOf(({ ms }) => ms) / 1000;
  const cpuSeconds = sumOf(({ cpuMs }) => cpuMs) / 1000;
  return { spans, steps, seconds, cpuSeconds, peakMb: packhouse.peakMb(), told };
}

async function added(packhouse: BenchPackhouse, run: number): Promise<string> {
  const deb = newDeb(run);
  const sha256 = await upload(packhouse, `${deb.name}/debian/bookworm/amd64`, deb.filename, deb.bytes);
  await rest();
  return sha256;
}

function commit(packhouse: BenchPackhouse, sha256: string): Promise<unknown> {
  return packhouse.call(z.unknown(), "PATCH", "/repo/bench/packages", { add: { [sha256]: {} } });
}

/** What lies side by side in time is one line: its requests, from the first's begin to the last's end. */
function requestsOf(spans: Spans): string {
  const sorted = spans.toSorted((a, b) => a.start - b.start);
  const zero = sorted[0]?.start ?? 0;
  const lines: { name: string; count: number; start: number; end: number; bytes: number; sum: number }[] = [];
  for (const { name, start, end, bytes } of sorted) {
    const last = lines.at(-1);
    if (last?.name === name) {
      last.count += 1;
      last.end = Math.max(last.end, end);
      last.bytes += bytes;
      last.sum += end - start;
    } else {
      lines.push({ name, count: 1, start, end, bytes, sum: end - start });
    }
  }
  return [
    "    at ms   took ms  requests       bytes  before it ms",
    ...lines.map(({ name, count, start, end, bytes }, index) => {
      const idle = start - Math.max(zero, ...lines.slice(0, index).map((line) => line.end));
      const cells = [
        (start - zero).toFixed(1).padStart(9),
        (end - start).toFixed(1).padStart(9),
        String(count).padStart(9),
        String(bytes).padStart(11),
        idle > 0.5 ? idle.toFixed(1).padStart(13) : "".padStart(13),
      ];
      return `${cells.join(" ")}  ${name}`;
    }),
  ].join("\n");
}
