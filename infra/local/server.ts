import type { IncomingMessage, ServerResponse } from "node:http";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { CreateQueueCommand, SQSClient } from "@aws-sdk/client-sqs";
import { handler as api } from "../../functions/api.ts";
import { contextOf, S3_DEFAULTS, useContext } from "../../functions/context.ts";
import { handler as files } from "../../functions/files.ts";
import { handler as ingest } from "../../functions/ingest.ts";
import { handler as publish } from "../../functions/publish.ts";
import { handler as worker } from "../../functions/worker.ts";
import { putToken } from "../../shared/access.ts";
import type { Context } from "../../shared/context.ts";
import { listRepos, repairRepo } from "../../shared/repo/repo.ts";
import { FUNCTION_SECONDS, MAX_RECEIVES } from "../../shared/settings.ts";
import { localSealer } from "../../shared/signing/sealer.ts";
import { isClientPath, serveClient } from "./cdn.ts";
import { openStoreDatabase } from "./copies.ts";
import { type DataFolder, openDataFolder } from "./data-folder.ts";
import { BUCKET, type Endpoints, isStorePath, openEndpoints, QUEUES, STORE_PATH } from "./endpoints.ts";
import { inProcess } from "./in-process.ts";
import { callFunction } from "./lambda-http.ts";
import { type Answer, listen } from "./listen.ts";
import { type Poller, startPoller } from "./poller.ts";
import { inProcess as storeInProcess } from "./s3/in-process.ts";
import type { ObjectStore } from "./s3/store.ts";
import type { LocalSettings } from "./settings.ts";
import { LOCAL_ACCOUNT } from "./sqs/endpoint.ts";
import { ensureTable } from "./table.ts";

const TABLE = "packhouse";

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
  let answer: Answer = starting;
  // The port first: whoever cannot have it leaves the folder alone.
  const front = await listen(settings.host, settings.port, (request, response) => answer(request, response));
  // Closed from the last to the first: nobody new, then the work under way, then what it stands on.
  const open: Closable[] = [];
  const close = async () => {
    await front.close();
    for (const one of open.reverse()) await one.close();
  };
  try {
    const url = settings.publicUrl ?? front.url;
    const folder = openDataFolder(settings.dataFolder);
    const db = openStoreDatabase(folder, onWarning);
    open.push(db);
    const endpoints = await openEndpoints(db, folder, { publicHosts: [new URL(url).host] });
    open.push(endpoints);
    const clients = clientsOf(endpoints, url, folder);
    await ensureTable(clients.dynamo, TABLE);
    const queueUrls = await ensureQueues(clients.sqs, folder.aws.region);
    const sealer = localSealer(folder.sealingKey);
    const context = contextOf({
      table: TABLE,
      bucket: BUCKET,
      queueUrls,
      publicUrl: url,
      ...clients,
      sealer,
      scheduleTarget: {
        group: "packhouse",
        queueArn: queueArn(folder.aws.region, QUEUES.worker),
        deadLettersArn: queueArn(folder.aws.region, `dead-${QUEUES.worker}`),
        roleArn: `arn:aws:iam::${LOCAL_ACCOUNT}:role/scheduler`,
      },
      allowPrivateUpstreams: settings.allowPrivateUpstreams ?? false,
      connectionsPerHost: settings.connectionsPerHost,
      upstreamBuckets: settings.upstreamBuckets,
    });
    useContext(context);
    await putToken(context, folder.rootToken, "root");
    const pollers = startPollers(clients.sqs, queueUrls, onWarning);
    open.push({ close: () => Promise.all(pollers.map((poller) => poller.stop())) });
    answer = (request, response) => route(endpoints.store, request, response);
    // What died between a write and its message goes on now.
    await repairAll(context);
    return { url, folder, context, close };
  } catch (error) {
    await close();
    throw error;
  }
}

type Closable = { close(): unknown };

function starting(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(503, { "retry-after": "1", "content-type": "text/plain" }).end("starting\n");
}

function route(store: ObjectStore, request: IncomingMessage, response: ServerResponse): void | Promise<void> {
  const url = request.url ?? "/";
  if (isStorePath(url)) return store.handle(request, response);
  if (isClientPath(url)) return serveClient({ store, bucket: BUCKET, files }, request, response);
  return callFunction(api, request, response);
}

function clientsOf(
  { url: endpoint, store, table, queues }: Endpoints,
  publicUrl: string,
  { aws: { region, ...credentials } }: DataFolder,
) {
  const inner = { region, credentials, endpoint };
  const s3 = { ...S3_DEFAULTS, region, credentials, forcePathStyle: true };
  return {
    dynamo: new DynamoDBClient({ ...inner, requestHandler: inProcess(table.answer) }),
    scheduler: new SchedulerClient(inner),
    sqs: new SQSClient({ ...inner, useQueueUrlAsEndpoint: false, requestHandler: inProcess(queues.answer) }),
    s3: new S3Client({ ...s3, endpoint: `${endpoint}${STORE_PATH}`, requestHandler: storeInProcess(store) }),
    presigner: new S3Client({ ...s3, endpoint: `${publicUrl}${STORE_PATH}` }),
  };
}

type QueueUrls = { readonly ingest: string; readonly worker: string; readonly publish: string };

async function ensureQueues(client: SQSClient, region: string): Promise<QueueUrls> {
  const make = async (name: string, seconds: number): Promise<string> => {
    const fifo = name.endsWith(".fifo");
    const kind = fifo ? { FifoQueue: "true" } : {};
    const deadName = `dead-${name}`;
    await client.send(new CreateQueueCommand({ QueueName: deadName, Attributes: kind }));
    const { QueueUrl } = await client.send(
      new CreateQueueCommand({
        QueueName: name,
        Attributes: {
          ...kind,
          VisibilityTimeout: String(seconds * 6),
          RedrivePolicy: JSON.stringify({
            deadLetterTargetArn: queueArn(region, deadName),
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

function queueArn(region: string, name: string): string {
  return `arn:aws:sqs:${region}:${LOCAL_ACCOUNT}:${name}`;
}

function startPollers(client: SQSClient, urls: QueueUrls, onWarning: (message: string) => void): Poller[] {
  const onError = (error: unknown) => onWarning(error instanceof Error ? error.message : String(error));
  const shared = { client, onError };
  return [
    // As many as are there: a commit and a publication cost little more for a hundred uploads than for one.
    startPoller({ ...shared, queueUrl: urls.ingest, batchSize: 100, concurrency: 2, handler: ingest }),
    startPoller({ ...shared, queueUrl: urls.worker, batchSize: 1, concurrency: 2, handler: worker }),
    startPoller({ ...shared, queueUrl: urls.publish, batchSize: 10, concurrency: 2, handler: publish }),
  ];
}

async function repairAll(ctx: Context): Promise<void> {
  let after: string | undefined;
  do {
    const page = await listRepos(ctx, after);
    for (const ref of page.repos) await repairRepo(ctx, ref, `start ${ctx.now().getTime()}`);
    after = page.next;
  } while (after !== undefined);
}
