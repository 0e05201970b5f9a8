import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Bench, MOST_FILES, type Row, type Work } from "../bench.ts";
import { debsIndex, newDeb } from "../inputs/debs.ts";
import { sampled } from "../profile.ts";
import type { BenchPackhouse } from "../server/packhouse.ts";
import { rest, untilChanged, upload } from "../steps.ts";
import { stepsOf, stepTable } from "./trace-steps.ts";

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
      // The second of the warm ones is told in full: code that ran often is compiled.
      for (const [run, what] of ["cold", "warm", "warm"].entries()) {
        const sha256 = await added(packhouse, run);
        packhouse.forgetPeak();
        await packhouse.act(Spans, "spans");
        const { told, samples } = await sampled(packhouse, `one-deb-${what}-${size}`, () =>
          untilChanged(packhouse, "/apt/bench/dists/stable/InRelease", () => commit(packhouse, sha256)),
        );
        const spans = await packhouse.act(Spans, "spans");
        const steps = stepsOf(spans, samples);
        const seconds = [...steps.values()].reduce((sum, { ms }) => sum + ms, 0) / 1000;
        const cpuSeconds = [...steps.values()].reduce((sum, { cpuMs }) => sum + cpuMs, 0) / 1000;
        const limit = await limitOf(bench, size);
        if (run === 1) continue;
        console.log(`\n${what}\n${stepTable(steps, limit)}\nthe limit is ${limit.told}`);
        if (bench.options.profile) console.log(`\n${requestsOf(spans)}\n\n${told}`);
        const peers = [{ name: "the limit", seconds: [limit.seconds], kept: false }];
        rows.push({
          work: `trace-${what}`,
          size,
          seconds: [seconds],
          cpuSeconds: [cpuSeconds],
          peakMb: packhouse.peakMb(),
          peers,
        });
      }
      return rows;
    } finally {
      await packhouse.remove();
    }
  },
};

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

type Limit = { readonly told: string; readonly seconds: number; readonly cpuSeconds: number };

/** SHA-256 of an index, plain and packed; the packed one read and written once. */
export async function limitOf(bench: Bench, size: number): Promise<Limit> {
  // Beyond the sizes that have files, and of generated trees, it is told from the largest that has.
  const listed = bench.options.growth ? MOST_FILES : Math.min(size, MOST_FILES);
  const index = debsIndex(await bench.debs(listed));
  const [plain, packed] = [readFileSync(index), readFileSync(`${index}.gz`)];
  const file = join(bench.folder("limit"), "index");
  const parts = {
    [`SHA-256 of ${plain.length} bytes`]: () => createHash("sha256").update(plain).digest(),
    [`SHA-256 of ${packed.length} bytes`]: () => createHash("sha256").update(packed).digest(),
    "one read": () => readFileSync(`${index}.gz`),
    "one write": () => writeFileSync(file, packed),
  };
  const told: string[] = [];
  const before = process.cpuUsage();
  const start = performance.now();
  for (const [name, run] of Object.entries(parts)) {
    const begun = performance.now();
    run();
    told.push(`${name} ${(performance.now() - begun).toFixed(1)} ms`);
  }
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  const times = size / listed;
  return { told: told.join(", "), seconds: seconds * times, cpuSeconds: ((user + system) / 1e6) * times };
}
