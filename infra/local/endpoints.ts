import { INCOMING_PREFIX } from "../../shared/objects/keys.ts";
import type { DataFolder } from "./data-folder.ts";
import type { LocalDatabase } from "./database.ts";
import { type Listening, listen } from "./listen.ts";
import { createObjectStore, type ObjectStore } from "./s3/store.ts";
import { createSchedulerEndpoint, isSchedulerPath } from "./scheduler/endpoint.ts";
import { createQueueEndpoint, type QueueEndpoint } from "./sqs/endpoint.ts";
import { createTableEndpoint, type TableEndpoint } from "./table.ts";

export const BUCKET = "packhouse";
export const QUEUES = { ingest: "ingest", worker: "worker", publish: "publish.fifo" } as const;
export const STORE_PATH = "/_s3";
/** Files of data that nothing needs any more stay so long, for a copy of the folder that is under way. */
const GARBAGE_MS = 3_600_000;

export type Endpoints = {
  /** Of all four: objects below `/_s3`, schedules below `/schedules/`, table and queues told apart by what a request is for. */
  readonly url: string;
  readonly store: ObjectStore;
  readonly queues: Pick<QueueEndpoint, "answer">;
  readonly table: Pick<TableEndpoint, "answer">;
  close(): Promise<void>;
};

/**
 * Table, queues, schedules and objects as AWS has them: on loopback, and only for requests that the folder's own key signed.
 * Presigned URLs may also have been signed for `publicHosts`.
 */
export async function openEndpoints(
  db: LocalDatabase,
  folder: DataFolder,
  { port = 0, publicHosts = [] }: { port?: number; publicHosts?: readonly string[] },
): Promise<Endpoints> {
  const { region, ...credentials } = folder.aws;
  const queues: QueueEndpoint = createQueueEndpoint({
    db,
    region,
    credentials,
    baseUrl: () => inner.url,
  });
  const table = createTableEndpoint({ db, region, credentials });
  const store = createObjectStore({
    db,
    folder: folder.objects,
    region,
    credentials,
    pathPrefix: STORE_PATH,
    publicHosts,
    onCreated: ({ bucket, key, sizeBytes, eTag, eventName }) => {
      // A copy of an upload onto itself only tells its hash.
      if (bucket !== BUCKET || !key.startsWith(INCOMING_PREFIX) || eventName === "ObjectCreated:Copy") return;
      const s3 = { bucket: { name: bucket }, object: { key, size: sizeBytes, eTag } };
      queues.send(QUEUES.ingest, JSON.stringify({ Records: [{ eventSource: "aws:s3", eventName, s3 }] }));
    },
  });
  store.createBucket(BUCKET);
  queues.releaseInFlight();
  const scheduler = createSchedulerEndpoint({
    db,
    region,
    credentials,
    send: (queueName, body) => queues.send(queueName, body),
  });
  store.sweepGarbage(GARBAGE_MS);
  const inner: Listening = await listen("127.0.0.1", port, (request, response) => {
    if (isStorePath(request.url ?? "")) return store.handle(request, response);
    if (isSchedulerPath(request.url ?? "")) return scheduler.handle(request, response);
    const target = String(request.headers["x-amz-target"] ?? "");
    return (target.startsWith("DynamoDB") ? table : queues).handle(request, response);
  });
  return {
    url: inner.url,
    store,
    queues,
    table,
    async close() {
      scheduler.close();
      queues.close();
      await inner.close();
      table.close();
      store.close();
    },
  };
}

export function isStorePath(url: string): boolean {
  return url === STORE_PATH || url.startsWith(`${STORE_PATH}/`) || url.startsWith(`${STORE_PATH}?`);
}
