import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { S3Client } from "@aws-sdk/client-s3";
import type { SmallLimits } from "../../infra/local/s3/small.ts";
import { type LocalObjects, localObjects, type ObjectsEndpoint, OWN_CREDENTIALS } from "./objects-endpoint.ts";

export const BUCKET = "packhouse";
/** No body lies in the database, not even an empty one. */
export const FILES_ONLY: SmallLimits = { alwaysBytes: -1, withRoomBytes: -1, roomBytes: 0 };

/** Endpoints of our own that a test starts and stops; `end` ends what is left of them. */
export function ownObjects() {
  const opened: LocalObjects[] = [];
  const folders: string[] = [];
  const children: ChildProcess[] = [];

  async function start(options: Parameters<typeof localObjects>[0] = {}): Promise<LocalObjects & { s3: S3Client }> {
    const local = await localObjects(options);
    opened.push(local);
    local.store.createBucket(BUCKET);
    return { ...local, s3: local.client() };
  }

  async function stop(local: LocalObjects): Promise<void> {
    const at = opened.findIndex(({ url }) => url === local.url);
    if (at >= 0) opened.splice(at, 1);
    await local.close();
  }

  function newFolder(): string {
    const folder = mkdtempSync(join(tmpdir(), "packhouse-objects-"));
    folders.push(folder);
    return folder;
  }

  /** Runs the endpoint in a process of its own, so that it can be killed, limited and measured. */
  async function startChild(
    folder: string,
    limitKib?: number,
  ): Promise<{ child: ChildProcess; local: ObjectsEndpoint; s3: S3Client }> {
    const script = join(import.meta.dirname, "objects-child.ts");
    const limit = limitKib === undefined ? "" : `ulimit -f ${limitKib}; `;
    const child = spawn("bash", ["-c", `${limit}exec "$0" "$1" "$2"`, process.execPath, script, folder], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(child);
    const [line] = await once(createInterface({ input: child.stdout }), "line");
    const url = String(line);
    const client = (config = {}) =>
      new S3Client({
        endpoint: url,
        region: "eu-central-1",
        credentials: OWN_CREDENTIALS,
        forcePathStyle: true,
        maxAttempts: 1,
        ...config,
      });
    return {
      child,
      s3: client(),
      local: { url, region: "eu-central-1", credentials: OWN_CREDENTIALS, client, close: async () => undefined },
    };
  }

  async function end(): Promise<void> {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    for (const local of opened.splice(0)) await local.close();
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  }

  return { start, stop, newFolder, startChild, end };
}
