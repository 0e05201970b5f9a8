import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningServer, startServer } from "../../infra/local/server.ts";
import type { LocalSettings } from "../../infra/local/settings.ts";

export type TestPackhouse = RunningServer & {
  readonly dataFolder: string;
  /** A request with the root token; the body is sent as JSON. */
  call(method: string, path: string, body?: unknown): Promise<Answer>;
  /** POST, PUT of the bytes, and the job's end: what CI does. */
  upload(path: string, bytes: Uint8Array, options?: { force?: boolean; unannounced?: boolean }): Promise<Job>;
  /** Ends the server and removes its folder. */
  remove(): Promise<void>;
};

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
export type Answer = { status: number; headers: Headers; body: any };
export type Job = {
  id: string;
  state: string;
  error?: string;
  notes: string[];
  repos: Record<string, { commit: number; published_commit: number | null }>;
};

/** A Packhouse of its own on a free port, in this process, over a new folder (or over one that is there already). */
export async function startPackhouse(
  dataFolder = mkdtempSync(join(tmpdir(), "packhouse-")),
  settings: Pick<LocalSettings, "upstreamBuckets"> = {},
): Promise<TestPackhouse> {
  const server = await startServer(
    { dataFolder, host: "127.0.0.1", port: 0, publicUrl: undefined, allowPrivateUpstreams: true, ...settings },
    () => {},
  );
  const authorization = `Bearer ${server.folder.rootToken}`;
  const call: TestPackhouse["call"] = async (method, path, body) => {
    const response = await fetch(path.startsWith("http") ? path : `${server.url}${path}`, {
      method,
      redirect: "manual",
      headers: { authorization, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") ?? false;
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  };
  return {
    ...server,
    dataFolder,
    call,
    async upload(path, bytes, { force = false, unannounced = false } = {}) {
      const at = path.lastIndexOf("/");
      const announced = unannounced
        ? {}
        : { sha256: createHash("sha256").update(bytes).digest("hex"), size: bytes.length };
      const asked = await call("POST", `${path.slice(0, at)}/`, {
        name: path.slice(at + 1),
        ...announced,
        ...(force ? { force } : {}),
      });
      if (asked.status !== 200) throw new Error(`POST ${path}: ${asked.status} ${JSON.stringify(asked.body)}`);
      const { upload, job } = asked.body;
      if (upload) {
        const put = await fetch(upload.url, {
          method: upload.method,
          headers: upload.headers,
          body: Buffer.from(bytes),
        });
        if (put.status !== 200) throw new Error(`PUT ${path}: ${put.status} ${await put.text()}`);
      }
      return (await call("GET", `${job}?wait=25`)).body;
    },
    async remove() {
      await server.close();
      rmSync(dataFolder, { recursive: true, force: true });
    },
  };
}
