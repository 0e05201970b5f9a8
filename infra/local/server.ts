import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";
import { CreateQueueCommand, SQSClient } from "@aws-sdk/client-sqs";
import { handler as api } from "../../functions/api.ts";
import { contextOf, S3_DEFAULTS, useContext } from "../../functions/context.ts";
import { handler as files } from "../../functions/files.ts";
import { handler as ingest } from "../../functions/ingest.ts";
import { handler as publish } from "../../functions/publish.ts";
import { handler as worker } from "../../functions/worker.ts";
import { putToken } from "../../shared/access.ts";
import type { Context } from "../../shared/context.ts";
import { AppError } from "../../shared/error.ts";
import { INCOMING_PREFIX } from "../../shared/objects/keys.ts";
import { listRepos, repairRepo } from "../../shared/repo/repo.ts";
import { FUNCTION_SECONDS, MAX_RECEIVES } from "../../shared/settings.ts";
import { localSealer } from "../../shared/signing/sealer.ts";
import { isClientPath, serveClient } from "./cdn.ts";
import { openStoreDatabase } from "./copies.ts";
import { type DataFolder, openDataFolder } from "./data-folder.ts";
import type { LocalDatabase } from "./database.ts";
import { callFunction } from "./lambda-http.ts";
import { type Poller, startPoller } from "./poller.ts";
import { createObjectStore, type ObjectStore } from "./s3/store.ts";
import type { LocalSettings } from "./settings.ts";
import { createQueueEndpoint, type QueueEndpoint } from "./sqs/endpoint.ts";
import { createTableEndpoint, ensureTable } from "./table.ts";

const TABLE = "packhouse";
const BUCKET = "packhouse";
const QUEUES = { ingest: "ingest", worker: "worker", publish: "publish.fifo" } as const;
const STORE_PATH = "/_s3";
/** Files of data that nothing needs any more stay so long, for a copy of the folder that is under way. */
const GARBAGE_MS = 3_600_000;
/** An upload of gigabytes over a slow line is one request. */
const LONGEST_REQUEST_MS = 6 * 3_600_000;

export type RunningServer = {
  readonly url: string;
  readonly folder: DataFolder;
  readonly context: Context;
  close(): Promise<void>;
};

/** Everything on one machine: the functions in this process, over endpoints that speak as AWS does. */
export async function startServer(
  settings: LocalSettings,
  onWarning: (message: string) => void,
): Promise<RunningServer> {
  let answer = starting;
  // The port first: whoever cannot have it leaves the folder alone.
  const front = await listen(settings.host, settings.port, (request, response) => answer(request, response));
  const opened: { close(): Promise<unknown> | unknown }[] = [front];
  const closeAll = async () => {
    for (const one of opened.reverse()) await one.close();
  };
  try {
    const url = settings.publicUrl ?? `http://${hostIn(settings.host)}:${front.port}`;
    const folder = openDataFolder(settings.dataFolder);
    const db = openStoreDatabase(folder, onWarning);
    opened.push(db);
    const endpoints = await openEndpoints(db, folder, new URL(url).host);
    opened.push(endpoints);
    const clients = clientsOf(endpoints.port, url, folder);
    const queueUrls = await ensureQueues(clients.sqs);
    await ensureTable(clients.dynamo, TABLE);
    const context = contextOf({
      table: TABLE,
      bucket: BUCKET,
      queueUrls,
      publicUrl: url,
      ...clients,
      sealer: localSealer(folder.sealingKey),
    });
    useContext(context);
    await putToken(context, folder.rootToken, "root");
    const pollers = startPollers(clients.sqs, queueUrls, onWarning);
    opened.push({ close: () => Promise.all(pollers.map((poller) => poller.stop())) });
    answer = (request, response) => route(endpoints.store, request, response);
    // What died between a write and its message goes on now.
    await repairAll(context);
    return { url, folder, context, close: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

function starting(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(503, { "retry-after": "1", "content-type": "text/plain" }).end("starting\n");
}

function route(store: ObjectStore, request: IncomingMessage, response: ServerResponse): void | Promise<void> {
  const url = request.url ?? "/";
  if (url.startsWith(`${STORE_PATH}/`) || url === STORE_PATH) return store.handle(request, response);
  if (isClientPath(url)) return serveClient({ store, bucket: BUCKET, files }, request, response);
  return callFunction(api, request, response);
}

type Listening = { readonly port: number; close(): Promise<void> };

async function listen(host: string, port: number, answer: Answer): Promise<Listening> {
  const server: Server = createServer((request, response) => {
    void Promise.resolve(answer(request, response)).catch((error: unknown) => {
      console.error(error);
      if (response.headersSent) response.destroy();
      else response.writeHead(500, { "content-type": "text/plain" }).end("something went wrong on our side\n");
    });
  });
  server.requestTimeout = LONGEST_REQUEST_MS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(host, port, error)));
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), 3_000).unref();
      }),
  };
}

function listenError(host: string, port: number, error: NodeJS.ErrnoException): Error {
  const why: Record<string, string> = {
    EADDRINUSE: "another program uses it; choose another with PACKHOUSE_PORT",
    EACCES: "permission denied; choose one above 1023 with PACKHOUSE_PORT",
    EADDRNOTAVAIL: "this machine does not have that address; see PACKHOUSE_HOST",
    ENOTFOUND: "no such host; see PACKHOUSE_HOST",
  };
  return new AppError("unavailable", `cannot listen on ${host}:${port}: ${why[error.code ?? ""] ?? error.message}`);
}

/** Table, queues and objects, for the functions only: on loopback, and only for requests that our own key signed. */
async function openEndpoints(
  db: LocalDatabase,
  folder: DataFolder,
  publicHost: string,
): Promise<{ port: number; store: ObjectStore; close(): Promise<void> }> {
  const { region, ...credentials } = folder.aws;
  const queues: QueueEndpoint = createQueueEndpoint({
    db,
    region,
    credentials,
    baseUrl: () => `http://127.0.0.1:${inner.port}`,
  });
  const table = createTableEndpoint({ db, region, credentials });
  const store = createObjectStore({
    db,
    folder: folder.objects,
    region,
    credentials,
    pathPrefix: STORE_PATH,
    publicHosts: [publicHost],
    onCreated: ({ bucket, key, sizeBytes, eTag, eventName }) => {
      // A copy of an upload onto itself only tells its hash.
      if (bucket !== BUCKET || !key.startsWith(INCOMING_PREFIX) || eventName === "ObjectCreated:Copy") return;
      const s3 = { bucket: { name: bucket }, object: { key, size: sizeBytes, eTag } };
      queues.send(QUEUES.ingest, JSON.stringify({ Records: [{ eventSource: "aws:s3", eventName, s3 }] }));
    },
  });
  store.createBucket(BUCKET);
  queues.releaseInFlight();
  store.sweepGarbage(GARBAGE_MS);
  const inner: Listening = await listen("127.0.0.1", 0, (request, response) => {
    if (request.url?.startsWith(`${STORE_PATH}/`)) return store.handle(request, response);
    const target = String(request.headers["x-amz-target"] ?? "");
    return (target.startsWith("DynamoDB") ? table : queues).handle(request, response);
  });
  return {
    port: inner.port,
    store,
    async close() {
      queues.close();
      await inner.close();
      table.close();
      store.close();
    },
  };
}

function clientsOf(port: number, publicUrl: string, { aws: { region, ...credentials } }: DataFolder) {
  const inner = { region, credentials, endpoint: `http://127.0.0.1:${port}` };
  const s3 = { ...S3_DEFAULTS, region, credentials, forcePathStyle: true };
  return {
    dynamo: new DynamoDBClient(inner),
    sqs: new SQSClient({ ...inner, useQueueUrlAsEndpoint: false }),
    s3: new S3Client({ ...s3, endpoint: `${inner.endpoint}${STORE_PATH}` }),
    presigner: new S3Client({ ...s3, endpoint: `${publicUrl}${STORE_PATH}` }),
  };
}

type QueueUrls = { readonly ingest: string; readonly worker: string; readonly publish: string };

async function ensureQueues(client: SQSClient): Promise<QueueUrls> {
  const make = async (name: string, seconds: number): Promise<string> => {
    const fifo = name.endsWith(".fifo");
    const kind = fifo ? { FifoQueue: "true" } : {};
    const deadName = fifo ? `dead-${name}` : `dead-${name}`;
    await client.send(new CreateQueueCommand({ QueueName: deadName, Attributes: kind }));
    const { QueueUrl } = await client.send(
      new CreateQueueCommand({
        QueueName: name,
        Attributes: {
          ...kind,
          VisibilityTimeout: String(seconds * 6),
          RedrivePolicy: JSON.stringify({
            deadLetterTargetArn: `arn:aws:sqs:us-east-1:000000000000:${deadName}`,
            maxReceiveCount: MAX_RECEIVES,
          }),
        },
      }),
    );
    if (QueueUrl === undefined) throw new Error(`queue ${name} has no address`);
    return QueueUrl;
  };
  return {
    ingest: await make(QUEUES.ingest, FUNCTION_SECONDS.ingest),
    worker: await make(QUEUES.worker, FUNCTION_SECONDS.worker),
    publish: await make(QUEUES.publish, FUNCTION_SECONDS.publish),
  };
}

function startPollers(client: SQSClient, urls: QueueUrls, onWarning: (message: string) => void): Poller[] {
  const onError = (error: unknown) => onWarning(error instanceof Error ? error.message : String(error));
  const shared = { client, onError };
  return [
    startPoller({ ...shared, queueUrl: urls.ingest, batchSize: 10, concurrency: 2, handler: ingest }),
    startPoller({ ...shared, queueUrl: urls.worker, batchSize: 1, concurrency: 2, handler: worker }),
    startPoller({ ...shared, queueUrl: urls.publish, batchSize: 10, concurrency: 2, handler: publish }),
  ];
}

async function repairAll(ctx: Context): Promise<void> {
  let after: string | undefined;
  do {
    const page = await listRepos(ctx, after);
    for (const ref of page.repos) await repairRepo(ctx, ref);
    after = page.next;
  } while (after !== undefined);
}

function hostIn(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
