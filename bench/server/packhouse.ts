import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";

const MAIN = join(import.meta.dirname, "main.ts");
const START_LIMIT_MS = 60_000;

const Ready = z.object({ url: z.string(), token: z.string() });
const Result = z.object({ id: z.number(), result: z.unknown(), error: z.string().optional() });
const Pointer = z.object({ pointer: z.string() });

export type Answer = { readonly status: number; readonly headers: Headers; readonly text: string };

/** A Packhouse in a process of its own, over a folder that goes with it. */
export type BenchPackhouse = {
  readonly url: string;
  readonly dataFolder: string;
  readonly token: string;
  /** A request with the root token; the body is sent as JSON. Any status is an answer. */
  ask(method: string, path: string, body?: unknown): Promise<Answer>;
  /** The same, for what must succeed: its JSON. */
  call<T>(shape: z.ZodType<T>, method: string, path: string, body?: unknown): Promise<T>;
  /** Something of `actions.ts`. */
  act<T>(shape: z.ZodType<T>, action: string, given?: unknown): Promise<T>;
  /** Settles when the pointer that clients read at a path is next written. */
  pointerWritten(path: string, signal: AbortSignal): Promise<unknown>;
  /** The most memory that the process has held, in MB, since it began or `forgetPeak` was called. Throws when it has ended. */
  peakMb(): number;
  forgetPeak(): void;
  kill(): Promise<void>;
  /** Ends it and removes its folder. */
  remove(): Promise<void>;
};

type Options = {
  readonly dataFolder?: string;
  /** What it notes of its requests to table, store and queues. */
  readonly trace?: "none" | "counts" | "spans";
  readonly port?: number;
  /** It is killed so long after its process began, which may be before it is there. */
  readonly killedAfterMs?: number;
};

/** As `npm start` has it. */
const NODE_OPTIONS = ["--max-semi-space-size=4", "--max-old-space-size=768", "--heap-growing-percent=60"];

/** What would outlive a bench that ends early. */
const running = new Set<ChildProcess>();
const folders = new Set<string>();

/** Ends what is still running and removes every data folder of this run; what has no time to wait. */
export function removeAll(): void {
  for (const child of running) child.kill("SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

export async function startBench({
  dataFolder = newFolder(),
  trace = "none",
  port = 0,
  killedAfterMs,
}: Options = {}): Promise<BenchPackhouse> {
  const child = fork(MAIN, [JSON.stringify({ dataFolder, trace, port })], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    execArgv: [...process.execArgv, ...NODE_OPTIONS],
  });
  running.add(child);
  child.once("exit", () => running.delete(child));
  if (killedAfterMs !== undefined) {
    const timer = setTimeout(() => child.kill("SIGKILL"), killedAfterMs);
    child.once("exit", () => clearTimeout(timer));
  }
  const { url, token } = Ready.parse(await firstMessage(child));
  const waiting = new Map<number, (result: z.infer<typeof Result>) => void>();
  let last = 0;
  const pointers = new EventEmitter();
  child.on("message", (message) => {
    const told = Pointer.safeParse(message);
    if (told.success) return void pointers.emit(told.data.pointer);
    const result = Result.parse(message);
    waiting.get(result.id)?.(result);
    waiting.delete(result.id);
  });
  child.once("exit", () => {
    for (const [id, answer] of waiting) answer({ id, result: null, error: "the Packhouse has ended" });
  });
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  };
  const ask: BenchPackhouse["ask"] = async (method, path, body) => {
    const response = await fetch(path.startsWith("http") ? path : `${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  return {
    url,
    dataFolder,
    token,
    ask,
    async call(shape, method, path, body) {
      const { status, text } = await ask(method, path, body);
      if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text.slice(0, 500)}`);
      return shape.parse(JSON.parse(text));
    },
    async act(shape, action, given) {
      last += 1;
      const id = last;
      const answered = new Promise<z.infer<typeof Result>>((resolve) => waiting.set(id, resolve));
      child.send({ id, action, given });
      const { result, error } = await answered;
      if (error !== undefined) throw new Error(error);
      return shape.parse(result);
    },
    pointerWritten: (path, signal) => once(pointers, `pointers${path}`, { signal }),
    peakMb() {
      const [, kilobytes] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8")) ?? [];
      if (kilobytes === undefined) throw new Error("the Packhouse has ended");
      return Number(kilobytes) / 1024;
    },
    forgetPeak: () => writeFileSync(`/proc/${child.pid}/clear_refs`, "5"),
    kill,
    async remove() {
      await kill();
      rmSync(dataFolder, { recursive: true, force: true });
      folders.delete(dataFolder);
    },
  };
}

/**
 * Another one over a copy of a folder; where the file system can, its files are shared until they change. It is on the disk then:
 * the first to wait for the disk would wait for all of it.
 */
export function copyOf(dataFolder: string): string {
  const copy = newFolder();
  cpSync(dataFolder, copy, { recursive: true, mode: 2 });
  execFileSync("sync", ["-f", copy]);
  return copy;
}

function newFolder(): string {
  const folder = mkdtempSync(join(process.env.PACKHOUSE_BENCH_TMP ?? tmpdir(), "packhouse-bench-"));
  folders.add(folder);
  return folder;
}

function firstMessage(child: ChildProcess): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const limit = setTimeout(() => {
    child.kill("SIGKILL");
    reject(new Error("a Packhouse did not start"));
  }, START_LIMIT_MS);
  child.once("message", resolve);
  child.once("exit", (code) => reject(new Error(`a Packhouse ended with ${code}`)));
  return promise.finally(() => clearTimeout(limit));
}
