import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Bench, MOST_FILES, type Work } from "../bench.ts";
import { debsIndex, newDeb } from "../inputs/debs.ts";
import { profiled } from "../profile.ts";
import type { BenchPackhouse } from "../server/packhouse.ts";
import { rest, untilChanged, upload } from "../steps.ts";

const Spans = z.array(z.object({ name: z.string(), start: z.number(), end: z.number(), bytes: z.number() }));
type Spans = z.infer<typeof Spans>;

/** What each step of the one-package publication costs, beside the limit: the index hashed, read and written once. */
export const trace: Work = {
  name: "trace",
  what: "the steps of one .deb's publication; and where the CPU is",
  isQuick: true,
  async run(bench, size) {
    const packhouse = await bench.published("apt", size, { trace: true });
    try {
      // The first is cold, the second is what a warm process does.
      for (const [run, what] of ["cold", "warm"].entries()) {
        const sha256 = await added(packhouse, run);
        await packhouse.act(Spans, "spans");
        const seconds = await untilChanged(packhouse, "/apt/bench/dists/stable/InRelease", () =>
          commit(packhouse, sha256),
        );
        console.log(`\n${what}: ${(seconds * 1000).toFixed(0)} ms\n${tableOf(await packhouse.act(Spans, "spans"))}`);
      }
      const sha256 = await added(packhouse, 2);
      const told = await profiled(packhouse, `one-deb-${size}`, () =>
        untilChanged(packhouse, "/apt/bench/dists/stable/InRelease", () => commit(packhouse, sha256)),
      );
      console.log(`\n${told}`);
      console.log(`\nthe limit: ${(await limitOf(bench, size)).told}`);
      return [];
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
function tableOf(spans: Spans): string {
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

/** SHA-256 of an index, plain and packed; the packed one read and written once. */
export async function limitOf(bench: Bench, size: number): Promise<{ told: string; seconds: number }> {
  // Beyond the sizes that have files, and of generated trees, it is told from the largest that has.
  const listed = bench.options.growth ? MOST_FILES : Math.min(size, MOST_FILES);
  const index = debsIndex(await bench.debs(listed));
  const [plain, packed] = [readFileSync(index), readFileSync(`${index}.gz`)];
  const ms = (run: () => unknown) => {
    const start = performance.now();
    run();
    return performance.now() - start;
  };
  const parts = {
    [`SHA-256 of ${plain.length} bytes`]: ms(() => createHash("sha256").update(plain).digest()),
    [`SHA-256 of ${packed.length} bytes`]: ms(() => createHash("sha256").update(packed).digest()),
    "one read": ms(() => readFileSync(`${index}.gz`)),
    "one write": ms(() => writeFileSync(join(bench.folder("limit"), "index"), packed)),
  };
  const sum = Object.values(parts).reduce((total, one) => total + one, 0);
  const told = Object.entries(parts).map(([name, one]) => `${name} ${one.toFixed(1)} ms`);
  return { told: `${told.join(", ")}: ${sum.toFixed(1)} ms`, seconds: (sum / 1000) * (size / listed) };
}
