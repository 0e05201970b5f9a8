import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import { answerTo } from "../../functions/files.ts";
import { type Sha256, sha256Of } from "../../shared/blob.ts";
import type { Context } from "../../shared/context.ts";
import { fetchFile } from "../../shared/sync/on-demand.ts";
import { createUpstream } from "../../shared/sync/upstream.ts";
import type { Entry, FileRef } from "../../shared/tree/entry.ts";
import { createFetcher } from "../../shared/upstream/fetch.ts";
import type { MemoryContext } from "./memory-context.ts";
import { packageEntry, type TYPES } from "./memory-repos.ts";

export type Asking = { readonly method?: string; readonly headers?: Record<string, string>; readonly waitMs?: number };

/** What `files` answers where the bucket had nothing under the rewritten path. */
export async function askFiles(
  ctx: Context,
  path: string,
  { method = "GET", headers = {}, waitMs = 2_000 }: Asking = {},
): Promise<APIGatewayProxyStructuredResultV2 & { headers: Record<string, string> }> {
  const event: APIGatewayProxyEventV2 = {
    version: "2.0",
    routeKey: "$default",
    rawPath: path,
    rawQueryString: "",
    headers: { "x-packhouse-path": path, ...headers },
    requestContext: {
      accountId: "",
      apiId: "",
      domainName: "",
      domainPrefix: "",
      http: { method, path, protocol: "HTTP/1.1", sourceIp: "", userAgent: "" },
      requestId: "",
      routeKey: "$default",
      stage: "$default",
      time: "",
      timeEpoch: 0,
    },
    isBase64Encoded: false,
  };
  const answer = await answerTo(ctx, event, waitMs);
  return { ...answer, headers: Object.fromEntries(Object.entries(answer.headers ?? {}).map(([k, v]) => [k, `${v}`])) };
}

/** An upstream of the name `far`, whose first sync nobody runs. */
export async function upstreamInMemory(ctx: Context, type: (typeof TYPES)[number], path: string): Promise<void> {
  await createUpstream(ctx, { type, name: "far" }, { path, policy: "on_demand" }, "somebody");
}

/** A package that the upstream has and we don't. */
export function farEntry(type: (typeof TYPES)[number], name: string, file: Partial<FileRef> = {}): Entry {
  const entry = packageEntry(type, name);
  return { ...entry, files: entry.files.map((one) => ({ ...one, upstream: "far", ...file })) };
}

/** The copies asked for so far. */
export function fetches(ctx: MemoryContext): { name: string; commit: number; sha256: Sha256 }[] {
  return ctx.sent.filter((message) => isFetch(message)).map(({ name, commit, sha256 }) => ({ name, commit, sha256 }));
}

type Fetch = Parameters<typeof fetchFile>[1] & { kind: "fetch" };

function isFetch(message: unknown): message is Fetch {
  return typeof message === "object" && message !== null && "kind" in message && message.kind === "fetch";
}

/** A worker that takes what is sent from now on. */
export function working(ctx: MemoryContext): MemoryContext {
  const { queues } = ctx;
  const worker: typeof queues.worker = async (message) => {
    await queues.worker(message);
    // A queue's consumer is another process: whoever sent it does not wait.
    if (message.kind === "fetch") setImmediate(() => void fetchFile(ctx, message).catch(() => {}));
  };
  return Object.assign(ctx, {
    queues: { ...queues, worker },
    fetcher: createFetcher({
      allowPrivate: true,
      connectTimeoutMs: 5000,
      idleTimeoutMs: 5000,
      userAgent: "test",
      sleep: async () => {},
    }),
  });
}

export const hashOf = (name: string): Sha256 => sha256Of(name);
