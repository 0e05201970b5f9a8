import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const START = join(import.meta.dirname, "../../infra/local/start.ts");
const START_LIMIT_MS = 30_000;

export type Ended = { code: number | null; signal: NodeJS.Signals | null; out: string; err: string };

/** A Packhouse in a process of its own. */
export type Child = {
  readonly url: string;
  readonly token: string;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<Ended>;
};

type Environment = Readonly<Record<string, string>>;

function run(environment: Environment): {
  process: ChildProcess;
  said: { out: string; err: string };
  ended: Promise<Ended>;
} {
  const child = spawn(process.execPath, [START], {
    env: { PATH: process.env.PATH, PACKHOUSE_PORT: "0", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { out: "", err: "" };
  child.stdout.on("data", (text) => {
    said.out += String(text);
  });
  child.stderr.on("data", (text) => {
    said.err += String(text);
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, ...said }));
  });
  return { process: child, said, ended };
}

/** Runs it where it is expected to end by itself. */
export async function runToEnd(environment: Environment): Promise<Ended> {
  const { process: child, ended } = run(environment);
  const limit = setTimeout(() => child.kill("SIGKILL"), START_LIMIT_MS);
  return ended.finally(() => clearTimeout(limit));
}

/** Starts it and waits until it says where it is. */
export async function startChild(dataFolder: string, environment: Environment = {}): Promise<Child> {
  const { process: child, said, ended } = run({ PACKHOUSE_DATA: dataFolder, ...environment });
  const url = await new Promise<string>((resolve, reject) => {
    const limit = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`it did not start: ${said.out}${said.err}`));
    }, START_LIMIT_MS);
    const look = () => {
      const found = /^Packhouse is at (\S+)$/m.exec(said.out)?.[1];
      if (found !== undefined && said.out.includes("Try: ")) resolve(found);
    };
    child.stdout?.on("data", look);
    void ended.then(({ code, err }) => reject(new Error(`it ended with ${code}: ${err}`)));
    void Promise.allSettled([ended]).then(() => clearTimeout(limit));
    child.stdout?.on("data", () => said.out.includes("Try: ") && clearTimeout(limit));
  });
  const token = readFileSync(join(dataFolder, "root.token"), "utf8").trim();
  return { url, token, ended, kill: (signal) => void child.kill(signal) };
}

export async function send(
  { url, token }: Pick<Child, "url" | "token">,
  method: string,
  path: string,
  body?: unknown,
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
): Promise<{ status: number; body: any }> {
  const answer = await fetch(path.startsWith("http") ? path : `${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(60_000),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text.startsWith("{") ? JSON.parse(text) : text };
}
