import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { sha256Of } from "../shared/blob.ts";
import type { BenchPackhouse } from "./server/packhouse.ts";

const LIMIT_MS = 1_800_000;
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

export async function until(isSo: () => Promise<boolean>, everyMs: number): Promise<void> {
  const limit = performance.now() + LIMIT_MS;
  while (!(await isSo())) {
    if (performance.now() > limit) throw new Error(`it took over ${LIMIT_MS / 1000} s`);
    await sleep(everyMs);
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

/** Seconds until a pointer of a repo holds something else than before `act` began. */
export async function untilChanged(
  packhouse: BenchPackhouse,
  path: string,
  act: () => Promise<unknown>,
): Promise<number> {
  const { text: before } = await packhouse.ask("GET", path);
  const start = performance.now();
  await act();
  await until(async () => (await packhouse.ask("GET", path)).text !== before, 4);
  return (performance.now() - start) / 1000;
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

/** Runs something; says how much CPU the server used for it, which other load of the machine does not change much. */
export async function withCpu<T>(
  packhouse: BenchPackhouse,
  run: () => Promise<T>,
): Promise<{ result: T; cpu: string }> {
  const before = await packhouse.act(z.number(), "cpu");
  const result = await run();
  return { result, cpu: `CPU ${((await packhouse.act(z.number(), "cpu")) - before).toFixed(2)} s` };
}
