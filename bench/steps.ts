import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { sha256Of } from "../shared/blob.ts";
import type { BenchPackhouse } from "./server/packhouse.ts";

const LIMIT_MS = 1_800_000;
/** So exact is a time that was waited for by asking. */
const LEAST_SHARE = 0.02;
/** Longer than a publication waits behind the one before. */
const REST_MS = 1100;

export const RepoState = z.object({
  commit: z.number(),
  published_commit: z.number().nullable(),
  packages: z.number(),
});

export async function repoState(packhouse: BenchPackhouse, name: string): Promise<z.infer<typeof RepoState>> {
  return packhouse.call(RepoState, "GET", `/repo/${name}`);
}

/** Waits until clients read a repo's head. */
export async function untilPublished(packhouse: BenchPackhouse, name: string): Promise<void> {
  await until(async () => {
    const { commit, published_commit } = await repoState(packhouse, name);
    return commit === published_commit;
  }, 20);
}

/** A publication waits behind the one before: what is measured begins when none has to. */
export async function rest(): Promise<void> {
  await sleep(REST_MS);
}

/** Asks no more often than that, and the less the longer it takes: asking takes CPU from what is waited for. */
export async function until(isSo: () => Promise<boolean>, everyMs: number): Promise<void> {
  const start = performance.now();
  while (!(await isSo())) {
    const passed = performance.now() - start;
    if (passed > LIMIT_MS) throw new Error(`it took over ${LIMIT_MS / 1000} s`);
    await sleep(Math.max(everyMs, passed * LEAST_SHARE));
  }
}

/** How long something takes, in seconds. */
export async function secondsOf(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}

/** As many times as the bench wants. */
export async function repeated(runs: number, run: (nth: number) => Promise<number>): Promise<number[]> {
  const seconds: number[] = [];
  for (let nth = 0; nth < runs; nth += 1) seconds.push(await run(nth));
  return seconds;
}

/** Seconds from when `act` begins until a pointer of a repo is written; that it holds something else then is made sure of. */
export async function untilChanged(
  packhouse: BenchPackhouse,
  path: string,
  act: () => Promise<unknown>,
): Promise<number> {
  const { text: before } = await packhouse.ask("GET", path);
  const seconds = await secondsOf(async () => {
    const written = packhouse.pointerWritten(path, AbortSignal.timeout(LIMIT_MS));
    await Promise.all([act(), written]);
  });
  if ((await packhouse.ask("GET", path)).text === before) throw new Error(`wrong result: ${path} is what it was`);
  return seconds;
}

const Awaited = z.object({
  job: z.string(),
  upload: z.object({ method: z.string(), url: z.string(), headers: z.record(z.string(), z.string()) }).nullable(),
});

/** What CI does: POST and PUT. Answers the package's hash, and the job that ends when clients see it. */
export async function send(
  packhouse: BenchPackhouse,
  folder: string,
  filename: string,
  bytes: Buffer,
): Promise<{ sha256: string; job: string }> {
  const sha256 = sha256Of(bytes);
  const body = { name: filename, sha256, size: bytes.length };
  const asked = await packhouse.call(Awaited, "POST", `/packages/${folder}/`, body);
  if (asked.upload) {
    const { url, ...request } = asked.upload;
    const put = await fetch(url, { ...request, body: new Uint8Array(bytes) });
    if (put.status !== 200) throw new Error(`PUT ${filename}: ${put.status} ${await put.text()}`);
  }
  return { sha256, job: asked.job };
}

/** The same, and waits for the job's end. */
export async function upload(
  packhouse: BenchPackhouse,
  folder: string,
  filename: string,
  bytes: Buffer,
): Promise<string> {
  const { sha256, job } = await send(packhouse, folder, filename, bytes);
  const { state } = await packhouse.call(z.object({ state: z.string() }), "GET", `${job}?wait=25`);
  if (state !== "done") throw new Error(`the upload of ${filename} is ${state}`);
  return sha256;
}

/** How long a work took, each time that it was done: by the clock, and of the server's CPU, which other load does not change much. */
export class Times {
  readonly seconds: number[] = [];
  readonly cpuSeconds: number[] = [];

  /** Does it once more; `run` answers its seconds, or those of the whole run are taken. */
  async add(packhouse: BenchPackhouse, run: () => Promise<unknown>): Promise<void> {
    const cpu = () => packhouse.act(z.number(), "cpu");
    const before = await cpu();
    const start = performance.now();
    const told = await run();
    const whole = (performance.now() - start) / 1000;
    this.seconds.push(typeof told === "number" ? told : whole);
    this.cpuSeconds.push((await cpu()) - before);
  }

  /** For a row. */
  get taken(): { readonly seconds: readonly number[]; readonly cpuSeconds: readonly number[] } {
    return { seconds: this.seconds, cpuSeconds: this.cpuSeconds };
  }
}

/** How often each request to table, store and queues was made. */
export const Counts = z.record(z.string(), z.number());

export function sumOf(counts: z.infer<typeof Counts>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
