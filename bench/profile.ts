import { mkdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { BENCH } from "./inputs/folder.ts";
import { RESULTS } from "./report.ts";
import type { BenchPackhouse } from "./server/packhouse.ts";

const Frame = z.object({ functionName: z.string(), url: z.string(), lineNumber: z.number() });
type Frame = z.infer<typeof Frame>;
const Profile = z.object({
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: Frame,
      children: z.array(z.number()).default([]),
    }),
  ),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
  /** In µs, as the deltas. */
  startTime: z.number(),
});
type Profile = z.infer<typeof Profile>;

const SHOWN = 20;
/** The thread waits; or begins and ends the profile itself. */
const IDLE = /^\((idle|program|root)\)|^post node:inspector/;

/** Runs something while the server's CPU is profiled; the profile stays in `results/` for a browser's tools, its top is answered. */
export async function profiled(packhouse: BenchPackhouse, name: string, run: () => Promise<unknown>): Promise<string> {
  return (await sampled(packhouse, name, run)).told;
}

/** What the main thread did from one time to the next: where it was, innermost first, each as `function file`; empty when it waited. */
export type Sample = { readonly atMs: number; readonly ms: number; readonly stack: readonly string[] };

/** The same with each sample, in order and by the clock of spans. */
export async function sampled(
  packhouse: BenchPackhouse,
  name: string,
  run: () => Promise<unknown>,
): Promise<{ told: string; samples: Sample[] }> {
  mkdirSync(RESULTS, { recursive: true });
  const file = join(RESULTS, `${name}.cpuprofile`);
  await packhouse.act(z.unknown(), "profile", {});
  await run();
  const aheadUs = await packhouse.act(z.number(), "profile", { file });
  const profile = Profile.parse(JSON.parse(readFileSync(file, "utf8")));
  return { told: selfTimes(profile), samples: samplesOf(profile, aheadUs) };
}

function samplesOf({ nodes, samples, timeDeltas, startTime }: Profile, aheadUs: number): Sample[] {
  const above = new Map(nodes.flatMap((node) => node.children.map((child) => [child, node] as const)));
  const stacks = new Map(
    nodes.map((node) => {
      const stack: string[] = [];
      for (let one: Profile["nodes"][number] | undefined = node; one; one = above.get(one.id))
        stack.push(nameOf(one.callFrame, undefined));
      return [node.id, IDLE.test(stack[0] ?? "") ? [] : stack];
    }),
  );
  let atUs = startTime - aheadUs;
  return samples.map((id, index) => {
    // A delta is the time since the sample before: so long the thread was there.
    const us = timeDeltas[index] ?? 0;
    atUs += us;
    return { atMs: (atUs - us) / 1000, ms: us / 1000, stack: stacks.get(id) ?? [] };
  });
}

function selfTimes({ nodes, samples, timeDeltas }: Profile): string {
  const callers = new Map(nodes.flatMap((node) => node.children.map((child) => [child, node.callFrame] as const)));
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame, callers.get(id))]));
  const times = new Map<string, number>();
  for (const [index, id] of samples.entries()) {
    const name = names.get(id) ?? "?";
    times.set(name, (times.get(name) ?? 0) + (timeDeltas[index] ?? 0) / 1000);
  }
  const busy = [...times].filter(([name]) => !IDLE.test(name)).sort((a, b) => b[1] - a[1]);
  const sum = busy.reduce((total, [, ms]) => total + ms, 0);
  const lines = busy.slice(0, SHOWN).map(([name, ms]) => `${ms.toFixed(1).padStart(9)} ms  ${name}`);
  return [`${sum.toFixed(0)} ms of the main thread were busy; by function alone:`, ...lines].join("\n");
}

/** What is no JavaScript has its caller named too. */
function nameOf({ functionName, url, lineNumber }: Frame, caller: Frame | undefined): string {
  const name = functionName || "(anonymous)";
  if (url === "") return caller && !functionName.startsWith("(") ? `${name} from ${nameOf(caller, undefined)}` : name;
  const path = url.startsWith("file:") ? relative(join(BENCH, ".."), fileURLToPath(url)) : url;
  return `${name} ${path.replace(/^.*node_modules\//, "")}:${lineNumber + 1}`;
}
