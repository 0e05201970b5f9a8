import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bench, MOST_FILES } from "../bench.ts";
import { debsIndex } from "../inputs/debs.ts";

const RUNS = 7;

export type Limit = { readonly told: string; readonly seconds: number; readonly cpuSeconds: number };

/**
 * What no publication that has a whole index can be beneath: SHA-256 of it, plain and packed; the packed one read once, and written once
 * to stay.
 */
export class LimitRuns {
  readonly #parts: Readonly<Record<string, () => unknown>>;
  /** Beyond the sizes that have files, and of generated trees, it is told from the largest that has. */
  readonly #times: number;
  readonly #measured: { readonly each: readonly number[]; readonly seconds: number; readonly cpuSeconds: number }[] =
    [];

  private constructor(index: string, folder: string, times: number) {
    const [plain, packed] = [readFileSync(index), readFileSync(`${index}.gz`)];
    let written = 0;
    this.#times = times;
    this.#parts = {
      [`SHA-256 of ${plain.length} bytes`]: () => createHash("sha256").update(plain).digest(),
      [`SHA-256 of ${packed.length} bytes`]: () => createHash("sha256").update(packed).digest(),
      "one read": () => readFileSync(`${index}.gz`),
      // A file of its own each time: an index that clients read is never written over.
      "one write, flushed": () => writeFileSync(join(folder, `index-${written++}`), packed, { flush: true }),
    };
  }

  static async begin(bench: Bench, size: number): Promise<LimitRuns> {
    const listed = bench.options.growth ? MOST_FILES : Math.min(size, MOST_FILES);
    return new LimitRuns(debsIndex(await bench.debs(listed)), bench.folder("limit"), size / listed);
  }

  run(): void {
    const before = process.cpuUsage();
    const each = Object.values(this.#parts).map((part) => {
      const begun = performance.now();
      part();
      return performance.now() - begun;
    });
    const { user, system } = process.cpuUsage(before);
    const seconds = each.reduce((sum, ms) => sum + ms, 0) / 1000;
    this.#measured.push({ each, seconds, cpuSeconds: (user + system) / 1e6 });
  }

  /** By the clock; what it told of each part is told too. */
  median(): Limit {
    const sorted = this.#measured.toSorted((a, b) => a.seconds - b.seconds);
    const { each, seconds, cpuSeconds } = sorted[sorted.length >> 1] ?? { each: [], seconds: 0, cpuSeconds: 0 };
    const told = Object.keys(this.#parts).map((name, place) => `${name} ${each[place]?.toFixed(1)} ms`);
    return { told: told.join(", "), seconds: seconds * this.#times, cpuSeconds: cpuSeconds * this.#times };
  }
}

export async function limitOf(bench: Bench, size: number): Promise<Limit> {
  const runs = await LimitRuns.begin(bench, size);
  for (let run = 0; run < RUNS; run += 1) runs.run();
  return runs.median();
}
