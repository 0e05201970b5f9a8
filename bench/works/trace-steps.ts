import type { Sample } from "../profile.ts";

/** A request, and the files of the domain that asked for it, innermost first. */
export type Span = {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly bytes: number;
  /** Of the main thread at its start and its end. */
  readonly cpuMs: readonly [number, number];
  readonly from: readonly string[];
};

/** What one package's publication does, in the order of its first doing. */
export const STEPS = {
  ask: "who asks, for what repo and packages",
  leaf: "the trees: what is touched read, and written anew",
  commit: "the one write that makes it so, and the message",
  look: "what is published now, and with which key",
  fragments: "the index's fragments read and unpacked",
  hash: "SHA-256 of the index, plain and packed",
  index: "the index joined and written",
  sign: "the key unsealed, Release signed twice",
  record: "the publication recorded",
  pointer: "the pointers looked at and written",
} as const;
export type Step = keyof typeof STEPS;

/** By the innermost file that asked; the first that fits. */
const BY_FILE: readonly (readonly [RegExp, Step])[] = [
  [/^shared\/repo\/keyring$/, "sign"],
  [/^shared\/tree\//, "leaf"],
  [/^shared\/repo\/announce$/, "commit"],
  [/^shared\/publication\/(?:join|members|hash-marks|warm-fragments|xz-blocks)$/, "fragments"],
  [/^shared\/publication\/(?:manifest|published)$/, "record"],
];

export function stepOf({ name, from }: Pick<Span, "name" | "from">): Step {
  const isPublishing = from.some((file) => file.startsWith("shared/publication/"));
  if (name.startsWith("sealer.")) return "sign";
  if (/Pointer$/.test(name)) return "pointer";
  const [, step] = BY_FILE.find(([pattern]) => pattern.test(from[0] ?? "")) ?? [];
  const isWrite = /\.(?:put|update)/.test(name);
  if (step === "fragments") return isWrite ? "index" : step;
  if (step === "record") return isWrite ? step : "look";
  if (step === "leaf" && isPublishing) return "look";
  if (step) return step;
  if (isPublishing) return isWrite ? "record" : "look";
  return isWrite ? "commit" : "ask";
}

/** What the CPU does for a step, whatever is waited for meanwhile; undefined where that does not tell. */
function cpuStep(stack: readonly string[]): Step | undefined {
  if (stack.some((frame) => / (?:openpgp|shared\/signing)\//.test(frame))) return "sign";
  const isHash = /^(?:update|digest|hash)\b/.test(stack[0] ?? "");
  const own = stack.filter((frame) => frame.includes(" shared/"));
  if (isHash && / shared\/publication\/(?:join|hash-marks)\.ts/.test(own[0] ?? "")) return "hash";
  const isUnpacking =
    own[0]?.startsWith("unpackVerified ") && own.some((frame) => frame.includes("/publication/warm-fragments.ts"));
  return isUnpacking ? "fragments" : undefined;
}

/** `cpuMs`: of the main thread, which other load of the machine does not change much. */
export type Taken = { readonly ms: number; readonly cpuMs: number; readonly requests: number; readonly bytes: number };

/**
 * How long each step took: every moment from the first request to the last is one step's. It is that of what the CPU does, where this
 * tells; else of the request that has been waited for longest; else of what the CPU did last, where none was made since; else of the
 * one that is made next.
 */
export function stepsOf(spans: readonly Span[], samples: readonly Sample[]): ReadonlyMap<Step, Taken> {
  const sorted = spans.map((span) => ({ ...span, step: stepOf(span) })).toSorted((a, b) => a.start - b.start);
  const begin = sorted[0]?.start ?? 0;
  const end = Math.max(begin, ...sorted.map((span) => span.end));
  const taken = new Map<Step, Taken>();
  const add = (step: Step, { ms = 0, cpuMs = 0, requests = 0, bytes = 0 }: Partial<Taken>) => {
    const known = taken.get(step) ?? { ms: 0, cpuMs: 0, requests: 0, bytes: 0 };
    taken.set(step, {
      ms: known.ms + ms,
      cpuMs: known.cpuMs + cpuMs,
      requests: known.requests + requests,
      bytes: known.bytes + bytes,
    });
  };
  const used = cpuShare(spans, samples);
  for (const { step, bytes } of sorted) add(step, { requests: 1, bytes });
  let told: { readonly step: Step; readonly atMs: number } | undefined;
  for (const { atMs, ms, stack } of samples) {
    const inside = Math.min(atMs + ms, end) - Math.max(atMs, begin);
    if (inside <= 0) continue;
    const middle = atMs + ms / 2;
    const waited = sorted.find((span) => span.start <= middle && middle < span.end);
    const next = sorted.find((span) => span.start > middle);
    const done = cpuStep(stack);
    if (done) told = { step: done, atMs: middle };
    const since = told?.atMs ?? middle;
    if (sorted.some(({ start }) => start > since && start <= middle)) told = undefined;
    const step = done ?? waited?.step ?? told?.step ?? (next ?? sorted.at(-1))?.step ?? "ask";
    add(step, { ms: inside, cpuMs: stack.length > 0 ? inside * used(middle) : 0 });
  }
  return taken;
}

/** What part of the time that the main thread seemed busy it had a CPU: as told at the begins and ends of requests. */
function cpuShare(spans: readonly Span[], samples: readonly Sample[]): (atMs: number) => number {
  const told = spans
    .flatMap(({ start, end, cpuMs: [before, after] }) => [
      { atMs: start, cpuMs: before },
      { atMs: end, cpuMs: after },
    ])
    .toSorted((a, b) => a.atMs - b.atMs);
  const stretches = told.slice(1).map(({ atMs, cpuMs }, index) => {
    const { atMs: from = 0, cpuMs: before = 0 } = told[index] ?? {};
    return { from, until: atMs, cpuMs: cpuMs - before, busyMs: 0 };
  });
  for (const { atMs, ms, stack } of samples) {
    if (stack.length === 0) continue;
    const middle = atMs + ms / 2;
    const stretch = stretches.find(({ from, until }) => from <= middle && middle < until);
    if (stretch) stretch.busyMs += ms;
  }
  return (atMs) => {
    const { cpuMs = 0, busyMs = 0 } = stretches.find(({ from, until }) => from <= atMs && atMs < until) ?? {};
    return busyMs === 0 ? 0 : cpuMs / busyMs;
  };
}

/** A line a step, and their sum beside the limit. */
export function stepTable(taken: ReadonlyMap<Step, Taken>, limit: { seconds: number; cpuSeconds: number }): string {
  const line = (name: string, { ms, cpuMs, requests, bytes }: Taken, what: string) =>
    [
      name.padEnd(10),
      ms.toFixed(1).padStart(8),
      cpuMs.toFixed(1).padStart(8),
      String(requests).padStart(9),
      String(bytes).padStart(11),
      ` ${what}`,
    ].join(" ");
  const found = (Object.keys(STEPS) as Step[]).flatMap((step) => {
    const one = taken.get(step);
    return one ? [{ step, one }] : [];
  });
  const sum = found.reduce(
    (total, { one }) => ({
      ms: total.ms + one.ms,
      cpuMs: total.cpuMs + one.cpuMs,
      requests: total.requests + one.requests,
      bytes: total.bytes + one.bytes,
    }),
    { ms: 0, cpuMs: 0, requests: 0, bytes: 0 },
  );
  return [
    "step             ms   CPU ms  requests       bytes",
    ...found.map(({ step, one }) => line(step, one, STEPS[step])),
    line("sum", sum, ""),
    `${"limit".padEnd(10)} ${(limit.seconds * 1000).toFixed(1).padStart(8)} ${(limit.cpuSeconds * 1000).toFixed(1).padStart(8)}`,
    `${"ratio".padEnd(10)} ${(sum.ms / 1000 / limit.seconds).toFixed(2).padStart(8)} ${(sum.cpuMs / 1000 / limit.cpuSeconds).toFixed(2).padStart(8)}`,
  ].join("\n");
}
